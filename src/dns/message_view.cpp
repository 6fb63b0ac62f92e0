// See message_view.hpp.
#include "dns/message_view.hpp"

namespace dotrelay::dns {
namespace {

constexpr std::size_t kQuestionFixedSize = 4;  // behind the name: QTYPE, QCLASS
constexpr std::size_t kRecordFixedSize = 10;   // behind the name: TYPE, CLASS, TTL, RDLENGTH

// What queries and answers have in common is inlined into both: so the reader stays in registers.

/// Nothing when the message is too short for a header.
[[gnu::always_inline]] inline std::optional<Counts> read_header(ByteReader& reader, Header& header) {
  const Bytes fixed = reader.take(kHeaderSize);
  if (fixed.empty()) return std::nullopt;
  header = {load_u16(&fixed[0]), load_u16(&fixed[2])};
  return Counts{load_u16(&fixed[4]), load_u16(&fixed[6]), load_u16(&fixed[8]), load_u16(&fixed[10])};
}

/// False when there is none, or a malformed one; `question` is empty then.
[[gnu::always_inline]] inline bool read_question(ByteReader& reader, std::optional<Question>& question) {
  question.reset();
  const Bytes name = read_plain_name(reader);
  if (name.empty()) return false;
  const Bytes fixed = reader.take(kQuestionFixedSize);
  if (fixed.empty()) return false;
  question.emplace();
  question->name = name;
  question->type = load_u16(&fixed[0]);
  question->klass = load_u16(&fixed[2]);
  return true;
}

/// An OPT has other meanings for CLASS and TTL (RFC 6891 6.1.2, 6.1.3). `fixed`: TYPE to RDLENGTH.
inline void read_opt(std::size_t offset, Bytes fixed, Bytes options, Opt& opt) {
  opt.offset = offset;
  opt.size = kOptFixedSize + options.size();
  opt.udp_size = load_u16(&fixed[2]);
  opt.extended_rcode = fixed[4];
  opt.version = fixed[5];
  opt.dnssec_ok = (fixed[6] & 0x80) != 0;
  opt.options = options;
}

struct Records {
  bool sound = true;
  bool tsig = false;
};

/// Reads all records and keeps what matters: at most one OPT, at the root, in the additional section (RFC 6891 6.1.1).
[[gnu::always_inline]] inline Records read_records(ByteReader& reader, const Counts& counts, std::optional<Opt>& opt) {
  Records records;
  const std::uint32_t before_additional = std::uint32_t{counts.answers} + counts.authorities;
  const std::uint32_t total = before_additional + counts.additionals;
  for (std::uint32_t i = 0; i < total; ++i) {
    const std::size_t offset = reader.offset();
    const bool named = skip_name(reader);
    const bool at_root = reader.offset() == offset + 1;
    const Bytes fixed = reader.take(kRecordFixedSize);
    const Bytes data = fixed.empty() ? Bytes() : reader.take(load_u16(&fixed[8]));
    if (!named || reader.failed()) {
      records.sound = false;
      return records;
    }
    const std::uint16_t type = load_u16(&fixed[0]);
    if (type == type::tsig) records.tsig = true;
    if (type != type::opt) continue;
    if (!at_root || i < before_additional || opt || !options_well_formed(data)) records.sound = false;
    if (at_root && !opt) read_opt(offset, fixed, data, opt.emplace());
  }
  return records;
}

bool refused_type(std::uint16_t type) { return type == type::axfr || type == type::ixfr || type == type::tkey; }

/// The error that a query is answered with at once, if it is.
std::optional<Rcode> error_for(const Query& query, bool sound, bool tsig) {
  if (query.header.opcode() != static_cast<std::uint8_t>(Opcode::query)) return Rcode::notimp;
  if (!sound) return Rcode::formerr;
  if (query.opt && query.opt->version > 0) return Rcode::badvers;
  if (refused_type(query.question->type)) return Rcode::refused;
  if (query.question->klass != klass::in && query.question->klass != klass::any) return Rcode::refused;
  if (tsig) return Rcode::notimp;
  return std::nullopt;
}

/// False when the message is no well-formed answer; `response` does not count then.
bool read_response(Bytes message, Response& response) {
  ByteReader reader(message);
  const std::optional<Counts> counts = read_header(reader, response.header);
  if (!counts || !response.header.has(flag::qr) || counts->questions > 1) return false;
  if (counts->questions == 1 && !read_question(reader, response.question)) return false;
  if (!read_records(reader, *counts, response.opt).sound) return false;
  response.size = reader.offset();
  return true;
}

}  // namespace

QueryVerdict parse_query(Bytes message) {
  QueryVerdict verdict;
  Query& query = verdict.query;
  ByteReader reader(message);
  const std::optional<Counts> counts = read_header(reader, query.header);
  if (!counts || query.header.has(flag::qr)) return verdict;

  // With another number of questions than one the OPT behind them still counts: the answer needs one then.
  bool readable = true;
  for (std::uint16_t i = 0; i < counts->questions && readable; ++i) {
    readable = read_question(reader, query.question);
  }
  Records records;
  if (readable) records = read_records(reader, *counts, query.opt);
  if (counts->questions != 1) query.question.reset();

  const bool sound = query.question && records.sound && reader.at_end();
  const std::optional<Rcode> error = error_for(query, sound, records.tsig);
  verdict.kind = error ? QueryVerdict::Kind::answer : QueryVerdict::Kind::relay;
  verdict.rcode = error.value_or(Rcode::noerror);
  return verdict;
}

bool Response::explained_by_dnssec() const {
  Bytes options = opt ? opt->options : Bytes();
  while (const auto option = take_option(options)) {
    if (option->code != option::extended_error || option->data.size() < 2) continue;
    const std::uint16_t code = load_u16(option->data.data());
    if (code == 1 || code == 2 || (code >= 5 && code <= 12)) return true;
  }
  return false;
}

std::optional<Response> parse_response(Bytes message) {
  std::optional<Response> response(std::in_place);
  if (!read_response(message, *response)) response.reset();
  return response;
}

}  // namespace dotrelay::dns
