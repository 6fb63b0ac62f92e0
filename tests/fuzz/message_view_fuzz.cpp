// Arbitrary octets as a client's query and as an upstream's answer. What the relay makes of them for several askers
// must parse again, carry the asker's ID and spelling, keep to its size and EDNS state, and lose or bend no record.
#include "fuzz.hpp"

#include "dns/client_response.hpp"
#include "dns/compression.hpp"
#include "dns/upstream_query.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <vector>

using namespace dotrelay;
using namespace dotrelay::dns;

namespace {

using Octets = std::vector<std::uint8_t>;

constexpr Transport kUdp{};
constexpr Transport kTcp{.tcp = true, .keepalive = 300};

/// A record as a reader of the whole message sees it.
struct SeenRecord {
  int section = 0;  ///< 0 answer, 1 authority, 2 additional
  /// Owner and names in RDATA, expanded and folded; "?" where a pointer leads to what an answer's reader must not rely
  /// on.
  std::vector<std::string> names;
  Octets rest;  ///< TYPE to RDATA, with zeros for the pointers of its names

  friend bool operator==(const SeenRecord& left, const SeenRecord& right) {
    const auto same = [](const std::string& one, const std::string& other) {
      return one == other || one == "?" || other == "?";
    };
    return left.section == right.section && left.rest == right.rest &&
           std::ranges::equal(left.names, right.names, same);
  }
};

class Reader {
 public:
  Reader(Bytes message, const std::optional<Opt>& opt) : message_(message), opt_(opt), pointers_(message.size()) {}

  /// All records but the OPT. The message is known to be well-formed.
  std::vector<SeenRecord> records() {
    if (count(4) == 1) at_ = end_of_name(at_) + 4;
    const std::size_t first = at_;
    for_each([&](int, std::size_t at, std::size_t end) {
      for (const std::size_t name : names_of(at, end)) mark_pointer(name, end);
    });
    std::vector<SeenRecord> seen;
    at_ = first;
    for_each([&](int section, std::size_t at, std::size_t end) {
      if (opt_ && at == opt_->offset) return;
      SeenRecord& record = seen.emplace_back();
      record.section = section;
      for (const std::size_t name : names_of(at, end)) record.names.push_back(expanded(name));
      for (std::size_t i = end_of_name(at); i < end; ++i) record.rest.push_back(pointers_[i] != 0 ? 0 : message_[i]);
    });
    assert(at_ == message_.size());
    return seen;
  }

 private:
  std::uint16_t count(std::size_t offset) const { return load_u16(&message_[offset]); }

  template <class Visit>
  void for_each(Visit visit) {
    for (int section = 0; section < 3; ++section) {
      for (std::size_t left = count(6 + 2 * static_cast<std::size_t>(section)); left > 0; --left) {
        const std::size_t fixed = end_of_name(at_);
        const std::size_t end = fixed + 10 + count(fixed + 8);
        visit(section, at_, end);
        at_ = end;
      }
    }
  }

  std::size_t end_of_name(std::size_t at) const { return end_of_name(at, message_.size()); }

  /// 0: there is no whole name before `end`.
  std::size_t end_of_name(std::size_t at, std::size_t end) const {
    for (; at < end; at += 1U + message_[at]) {
      if (message_[at] == 0) return at + 1;
      if (message_[at] >= 0xc0) return at + 2 <= end ? at + 2 : 0;
      if (message_[at] > kMaxLabel) return 0;
    }
    return 0;
  }

  /// Where the names of the record at `at` begin; no name of its RDATA counts when one of them is malformed.
  std::vector<std::size_t> names_of(std::size_t at, std::size_t end) const {
    std::vector<std::size_t> names = {at};
    const std::size_t fixed = end_of_name(at);
    const RdataLayout layout = rdata_layout(count(fixed));
    std::size_t in_data = fixed + 10 + layout.octets;
    for (int i = 0; i < layout.character_strings && in_data < end; ++i) in_data += 1U + message_[in_data];
    for (int i = 0; i < layout.names; ++i) {
      names.push_back(in_data);
      in_data = end_of_name(in_data, end);
      if (in_data == 0) return {at};
    }
    return names;
  }

  void mark_pointer(std::size_t at, std::size_t end) {
    while (message_[at] != 0 && message_[at] < 0xc0) at += 1U + message_[at];
    if (message_[at] == 0) return;
    assert(at + 2 <= end);
    pointers_[at] = 1;
    pointers_[at + 1] = 2;
  }

