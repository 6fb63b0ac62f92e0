// See message_view.hpp.
#include "dns/message_view.hpp"

#include "dns/record_walk.hpp"

namespace dotrelay::dns {
namespace {

constexpr std::size_t kQuestionFixedSize = 4;  // behind the name: QTYPE, QCLASS

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

/// An OPT has other meanings for CLASS and TTL (RFC 6891 6.1.2, 6.1.3).
[[gnu::always_inline]] inline void read_opt(const Record& record, Opt& opt) {
  opt.offset = record.offset;
  opt.size = kOptFixedSize + record.data.size();
  opt.udp_size = load_u16(&record.fixed[2]);
  opt.extended_rcode = record.fixed[4];
  opt.version = record.fixed[5];
  opt.dnssec_ok = (record.fixed[6] & 0x80) != 0;
  opt.options = record.data;
}

struct Records {
  bool sound = true;
  bool tsig = false;
};

/// Reads all records and keeps what matters: at most one OPT, at the root, in the additional section (RFC 6891 6.1.1).
[[gnu::always_inline]] inline Records read_records(ByteReader& reader, const Counts& counts, std::optional<Opt>& opt) {
  Records records;
  RecordWalk walk(reader, counts);
  Record record;
  while (walk.next(record)) {
    const std::uint16_t type = record.type();
    if (type == type::tsig) records.tsig = true;
    if (type != type::opt) continue;
    const bool misplaced = !record.at_root || record.section != Section::additional;
    if (misplaced || opt || !options_well_formed(record.data)) records.sound = false;
    if (record.at_root && !opt) read_opt(record, opt.emplace());
  }
  if (walk.failed()) records.sound = false;
  return records;
}

bool refused_type(std::uint16_t type) { return type == type::axfr || type == type::ixfr || type == type::tkey; }

/// Types that only name something inside of messages (RFC 6895 3.1, RFC 6891 6.1.1, RFC 9824 3.5, RFC 8945 4.2).
bool invalid_question_type(std::uint16_t type) {
  return type == 0 || type == type::opt || type == type::nxname || type == type::tsig;
}

/// The error that a query is answered with at once, if it is.
std::optional<Rcode> error_for(const QueryView& query, bool sound, bool tsig) {
  if (query.header.opcode() != static_cast<std::uint8_t>(Opcode::query)) return Rcode::notimp;
  if (!sound) return Rcode::formerr;
  if (query.opt && query.opt->version > 0) return Rcode::badvers;
  if (refused_type(query.question->type)) return Rcode::refused;
  if (invalid_question_type(query.question->type)) return Rcode::formerr;
  if (query.question->klass != klass::in && query.question->klass != klass::any) return Rcode::refused;
  if (tsig) return Rcode::notimp;
  return std::nullopt;
}

/// False when the message is no well-formed answer; `response` does not count then.
bool read_response(Bytes message, ResponseView& response) {
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
  QueryView& query = verdict.query;
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

  // Octets behind the last record do no harm: none of them goes upstream.
  const bool sound = query.question && records.sound;
  const std::optional<Rcode> error = error_for(query, sound, records.tsig);
  verdict.kind = error ? QueryVerdict::Kind::answer : QueryVerdict::Kind::relay;
  verdict.rcode = error.value_or(Rcode::noerror);
  if (error == Rcode::formerr && sound) verdict.reason = ExtendedError::invalid_query_type;
  return verdict;
}

bool ResponseView::explained_by_dnssec() const {
  return opt && has_extended_error(opt->options, [](std::uint16_t code) {
           return code == 1 || code == 2 || (code >= 5 && code <= 12);
         });
}

bool ResponseView::blocked_by_policy() const {
  return opt && has_extended_error(opt->options, [](std::uint16_t code) { return code >= 15 && code <= 18; });
}

std::optional<ResponseView> parse_response(Bytes message) {
  std::optional<ResponseView> response(std::in_place);
  if (!read_response(message, *response)) response.reset();
  return response;
}

std::optional<BrokenAnswer> read_broken_answer(Bytes message) {
  constexpr std::size_t kIdAndFlags = 4;
  if (message.size() < kIdAndFlags) return std::nullopt;
  BrokenAnswer answer;
  const Header start{load_u16(&message[0]), load_u16(&message[2])};
  answer.id = start.id;
  answer.response = start.has(flag::qr) && start.opcode() == static_cast<std::uint8_t>(Opcode::query);
  ByteReader reader(message);
  Header header;
  const std::optional<Counts> counts = read_header(reader, header);
  if (counts && counts->questions > 0) read_question(reader, answer.question);
  return answer;
}

}  // namespace dotrelay::dns
