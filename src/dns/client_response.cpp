// See client_response.hpp.
#include "dns/client_response.hpp"

#include "dns/compression.hpp"
#include "dns/local_records.hpp"
#include "dns/record_walk.hpp"

#include <array>
#include <cassert>
#include <cstring>

namespace dotrelay::dns {
namespace {

constexpr std::size_t kFlagsOffset = 2;
constexpr std::size_t kCountsOffset = 4;
constexpr std::size_t kAdditionalCountOffset = 10;

/// Room for the options of one answer. What an upstream sends beyond it is left out: options are advice, not data.
constexpr std::size_t kMaxAnswerOptions = 2048;

std::uint16_t low_rcode(Rcode rcode) { return static_cast<std::uint16_t>(rcode) & flag::rcode_mask; }

/// The flags of an answer of the relay's own. The meaning of RA and CD is known for queries only (RFC 6895 2).
std::uint16_t own_flags(const Asker& asker, Rcode rcode) {
  const bool is_query = (asker.flags & flag::opcode_mask) == 0;
  const unsigned repeated = flag::opcode_mask | flag::rd | (is_query ? flag::cd : 0U);
  const unsigned available = is_query ? flag::ra : 0U;
  return static_cast<std::uint16_t>(flag::qr | available | (asker.flags & repeated) | low_rcode(rcode));
}

/// A client without EDNS cannot be told an RCODE above 15 (RFC 6891 6.1.3).
Rcode rcode_for(const Asker& asker, Rcode rcode) {
  return !asker.edns && static_cast<std::uint16_t>(rcode) > flag::rcode_mask ? Rcode::servfail : rcode;
}

void write_keepalive(ByteWriter& writer, const Asker& asker) {
  if (!asker.keepalive) return;
  std::array<std::uint8_t, 2> timeout;
  store_u16(timeout.data(), *asker.keepalive);
  write_option(writer, option::tcp_keepalive, timeout);
}

void write_opt_with(ByteWriter& writer, const Asker& asker, Rcode rcode, Bytes options) {
  write_opt(writer, rcode, asker.dnssec_ok, options.size());
  writer.put(options);
}

/// The options of the answer to `asker`: the relay's own, with `remark` if there is one, and those of the upstream's
/// OPT that reach clients.
Bytes write_answer_options(MutableBytes buffer, const Asker& asker, std::optional<ExtendedError> remark,
                           const std::optional<Opt>& upstream) {
  ByteWriter writer(buffer);
  write_keepalive(writer, asker);
  if (remark) write_extended_error(writer, *remark, {});
  if (upstream) write_options_for_client(writer, buffer.size(), upstream->options);
  return writer.written();
}

/// An upstream's answer on its way to an asker.
struct Fitting {
  const ResponseView& response;
  const Asker& asker;
  Bytes name;
  std::uint16_t flags;  ///< of the answer
  Rcode rcode;