  /// The header changes and so do the OPT, but for the root label that is its owner, and pointers behind it.
  bool may_be_read(std::size_t at, std::size_t segment) const {
    if (at < kHeaderSize || at >= message_.size()) return false;
    return !opt_ || at < opt_->offset || at >= opt_->offset + opt_->size || (at == opt_->offset && at == segment);
  }

  std::string expanded(std::size_t at) const {
    std::string text;
    std::size_t segment = at;
    for (;;) {
      if (!may_be_read(at, segment)) return "?";
      const std::uint8_t length = message_[at];
      if (length >= 0xc0) {
        // Only the pointers of names are corrected, not what looks like one in other data.
        if (pointers_[at] != 1) return "?";
        const std::size_t target = load_u16(&message_[at]) & 0x3fffU;
        if (target >= segment) return "?";
        at = segment = target;
        continue;
      }
      if (pointers_[at] != 0) return "?";
      if (length == 0) return text;
      if (length > kMaxLabel) return "?";
      for (std::size_t i = 0; i <= length; ++i, ++at) {
        if (!may_be_read(at, segment) || pointers_[at] != 0) return "?";
        text += static_cast<char>(fold_case(message_[at]));
      }
    }
  }

  Bytes message_;
  const std::optional<Opt>& opt_;
  Octets pointers_;  ///< 1 and 2 for the octets of the pointers that names end in, else 0
  std::size_t at_ = kHeaderSize;
};

Rcode told(const Asker& asker, Rcode rcode) {
  return !asker.edns && static_cast<unsigned>(rcode) > 15 ? Rcode::servfail : rcode;
}

/// What every answer owes its asker.
ResponseView check_answer(Bytes answer, const Asker& asker, Rcode rcode) {
  assert(answer.size() <= asker.size_limit);
  const auto response = parse_response(answer);
  assert(response && response->size == answer.size());
  assert(response->header.id == asker.id);
  assert(!asker.edns || response->opt);
  if (response->opt) assert(response->opt->version == 0 && response->opt->dnssec_ok == asker.dnssec_ok);
  assert(response->rcode() == told(asker, rcode));
  return *response;
}

void check_spelling(const ResponseView& answer, Bytes spelled) {
  assert(answer.question && equal(answer.question->name, spelled));
}

void check_query(Bytes message, Transport transport) {
  const QueryVerdict verdict = parse_query(message);
  if (verdict.kind == QueryVerdict::Kind::ignore) {
    assert(message.size() < kHeaderSize || (message[2] & 0x80) != 0);
    return;
  }
  const QueryView& query = verdict.query;
  const Asker asker(query, transport);
  Octets buffer(kResponseBuffer);
  const Rcode rcode = verdict.kind == QueryVerdict::Kind::answer ? verdict.rcode : Rcode::servfail;
  const std::string reason(message.size() % 700, 'x');
  const Bytes error =
      write_error_response(buffer, asker, query.question, rcode, Explanation{ExtendedError::network_error, reason});
  const ResponseView told_error = check_answer(error, asker, rcode);
  assert(told_error.opt.has_value() == asker.edns);
  assert(told_error.question.has_value() == query.question.has_value());
  if (query.question) check_spelling(told_error, query.question->name);
  if (verdict.kind == QueryVerdict::Kind::answer) return;

  for (std::size_t i = 0; i < static_cast<std::size_t>(LocalZone::count_) && query.question->name.size() > 1; ++i) {
    const LocalAnswer local = local_answer(static_cast<LocalZone>(i), *query.question,
                                           last_labels(query.question->name, 1 + query.header.id % 4U));
    const ResponseView answer =
        check_answer(write_local_response(buffer, asker, *query.question, local), asker, local.rcode);
    check_spelling(answer, query.question->name);
  }
  const auto options = query.opt ? carried_options(*query.opt) : std::optional(Octets());
  if (!options) return;
  Octets up(kMaxUpstreamQuery);
  up.resize(write_upstream_query(
      up, {.id = 1, .flags = query.header.flags, .question = *query.question, .options = *options}));
  assert(up.size() % kPaddingBlock == 0);
  const QueryVerdict again = parse_query(up);
  assert(again.kind == QueryVerdict::Kind::relay && same_question(*again.query.question, *query.question));
}

/// The same name with some letters in the other case, as `bits` says.
Octets respell(Bytes name, std::uint32_t bits) {
  Octets spelled(name.begin(), name.end());
  for (std::size_t i = 0; i < spelled.size(); ++i) {
    const std::uint8_t lower = fold_case(spelled[i]);
    if (lower >= 'a' && lower <= 'z')
      spelled[i] = ((bits >> (i % 32)) & 1) != 0 ? static_cast<std::uint8_t>(lower & ~0x20) : lower;
  }
  return spelled;
}

void check_relayed(Bytes message, const ResponseView& response, const Asker& asker, Bytes spelled) {
  Octets buffer(kResponseBuffer, 0xee);
  const Bytes answer = write_relayed_response(buffer, message, response, asker, spelled);
  const ResponseView read = check_answer(answer, asker, response.rcode());
  check_spelling(read, spelled);
  assert(read.question->type == response.question->type && read.question->klass == response.question->klass);
  constexpr std::uint16_t kMayChange = flag::tc | flag::rcode_mask;
  assert((read.header.flags & ~kMayChange) == (response.header.flags & ~kMayChange));

  assert(read.opt.has_value() == asker.edns);
  assert(!read.opt || read.opt->offset + read.opt->size == answer.size());

  const bool opt_was_last = !response.opt || response.opt->offset + response.opt->size == response.size;
  const std::vector<SeenRecord> before = Reader(message.first(response.size), response.opt).records();
  const std::vector<SeenRecord> after = Reader(answer, read.opt).records();
  const bool fits = response.size <= asker.size_limit - kOptFixedSize;
  const bool still_truncated = read.header.has(flag::tc) == response.header.has(flag::tc);
  if (before == after && still_truncated) return;
  assert(!fits || !opt_was_last);
  const auto section_end = [&](int section) {
    return std::ranges::find_if(before, [&](const SeenRecord& record) { return record.section > section; });
  };
  if (std::ranges::equal(before.begin(), section_end(1), after.begin(), after.end()) && still_truncated) return;
  assert(!fits && read.header.has(flag::tc) && (!asker.edns || after.empty()));
  const auto answers = static_cast<std::size_t>(section_end(0) - before.begin());
  assert(after.size() <= answers && std::ranges::equal(after, std::span(before).first(after.size())));
}

/// What can be read of a message that is no sound answer agrees with what its reader makes of a sound one.
void check_broken(Bytes message, const std::optional<ResponseView>& response) {
  const auto broken = read_broken_answer(message);
  assert(broken.has_value() == (message.size() >= 4));
  if (!broken) return;
  assert(broken->id == load_u16(message.data()));
  if (message.size() < kHeaderSize || load_u16(&message[4]) == 0) assert(!broken->question);
  if (!response) return;
  assert(broken->response == (response->header.opcode() == 0));
  assert(broken->question.has_value() == response->question.has_value());
  if (broken->question) assert(same_question(*broken->question, *response->question));
}

void check_response(Bytes message) {
  const auto response = parse_response(message);
  check_broken(message, response);
  if (!response) return;
  assert(response->size <= message.size());
  if (!response->question) return;

  const std::array<std::uint8_t, 4> keepalive = {0, option::tcp_keepalive, 0, 0};
  QueryView query;
  query.question = response->question;
  std::uint32_t bits = response->header.id * 0x9e3779b9U;
  for (const std::uint16_t udp_size : {0, 512, 700, 4096}) {
    for (const bool edns : {false, true}) {
      for (const Transport transport : {kUdp, kTcp}) {
        bits = bits * 1664525U + 1013904223U;
        const Octets spelled = respell(response->question->name, bits);
        query.header.id = static_cast<std::uint16_t>(bits);
        query.question->name = spelled;
        query.opt.reset();
        if (edns) {
          query.opt.emplace();
          query.opt->udp_size = udp_size;
          query.opt->dnssec_ok = (bits & 1) != 0;
          if ((bits & 2) != 0) query.opt->options = keepalive;
        }
        check_relayed(message, *response, Asker(query, transport), spelled);
      }
    }
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > kMaxMessage) return 0;
  const Bytes message(data, size);
  check_query(message, kUdp);
  check_query(message, kTcp);
  check_response(message);
  return 0;
}
