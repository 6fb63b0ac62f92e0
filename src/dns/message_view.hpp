// Views of DNS messages (RFC 1035 4): what the relay reads of a client's query and of an upstream's answer, without
// copying or changing an octet. A view lives as long as the message it was made from.
#pragma once

#include "base/bytes.hpp"
#include "dns/constants.hpp"
#include "dns/edns.hpp"
#include "dns/name.hpp"

#include <cstdint>
#include <optional>

namespace dotrelay::dns {

struct Header {
  std::uint16_t id = 0;
  std::uint16_t flags = 0;

  [[nodiscard]] bool has(std::uint16_t flag) const { return (flags & flag) != 0; }
  [[nodiscard]] std::uint8_t opcode() const { return static_cast<std::uint8_t>((flags & flag::opcode_mask) >> 11); }
};

/// How many records the sections of a message have.
struct Counts {
  std::uint16_t questions = 0;
  std::uint16_t answers = 0;
  std::uint16_t authorities = 0;
  std::uint16_t additionals = 0;
};

inline void write_header(ByteWriter& writer, Header header, Counts counts) {
  const MutableBytes room = writer.reserve(kHeaderSize);
  if (room.empty()) return;
  store_u16(&room[0], header.id);
  store_u16(&room[2], header.flags);
  store_u16(&room[4], counts.questions);
  store_u16(&room[6], counts.answers);
  store_u16(&room[8], counts.authorities);
  store_u16(&room[10], counts.additionals);
}

/// The one question of a message. `name` is in wire format and stands at octet 12 of the message.
struct Question {
  Bytes name;
  std::uint16_t type = 0;
  std::uint16_t klass = 0;

  [[nodiscard]] std::size_t wire_size() const { return name.size() + 4; }
};

inline void write_question(ByteWriter& writer, const Question& question) {
  writer.put(question.name);
  writer.u16(question.type);
  writer.u16(question.klass);
}

/// QNAME without case, QTYPE and QCLASS.
inline bool same_question(const Question& left, const Question& right) {
  return left.type == right.type && left.klass == right.klass && same_name(left.name, right.name);
}

/// A client's query, as far as it could be read: a query that is answered with an error still shows its question and
/// OPT where they were sound, since the error answer repeats them.
struct QueryView {
  Header header;
  std::optional<Question> question;
  std::optional<Opt> opt;
};

/// What is to become of a message that arrived at a listener, in the order of checks that docs/manual.md lists.
struct QueryVerdict {
  enum class Kind : std::uint8_t {
    relay,   ///< sound; `query.question` is there
    answer,  ///< answer at once with `rcode`
    ignore,  ///< not a query at all: silence
  };
  Kind kind = Kind::ignore;
  Rcode rcode = Rcode::noerror;
  std::optional<ExtendedError> reason;  ///< of the error, where there is a code for it
  QueryView query;
};

QueryVerdict parse_query(Bytes message);

/// An upstream's answer.
struct ResponseView {
  Header header;
  std::optional<Question> question;  ///< absent in some errors (QDCOUNT 0)
  std::optional<Opt> opt;
  std::size_t size = 0;  ///< of the message up to its last record; octets behind it do not count

  /// With the upper bits of the OPT record.
  [[nodiscard]] Rcode rcode() const {
    const unsigned upper = opt ? unsigned{opt->extended_rcode} << 4 : 0U;
    return static_cast<Rcode>(upper | (header.flags & flag::rcode_mask));
  }

  /// Whether an Extended DNS Error says that DNSSEC is the reason (RFC 8914 4.2, 4.3, 4.6 to 4.13).
  [[nodiscard]] bool explained_by_dnssec() const;
  /// Whether one says that the resolver does not want to answer: Blocked, Censored, Filtered or Prohibited (RFC 8914
  /// 4.16 to 4.19).
  [[nodiscard]] bool blocked_by_policy() const;
};

/// Nothing when the octets are not a well-formed answer with at most one question and at most one OPT.
std::optional<ResponseView> parse_response(Bytes message);

/// What can be read of a message that is no answer to relay: enough to tell which query it was meant for.
struct BrokenAnswer {
  std::uint16_t id = 0;
  bool response = false;             ///< QR is set, and the opcode is QUERY
  std::optional<Question> question;  ///< the first one; nothing when there is none or it is malformed
};

/// Nothing when not even ID and flags are there.
[[gnu::cold]] std::optional<BrokenAnswer> read_broken_answer(Bytes message);

}  // namespace dotrelay::dns