  [[nodiscard]] std::size_t size_with(std::size_t records, Bytes options) const {
    return records + (asker.edns ? kOptFixedSize + options.size() : 0);
  }
  [[nodiscard]] bool fits(std::size_t records, Bytes options) const {
    return size_with(records, options) <= asker.size_limit;
  }
};

/// Writes what depends on the asker over and behind the upstream's octets: the header but for its counts, the
/// question's name, and the OPT.
[[gnu::always_inline]] inline void write_askers_part(ByteWriter& writer, MutableBytes buffer, const Fitting& fitting,
                                                     Bytes options) {
  if (fitting.asker.edns) write_opt_with(writer, fitting.asker, fitting.rcode, options);
  assert(!writer.failed());
  store_u16(buffer.data(), fitting.asker.id);
  store_u16(&buffer[kFlagsOffset], fitting.flags);
  std::memcpy(&buffer[kHeaderSize], fitting.name.data(), fitting.name.size());
}

/// Where parts of an answer end that can be relayed without the rest: no pointer leads forwards.
struct Extent {
  std::uint16_t fitting_answers = 0;  ///< records of the answer section that fit a number of octets
  std::size_t fitting_end = 0;        ///< of those
  std::size_t authority_end = 0;
};

Extent extent_of(Bytes message, const ResponseView& response, std::size_t limit) {
  ByteReader reader(message);
  const Bytes header = reader.take(kHeaderSize + response.question->wire_size());
  RecordWalk walk(reader, {1, load_u16(&header[kCountsOffset + 2]), load_u16(&header[kCountsOffset + 4]), 0});
  Extent extent{0, reader.offset(), reader.offset()};
  Record record;
  while (walk.next(record)) {
    extent.authority_end = walk.offset();
    if (record.section != Section::answer || walk.offset() > limit) continue;
    ++extent.fitting_answers;
    extent.fitting_end = walk.offset();
  }
  return extent;
}

/// An answer of which not everything can be relayed. Additional records go first (RFC 2181 9). Then it is truncated: to
/// nothing for a client with EDNS, which asks again over TCP, else to the records that fit, since old clients know no
/// TCP and take what is there.
[[gnu::cold]] Bytes write_shortened(MutableBytes buffer, Bytes message, Fitting fitting, Bytes options) {
  const Asker& asker = fitting.asker;
  const Extent extent = extent_of(message, fitting.response, asker.size_limit);
  if (!fitting.fits(extent.authority_end, options)) options = {};
  Counts counts{1, 0, 0, static_cast<std::uint16_t>(asker.edns ? 1 : 0)};
  std::size_t kept = kHeaderSize + fitting.response.question->wire_size();
  if (fitting.fits(extent.authority_end, options)) {
    kept = extent.authority_end;
    counts.answers = load_u16(&message[kCountsOffset + 2]);
    counts.authorities = load_u16(&message[kCountsOffset + 4]);
  } else {
    options = {};
    fitting.flags |= flag::tc;
    if (!asker.edns) {
      kept = extent.fitting_end;
      counts.answers = extent.fitting_answers;
    }
  }
  ByteWriter writer(buffer);
  write_header(writer, {asker.id, fitting.flags}, counts);
  writer.put(message.subspan(kHeaderSize, kept - kHeaderSize));
  write_askers_part(writer, buffer, fitting, options);
  return writer.written();
}

/// Corrects the pointers in the records that stood behind the upstream's OPT; `copy` is the message without it. False
/// when that is impossible.
[[gnu::cold]] bool close_gap(MutableBytes copy, Bytes message, const ResponseView& response) {
  const Cut cut{response.opt->offset, response.opt->size, kHeaderSize + response.question->name.size() - 1};
  ByteReader reader(message);
  const Bytes header = reader.take(kHeaderSize + response.question->wire_size());
  RecordWalk walk(reader, {1, load_u16(&header[kCountsOffset + 2]), load_u16(&header[kCountsOffset + 4]),
                           load_u16(&header[kCountsOffset + 6])});
  Record record;
  while (walk.next(record)) {
    if (record.offset > cut.begin && !correct_pointers(copy, message, record, cut)) return false;
  }
  return true;
}

std::uint16_t size_limit_for(const QueryView& query, Transport transport) {
  if (transport.tcp) return static_cast<std::uint16_t>(kMaxMessage);
  return query.opt ? std::clamp(query.opt->udp_size, kPlainUdpSize, kMaxUdpResponse) : kPlainUdpSize;
}

/// How an answer is to be fitted.
struct Wish {
  const Asker& asker;
  Bytes name;                           ///< the question's, as the asker spelled it
  std::optional<ExtendedError> remark;  ///< of the relay's own, for an asker with EDNS
};

/// See write_relayed_response().
[[gnu::always_inline]] inline Bytes fit(MutableBytes buffer, Bytes message, const ResponseView& response,
                                        const Wish& wish) {
  const auto& [asker, name, remark] = wish;
  assert(response.question && response.question->name.size() == name.size() && buffer.size() >= kResponseBuffer);
  message = message.first(response.size);
  const Rcode rcode = rcode_for(asker, response.rcode());
  const std::uint16_t flags =
      static_cast<std::uint16_t>((response.header.flags & ~flag::rcode_mask) | low_rcode(rcode));
  const Fitting fitting{response, asker, name, flags, rcode};
  std::array<std::uint8_t, kMaxAnswerOptions> options_buffer;
  Bytes options = asker.edns ? write_answer_options(options_buffer, asker, remark, response.opt) : Bytes();

  // The upstream's OPT is cut out.
  const bool has_opt = response.opt.has_value();
  const std::size_t opt_begin = has_opt ? response.opt->offset : message.size();
  const std::size_t opt_end = has_opt ? opt_begin + response.opt->size : message.size();
  const std::size_t kept = message.size() - (opt_end - opt_begin);
  if (!fitting.fits(kept, options)) {
    if (!fitting.fits(kept, {})) return write_shortened(buffer, message, fitting, options);
    options = {};  // options are advice: they go before records do
  }

  ByteWriter writer(buffer);
  writer.put(message.first(opt_begin));
  if (opt_end != message.size()) [[unlikely]] {
    writer.put(message.subspan(opt_end));
    if (!close_gap(buffer, message, response)) return write_shortened(buffer, message, fitting, options);
  }
  const int count = load_u16(&message[kAdditionalCountOffset]) - (has_opt ? 1 : 0) + (asker.edns ? 1 : 0);
  store_u16(&buffer[kAdditionalCountOffset], static_cast<std::uint16_t>(count));
  write_askers_part(writer, buffer, fitting, options);
  return writer.written();
}

}  // namespace

Asker::Asker(const QueryView& query, Transport transport)
    : id(query.header.id),
      flags(query.header.flags),
      edns(query.opt.has_value()),
      dnssec_ok(edns && query.opt->dnssec_ok),
      size_limit(size_limit_for(query, transport)) {
  if (!transport.tcp || !edns) return;
  Bytes rest = query.opt->options;
  while (const auto option = take_option(rest)) {
    if (option->code == option::tcp_keepalive) keepalive = transport.keepalive;
  }
}

Bytes write_relayed_response(MutableBytes buffer, Bytes message, const ResponseView& response, const Asker& asker,
                             Bytes name) {
  return fit(buffer, message, response, {asker, name, {}});
}

Bytes write_stale_response(MutableBytes buffer, Bytes message, const ResponseView& response, const Asker& asker,
                           Bytes name) {
  const bool nxdomain = response.rcode() == Rcode::nxdomain;
  const ExtendedError remark = nxdomain ? ExtendedError::stale_nxdomain_answer : ExtendedError::stale_answer;
  return fit(buffer, message, response, {asker, name, remark});
}

Bytes write_error_response(MutableBytes buffer, const Asker& asker, const std::optional<Question>& question,
                           Rcode rcode, const std::optional<Explanation>& explanation) {
  rcode = rcode_for(asker, rcode);
  ByteWriter writer(buffer);
  write_header(writer, {asker.id, own_flags(asker, rcode)},
               {static_cast<std::uint16_t>(question ? 1 : 0), 0, 0, static_cast<std::uint16_t>(asker.edns ? 1 : 0)});
  if (question) write_question(writer, *question);
  if (asker.edns) {
    std::array<std::uint8_t, kMaxErrorText + 64> options_buffer;
    ByteWriter options(options_buffer);
    write_keepalive(options, asker);
    if (explanation) {
      // The explanation may never be what makes an answer too long for the client.
      const std::size_t used = writer.size() + kOptFixedSize + options.size() + 6;
      const std::size_t room = asker.size_limit > used ? asker.size_limit - used : 0;
      write_extended_error(options, explanation->code, explanation->text.substr(0, room));
    }
    write_opt_with(writer, asker, rcode, options.written());
  }
  assert(!writer.failed());
  return writer.written();
}

Bytes write_local_response(MutableBytes buffer, const Asker& asker, const Question& question,
                           const LocalAnswer& answer) {
  Counts counts = count_local_records(answer);
  counts.additionals = asker.edns ? 1 : 0;
  ByteWriter writer(buffer);
  write_header(writer, {asker.id, own_flags(asker, answer.rcode)}, counts);
  write_question(writer, question);
  write_local_records(writer, question, answer);
  if (asker.edns) {
    std::array<std::uint8_t, 16> options_buffer;
    ByteWriter options(options_buffer);
    write_keepalive(options, asker);
    write_opt_with(writer, asker, answer.rcode, options.written());
  }
  assert(!writer.failed());
  return writer.written();
}

}  // namespace dotrelay::dns
