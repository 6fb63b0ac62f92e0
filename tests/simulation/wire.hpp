// The octets of the simulation: questions that say by their number what becomes of them, and answers that prove which
// question they belong to. Written and read without the relay's own parser, so that it cannot agree with itself.
#pragma once

#include "base/bytes.hpp"
#include "base/random.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace dotrelay::simulation {

using Octets = std::vector<std::uint8_t>;

/// "n<number>.d<domain>.sim", class IN.
struct Question {
  std::uint32_t number = 0;
  std::uint16_t type = 1;

  friend bool operator==(const Question&, const Question&) = default;
};

/// What every well resolver says of a question.
enum class Truth : std::uint8_t {
  address,     ///< NOERROR with one record
  no_such,     ///< NXDOMAIN
  slow,        ///< NOERROR, after a recursion of several hundred milliseconds
  bogus,       ///< SERVFAIL with an Extended DNS Error that says DNSSEC
  broken,      ///< SERVFAIL after a while
  unanswered,  ///< nothing: the domain's own servers are silent
};
Truth truth_of(Question question);

/// The four octets of the record that a question is answered with.
std::uint32_t data_of(Question question);

struct QueryStyle {
  std::uint16_t flags = 0x0100;
  bool edns = true;
  bool dnssec_ok = false;
};

/// A client's query, its name in letters of random case.
Octets write_query(std::uint16_t id, Question question, const QueryStyle& style, Random& random);

/// The answer of a server to `query`: its ID and question, `rcode`, a record for NOERROR. `explanation`: an Extended
/// DNS Error with that code.
Octets write_answer(Bytes query, unsigned rcode, std::optional<unsigned> explanation = std::nullopt);

/// What a well server answers at last; as for an address where it would never answer.
Octets write_true_answer(Bytes query);

/// The domain that a question's name is in: several names share each. Domain number 7 is "d7.sim".
inline constexpr unsigned kDomains = 11;
unsigned domain_of(Question question);

/// An answer that is broken in one of some ways.
Octets write_malformed_answer(Bytes query, Random& random);

/// Whether the relay takes the frame, sound or not, for the answer to the query with this question, whose ID it has.
bool is_meant_for(Bytes frame, Question question);

/// Where the question ends in a message that has one; 0 when it is cut.
std::size_t question_end(Bytes message);

/// The header alone.
Octets write_bare_error(Bytes query, unsigned rcode);

/// What a message says.
struct Read {
  std::uint16_t id = 0;
  unsigned rcode = 0;
  bool is_answer = false;
  bool has_question = false;
  Question question;
  std::uint16_t klass = 0;
  bool has_record = false;
  std::uint32_t data = 0;  ///< of the first record
};

/// Nothing when it is not one of the simulation's messages.
std::optional<Read> read_message(Bytes message);

}  // namespace dotrelay::simulation
