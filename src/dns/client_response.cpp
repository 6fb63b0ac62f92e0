// See client_response.hpp.
#include "dns/client_response.hpp"

#include <array>
#include <cassert>
#include <cstring>

namespace dotrelay::dns {
namespace {

constexpr std::size_t kFlagsOffset = 2;
constexpr std::size_t kAdditionalCountOffset = 10;
constexpr std::uint16_t kRepeatedFlags = flag::rd | flag::cd | flag::opcode_mask;
constexpr std::uint32_t kLocalTtl = 10800;  // as BIND's and Unbound's built-in localhost zones

/// Room for the options of one answer. What an upstream sends beyond it is left out: options are advice, not data.
constexpr std::size_t kMaxAnswerOptions = 2048;

std::uint16_t low_rcode(Rcode rcode) { return static_cast<std::uint16_t>(rcode) & flag::rcode_mask; }

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

/// The options of the answer to `asker`: the relay's own and those of the upstream's OPT that reach clients.
Bytes write_answer_options(MutableBytes buffer, const Asker& asker, const std::optional<Opt>& upstream) {
  ByteWriter writer(buffer);
  write_keepalive(writer, asker);
  Bytes rest = upstream ? upstream->options : Bytes();
  while (const auto option = take_option(rest)) {
    if (!carried_to_client(option->code)) continue;
    if (writer.size() + option->data.size() + 4 > buffer.size()) break;
    write_option(writer, option->code, option->data);
  }
  return writer.written();
}

/// Whether a compression pointer in `message` from `from` on may point to `offset` or behind it. Octets that only look
/// like one count too, since RDATA is not parsed.
bool may_point_behind(Bytes message, std::size_t from, std::size_t offset) {
  for (std::size_t i = from; i + 1 < message.size(); ++i) {
    if ((message[i] & 0xc0) == 0xc0 && (load_u16(&message[i]) & 0x3fffU) >= offset) return true;
  }
  return false;
}

/// Overwrites an OPT that must stay where it is: the asker's options where they fit its length, else padding only.
void rewrite_opt_in_place(MutableBytes message, const Opt& opt, const Asker& asker, Rcode rcode, Bytes options) {
  const std::size_t room = opt.size - kOptFixedSize;
  if (!asker.edns || (options.size() != room && options.size() + 4 > room)) options = {};
  ByteWriter writer(message.subspan(opt.offset, opt.size));
  write_opt(writer, rcode, asker.dnssec_ok, room);
  writer.put(options);
  write_padding(writer, room - options.size());
  assert(!writer.failed() && writer.size() == opt.size);
}

Bytes write_truncated(MutableBytes buffer, const Question& question, const Asker& asker, std::uint16_t flags,
                      Rcode rcode) {
  ByteWriter writer(buffer);
  write_header(writer, {asker.id, static_cast<std::uint16_t>(flags | flag::tc)},
               {1, 0, 0, static_cast<std::uint16_t>(asker.edns ? 1 : 0)});
  write_question(writer, question);
  if (asker.edns) write_opt_with(writer, asker, rcode, {});
  return writer.written();
}

std::uint16_t size_limit_for(const Query& query, Transport transport) {
  if (transport.tcp) return static_cast<std::uint16_t>(kMaxMessage);
  return query.opt ? std::clamp(query.opt->udp_size, kPlainUdpSize, kMaxUdpAnswer) : kPlainUdpSize;
}

}  // namespace

Asker::Asker(const Query& query, Transport transport)
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

Bytes write_relayed_answer(MutableBytes buffer, Bytes message, const Response& response, const Asker& asker,
                           Bytes name) {
  assert(response.question && response.question->name.size() == name.size() && buffer.size() >= kResponseBuffer);
  message = message.first(response.size);
  const Rcode rcode = rcode_for(asker, response.rcode());
  const std::uint16_t flags =
      static_cast<std::uint16_t>((response.header.flags & ~flag::rcode_mask) | low_rcode(rcode));
  std::array<std::uint8_t, kMaxAnswerOptions> options_buffer;
  Bytes options = asker.edns ? write_answer_options(options_buffer, asker, response.opt) : Bytes();

  // Where the upstream's OPT goes: cut out, unless a pointer behind it would then point elsewhere. A pointer to the OPT
  // itself counts: its owner is a root label, with which a name may end.
  const bool has_opt = response.opt.has_value();
  const std::size_t opt_begin = has_opt ? response.opt->offset : message.size();
  const std::size_t opt_end = has_opt ? opt_begin + response.opt->size : message.size();
  const bool in_place = has_opt && opt_end != message.size() && may_point_behind(message, opt_end, opt_begin);

  const std::size_t kept = in_place ? message.size() : message.size() - (opt_end - opt_begin);
  const auto size_with = [&](Bytes all) { return kept + (asker.edns && !in_place ? kOptFixedSize + all.size() : 0); };
  if (size_with(options) > asker.size_limit) options = {};  // options are advice: they go before the records do
  if (size_with(options) > asker.size_limit) {
    return write_truncated(buffer, {name, response.question->type, response.question->klass}, asker, flags, rcode);
  }

  ByteWriter writer(buffer);
  if (in_place) {
    writer.put(message);
    rewrite_opt_in_place(buffer, *response.opt, asker, rcode, options);
  } else {
    writer.put(message.first(opt_begin));
    writer.put(message.subspan(opt_end));
    if (asker.edns) write_opt_with(writer, asker, rcode, options);
    const int count = load_u16(&message[kAdditionalCountOffset]) - (has_opt ? 1 : 0) + (asker.edns ? 1 : 0);
    store_u16(&buffer[kAdditionalCountOffset], static_cast<std::uint16_t>(count));
  }
  assert(!writer.failed());
  store_u16(buffer.data(), asker.id);
  store_u16(&buffer[kFlagsOffset], flags);
  std::memcpy(&buffer[kHeaderSize], name.data(), name.size());
  return writer.written();
}

Bytes write_error_answer(MutableBytes buffer, const Asker& asker, const std::optional<Question>& question, Rcode rcode,
                         const std::optional<Explanation>& explanation) {
  rcode = rcode_for(asker, rcode);
  const auto flags =
      static_cast<std::uint16_t>(flag::qr | flag::ra | (asker.flags & kRepeatedFlags) | low_rcode(rcode));
  ByteWriter writer(buffer);
  write_header(writer, {asker.id, flags},
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

Bytes write_local_answer(MutableBytes buffer, const Asker& asker, const Question& question, const LocalAnswer& answer) {
  const auto flags =
      static_cast<std::uint16_t>(flag::qr | flag::ra | (asker.flags & kRepeatedFlags) | low_rcode(answer.rcode));
  ByteWriter writer(buffer);
  write_header(writer, {asker.id, flags},
               {1, static_cast<std::uint16_t>(answer.address.empty() ? 0 : 1), 0,
                static_cast<std::uint16_t>(asker.edns ? 1 : 0)});
  write_question(writer, question);
  if (!answer.address.empty()) {
    writer.u16(0xc000 | kHeaderSize);
    writer.u16(question.type);
    writer.u16(klass::in);
    writer.u32(kLocalTtl);
    writer.u16(static_cast<std::uint16_t>(answer.address.size()));
    writer.put(answer.address);
  }
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
