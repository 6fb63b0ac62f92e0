// See message_view.hpp.
#include "dns/message_view.hpp"

#include "dns/name.hpp"

namespace dotrelay::dns {
namespace {

struct Counts {
  std::uint16_t questions, answers, authorities, additionals;
};

struct Record {
  bool at_root = false;
  std::size_t offset = 0;
  std::uint16_t type = 0;
  std::uint16_t klass = 0;
  std::uint32_t ttl = 0;
  Bytes data;
};

Counts read_counts(ByteReader& reader) {
  Counts counts{};
  counts.questions = reader.u16();
  counts.answers = reader.u16();
  counts.authorities = reader.u16();
  counts.additionals = reader.u16();
  return counts;
}

std::optional<Question> read_question(ByteReader& reader) {
  Question question;
  question.name = read_plain_name(reader);
  if (question.name.empty()) return std::nullopt;
  question.type = reader.u16();
  question.klass = reader.u16();
  if (reader.failed()) return std::nullopt;
  return question;
}

std::optional<Record> read_record(ByteReader& reader) {
  Record record;
  record.offset = reader.offset();
  if (!skip_name(reader)) return std::nullopt;
  record.at_root = reader.offset() == record.offset + 1;
  record.type = reader.u16();
  record.klass = reader.u16();
  record.ttl = reader.u32();
  record.data = reader.take(reader.u16());
  if (reader.failed()) return std::nullopt;
  return record;
}

Opt opt_from(const Record& record, std::size_t end) {
  Opt opt;
  opt.offset = record.offset;
  opt.size = end - record.offset;
  opt.udp_size = record.klass;
  opt.extended_rcode = static_cast<std::uint8_t>(record.ttl >> 24);
  opt.version = static_cast<std::uint8_t>(record.ttl >> 16);
  opt.dnssec_ok = (record.ttl & 0x8000) != 0;
  opt.options = record.data;
  return opt;
}

struct Records {
  bool sound = true;
  bool tsig = false;
  std::optional<Opt> opt;
};

/// Reads all records and keeps what matters: at most one OPT, at the root, in the additional section (RFC 6891 6.1.1).
Records read_records(ByteReader& reader, const Counts& counts) {
  Records records;
  const std::uint32_t before_additional = std::uint32_t{counts.answers} + counts.authorities;
  const std::uint32_t total = before_additional + counts.additionals;
  for (std::uint32_t i = 0; i < total; ++i) {
    const std::optional<Record> record = read_record(reader);
    if (!record) {
      records.sound = false;
      return records;
    }
    if (record->type == type::tsig) records.tsig = true;
    if (record->type != type::opt) continue;
    if (!record->at_root || i < before_additional || records.opt || !options_well_formed(record->data)) {
      records.sound = false;
    }
    if (record->at_root && !records.opt) records.opt = opt_from(*record, reader.offset());
  }
  return records;
}

bool refused_type(std::uint16_t type) { return type == type::axfr || type == type::ixfr || type == type::tkey; }

}  // namespace

bool same_question(const Question& left, const Question& right) {
  return left.type == right.type && left.klass == right.klass && same_name(left.name, right.name);
}

QueryVerdict parse_query(Bytes message) {
  QueryVerdict verdict;
  ByteReader reader(message);
  Query& query = verdict.query;
  query.header.id = reader.u16();
  query.header.flags = reader.u16();
  const Counts counts = read_counts(reader);
  if (reader.failed() || query.header.has(flag::qr)) return verdict;

  const auto answer = [&verdict](Rcode rcode) {
    verdict.kind = QueryVerdict::Kind::answer;
    verdict.rcode = rcode;
    return verdict;
  };

  // With another number of questions than one the OPT behind them still counts: the answer needs one then.
  bool readable = true;
  for (std::uint16_t i = 0; i < counts.questions && readable; ++i) {
    query.question = read_question(reader);
    readable = query.question.has_value();
  }
  Records records;
  if (readable) {
    records = read_records(reader, counts);
    query.opt = records.opt;
  }
  if (counts.questions != 1) query.question.reset();
  const bool sound = query.question && records.sound && reader.at_end();

  if (query.header.opcode() != static_cast<std::uint8_t>(Opcode::query)) return answer(Rcode::notimp);
  if (!sound) return answer(Rcode::formerr);
  if (query.opt && query.opt->version > 0) return answer(Rcode::badvers);
  if (refused_type(query.question->type)) return answer(Rcode::refused);
  if (query.question->klass != klass::in && query.question->klass != klass::any) return answer(Rcode::refused);
  if (records.tsig) return answer(Rcode::notimp);
  verdict.kind = QueryVerdict::Kind::relay;
  return verdict;
}

Rcode Response::rcode() const {
  const unsigned upper = opt ? unsigned{opt->extended_rcode} << 4 : 0U;
  return static_cast<Rcode>(upper | (header.flags & flag::rcode_mask));
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
  Response response;
  ByteReader reader(message);
  response.header.id = reader.u16();
  response.header.flags = reader.u16();
  const Counts counts = read_counts(reader);
  if (reader.failed() || !response.header.has(flag::qr) || counts.questions > 1) return std::nullopt;
  if (counts.questions == 1) {
    response.question = read_question(reader);
    if (!response.question) return std::nullopt;
  }
  const Records records = read_records(reader, counts);
  if (!records.sound) return std::nullopt;
  response.opt = records.opt;
  response.size = reader.offset();
  return response;
}

}  // namespace dotrelay::dns
