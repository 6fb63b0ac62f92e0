// See lifetime.hpp.
#include "dns/lifetime.hpp"

#include "dns/compressed_name.hpp"
#include "dns/record_walk.hpp"
#include "dns/ttl_fields.hpp"

#include <algorithm>
#include <cassert>
#include <optional>
#include <utility>

namespace dotrelay::dns {
namespace {

constexpr std::size_t kCountsOffset = 4;
constexpr std::size_t kTtlInFixed = 4;   // behind TYPE and CLASS
constexpr std::size_t kSoaNumbers = 20;  // SERIAL, REFRESH, RETRY, EXPIRE, MINIMUM (RFC 1035 3.3.13)
constexpr std::size_t kMinimumInNumbers = 16;

/// Walks over the answer section for CNAMEs that stand behind what they lead to. Unbound follows 11, BIND 16.
constexpr int kMaxWalks = 16;

std::uint32_t load_u32(const std::uint8_t* at) { return std::uint32_t{load_u16(at)} << 16 | load_u16(at + 2); }

RecordWalk walk_over(ByteReader& reader, Bytes message) {
  return {reader,
          {1, load_u16(&message[kCountsOffset + 2]), load_u16(&message[kCountsOffset + 4]),
           load_u16(&message[kCountsOffset + 6])}};
}

/// Where the RDATA stands of the record that was just read.
std::size_t data_offset(const RecordWalk& walk, const Record& record) { return walk.offset() - record.data.size(); }

/// The name that the answer section speaks of: the question's, then what its CNAMEs lead to.
class Chain {
 public:
  Chain(Bytes message, const Question& question) : message_(message), type_(question.type) {}

  /// Looks at the next record of the answer section; its RDATA is at `data_offset`.
  void take(const Record& record, std::size_t data_offset) {
    const std::uint16_t type = record.type();
    const bool asked_for = type == type_ || type_ == type::any;
    if (answered_ || (!asked_for && type != type::cname) || !same_name_in(message_, record.offset, name_)) return;
    answered_ = asked_for;
    if (asked_for || !is_name(data_offset, data_offset + record.data.size())) return;
    name_ = data_offset;
    moved_ = true;
  }

  /// Whether a record of the asked type was there.
  [[nodiscard]] bool answered() const { return answered_; }

  /// Whether a CNAME was followed since the last call.
  bool moved() { return std::exchange(moved_, false); }

 private:
  /// Whether a name fills the octets: else what follows them would be read as its end.
  [[nodiscard]] bool is_name(std::size_t begin, std::size_t end) const {
    ByteReader reader(message_.first(end), begin);
    return skip_name(reader) && reader.at_end();
  }

  Bytes message_;
  std::uint16_t type_;
  std::size_t name_ = kHeaderSize;
  bool answered_ = false;
  bool moved_ = false;
};

/// MINIMUM of an SOA whose RDATA is `message` from `begin` to `end`; nothing when that is no SOA's. The names before
/// the numbers may be compressed.
std::optional<std::uint32_t> soa_minimum(Bytes message, std::size_t begin, std::size_t end) {
  ByteReader reader(message.first(end), begin);
  if (!skip_name(reader) || !skip_name(reader) || reader.remaining() != kSoaNumbers) return std::nullopt;
  return meaning_of_ttl(load_u32(&reader.rest()[kMinimumInNumbers]));
}

/// What one walk over all records finds.
class Findings {
 public:
  Findings(Bytes message, const Question& question, std::span<std::uint16_t> fields)
      : message_(message),
        first_record_(kHeaderSize + question.wire_size()),
        chain_(message, question),
        fields_(fields) {}

  Obstacle read() {
    ByteReader reader(message_, first_record_);
    RecordWalk walk = walk_over(reader, message_);
    Record record;
    while (walk.next(record)) {
      if (record.type() == type::opt) continue;
      if (count_ == fields_.size()) return Obstacle::too_many_records;
      const std::size_t data = data_offset(walk, record);
      fields_[count_++] = static_cast<std::uint16_t>(data - RecordWalk::kFixedSize + kTtlInFixed);
      least_ttl_ = std::min(least_ttl_, meaning_of_ttl(load_u32(&record.fixed[kTtlInFixed])));
      if (record.section == Section::answer) chain_.take(record, data);
      if (record.section == Section::authority && record.type() == type::soa) take_soa(data, walk.offset());
    }
    return walk.failed() ? Obstacle::malformed : Obstacle::none;
  }

  /// Whether there is a record of the asked type at the end of the CNAMEs.
  bool answered() {
    for (int walks = 1; !chain_.answered() && chain_.moved() && walks < kMaxWalks; ++walks) follow_again();
    return chain_.answered();
  }

  [[nodiscard]] std::uint16_t count() const { return count_; }
  [[nodiscard]] std::uint32_t least_ttl() const { return least_ttl_; }
  [[nodiscard]] bool has_soa() const { return has_soa_; }
  [[nodiscard]] std::uint32_t minimum() const { return minimum_; }

 private:
  void take_soa(std::size_t begin, std::size_t end) {
    const std::optional<std::uint32_t> minimum = soa_minimum(message_, begin, end);
    if (!minimum) return;
    has_soa_ = true;
    minimum_ = std::min(minimum_, *minimum);
  }

  [[gnu::cold]] void follow_again() {
    ByteReader reader(message_, first_record_);
    RecordWalk walk = walk_over(reader, message_);
    Record record;
    while (walk.next(record) && record.section == Section::answer) chain_.take(record, data_offset(walk, record));
  }

  Bytes message_;
  std::size_t first_record_;
  Chain chain_;
  std::span<std::uint16_t> fields_;
  std::uint16_t count_ = 0;
  std::uint32_t least_ttl_ = kMaxTtl;
  bool has_soa_ = false;             ///< in the authority section, and readable
  std::uint32_t minimum_ = kMaxTtl;  ///< the least of those SOAs
};

ResponseKind kind_of(Rcode rcode, Findings& findings) {
  if (rcode == Rcode::nxdomain) return ResponseKind::nxdomain;
  if (rcode != Rcode::noerror) return ResponseKind::failure;
  return findings.answered() ? ResponseKind::positive : ResponseKind::nodata;
}

bool is_negative(ResponseKind kind) { return kind == ResponseKind::nodata || kind == ResponseKind::nxdomain; }

Lifetime unfit(Obstacle obstacle) { return {.obstacle = obstacle}; }

}  // namespace

Lifetime lifetime_of(Bytes message, const ResponseView& response, std::span<std::uint16_t> ttl_fields) {
  assert(response.size >= kHeaderSize && response.size <= message.size() && message.size() <= kMaxMessage);
  if (!response.question || response.header.opcode() != 0) return unfit(Obstacle::malformed);
  if (response.header.has(flag::tc)) return unfit(Obstacle::truncated);

  Findings findings(message.first(response.size), *response.question, ttl_fields);
  if (const Obstacle obstacle = findings.read(); obstacle != Obstacle::none) return unfit(obstacle);
  Lifetime life{.kind = kind_of(response.rcode(), findings), .ttl_count = findings.count()};
  if (life.kind == ResponseKind::failure) return life;

  life.seconds = findings.least_ttl();
  if (is_negative(life.kind)) {
    if (!findings.has_soa()) return unfit(Obstacle::no_soa);
    life.seconds = std::min({life.seconds, findings.minimum(), kMaxNegativeLifetime});
  }
  return life.seconds == 0 ? unfit(Obstacle::zero_ttl) : life;
}

}  // namespace dotrelay::dns
