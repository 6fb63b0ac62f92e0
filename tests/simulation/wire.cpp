// See wire.hpp.
#include "wire.hpp"

#include <algorithm>
#include <string>

namespace dotrelay::simulation {
namespace {

constexpr std::size_t kHeader = 12;

void put16(Octets& octets, unsigned value) {
  octets.push_back(static_cast<std::uint8_t>(value >> 8));
  octets.push_back(static_cast<std::uint8_t>(value));
}

unsigned get16(Bytes octets, std::size_t at) { return static_cast<unsigned>(octets[at] << 8 | octets[at + 1]); }

std::uint8_t lower(std::uint8_t octet) {
  return octet >= 'A' && octet <= 'Z' ? static_cast<std::uint8_t>(octet + 32) : octet;
}

}  // namespace

std::size_t question_end(Bytes message) {
  std::size_t at = kHeader;
  while (at < message.size() && message[at] != 0) at += message[at] + 1U;
  return at + 5 <= message.size() ? at + 5 : 0;
}

unsigned domain_of(Question question) { return question.number % kDomains; }

Truth truth_of(Question question) {
  switch (question.number % 64) {
    case 0:
      return Truth::bogus;
    case 1:
      return Truth::unanswered;
    case 2:
      return Truth::broken;
    case 3:
    case 4:
    case 5:
      return Truth::slow;
    case 6:
    case 7:
    case 8:
    case 9:
    case 10:
      return Truth::no_such;
    default:
      return Truth::address;
  }
}

std::uint32_t data_of(Question question) { return question.number * 2654435761U ^ question.type * 40503U; }

Octets write_query(std::uint16_t id, Question question, const QueryStyle& style, Random& random) {
  Octets octets;
  octets.reserve(64);
  put16(octets, id);
  put16(octets, style.flags);
  put16(octets, 1);
  put16(octets, 0);
  put16(octets, 0);
  put16(octets, style.edns ? 1 : 0);
  const auto put_label = [&](const std::string& label) {
    octets.push_back(static_cast<std::uint8_t>(label.size()));
    std::uint32_t coins = random.u32();
    for (const char c : label) {
      const bool letter = c >= 'a' && c <= 'z';
      octets.push_back(static_cast<std::uint8_t>(letter && (coins & 1) != 0 ? c - 32 : c));
      coins >>= 1;
    }
  };
  put_label("n" + std::to_string(question.number));
  put_label("d" + std::to_string(domain_of(question)));
  put_label("sim");
  octets.push_back(0);
  put16(octets, question.type);
  put16(octets, 1);
  if (style.edns) {
    octets.push_back(0);
    put16(octets, 41);
    put16(octets, 1232);
    put16(octets, 0);
    put16(octets, style.dnssec_ok ? 0x8000 : 0);
    put16(octets, 0);
  }
  return octets;
}

Octets write_answer(Bytes query, unsigned rcode, std::optional<unsigned> explanation) {
  const std::size_t end = question_end(query);
  Octets octets(query.begin(), query.begin() + static_cast<std::ptrdiff_t>(end));
  octets.reserve(end + 40);
  const std::optional<Read> read = read_message(query);
  octets[2] = 0x81;
  octets[3] = static_cast<std::uint8_t>(0x80 | rcode);
  const bool record = rcode == 0;
  octets[7] = record ? 1 : 0;
  octets[11] = explanation ? 1 : 0;
  if (record) {
    const std::uint32_t data = read ? data_of(read->question) : 0;
    put16(octets, 0xc00c);
    put16(octets, read ? read->question.type : 1);
    put16(octets, 1);
    put16(octets, 0);
    put16(octets, 60);
    put16(octets, 4);
    put16(octets, data >> 16);
    put16(octets, data);
  }
  if (explanation) {
    octets.push_back(0);
    put16(octets, 41);
    put16(octets, 1232);
    put16(octets, 0);
    put16(octets, 0);
    put16(octets, 6);
    put16(octets, 15);
    put16(octets, 2);
    put16(octets, *explanation);
  }
  return octets;
}

Octets write_true_answer(Bytes query) {
  switch (truth_of(read_message(query)->question)) {
    case Truth::no_such:
      return write_answer(query, 3);
    case Truth::bogus:
      return write_answer(query, 2, 6);
    case Truth::broken:
      return write_answer(query, 2);
    default:
      return write_answer(query, 0);
  }
}

Octets write_bare_error(Bytes query, unsigned rcode) {
  Octets octets(query.begin(), query.begin() + 2);
  put16(octets, 0x8180 | rcode);
  octets.resize(kHeader);
  return octets;
}

Octets write_malformed_answer(Bytes query, Random& random) {
  Octets octets = write_answer(query, 0);
  switch (random.below(6)) {
    case 0:  // more records counted than there are
      octets[7] = static_cast<std::uint8_t>(2 + random.below(200));
      break;
    case 1:  // cut, in the record or before it
      octets.resize(4 + random.below(static_cast<std::uint32_t>(octets.size()) - 4));
      break;
    case 2:  // two OPT records
      octets[11] = 2;
      for (int i = 0; i < 2; ++i) octets.insert(octets.end(), {0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0});
      break;
    case 3:  // an answer without a question
      octets.resize(kHeader);
      std::fill(octets.begin() + 4, octets.end(), std::uint8_t{0});
      break;
    case 4:  // the query itself
      octets.assign(query.begin(), query.end());
      break;
    default:  // another opcode
      octets[2] |= 0x28;
      break;
  }
  return octets;
}

bool is_meant_for(Bytes frame, Question question) {
  if (frame.size() < 4) return false;
  const bool answer = (frame[2] & 0xf8) == 0x80;
  if (frame.size() < kHeader || get16(frame, 4) == 0) return answer;
  std::size_t at = kHeader;
  while (at < frame.size() && at < kHeader + 255 && frame[at] != 0 && frame[at] < 64) at += frame[at] + 1U;
  const bool readable = at < frame.size() && at < kHeader + 255 && frame[at] == 0 && frame.size() - at >= 5;
  if (!readable) return answer;
  Octets one_question(frame.begin(), frame.end());
  one_question[4] = 0;
  one_question[5] = 1;
  const std::optional<Read> read = read_message(one_question);
  return read && read->question == question && read->klass == 1;
}

std::optional<Read> read_message(Bytes message) {
  if (message.size() < kHeader) return std::nullopt;
  Read read;
  read.id = static_cast<std::uint16_t>(get16(message, 0));
  read.is_answer = (message[2] & 0x80) != 0;
  read.rcode = message[3] & 15U;
  read.has_question = get16(message, 4) == 1;
  if (!read.has_question) return read;
  const std::size_t end = question_end(message);
  if (end == 0) return std::nullopt;
  const std::size_t label = message[kHeader];
  if (label < 2 || lower(message[kHeader + 1]) != 'n') return std::nullopt;
  for (std::size_t i = 1; i < label; ++i) {
    const std::uint8_t digit = message[kHeader + 1 + i];
    if (digit < '0' || digit > '9') return std::nullopt;
    read.question.number = read.question.number * 10 + (digit - std::uint32_t{'0'});
  }
  read.question.type = static_cast<std::uint16_t>(get16(message, end - 4));
  read.klass = static_cast<std::uint16_t>(get16(message, end - 2));
  read.has_record = get16(message, 6) > 0 && message.size() >= end + 16;
  if (read.has_record) read.data = get16(message, end + 12) << 16 | get16(message, end + 14);
  return read;
}

}  // namespace dotrelay::simulation
