// What all workers know together of one upstream address. It lies in memory that they share, where a worker may die
// between any two instructions: so each fact is one atomic word, no process holds a lock, and all zero octets mean
// "nothing is known, nothing is wrong". Health, IdleClose and UrgentDials give the words their meaning.
#pragma once

#include "base/shared_word.hpp"

#include <array>

namespace dotrelay {

struct SharedHealth {
  SharedWord verdict;                ///< kind of trouble, back-off step, count of troubles; 0: well
  SharedWord until_ms;               ///< the next trial, or the end of settling: clock's low 32 bits
  SharedWord idle_close_ms;          ///< after which the server closes idle connections; 0: not seen
  SharedWord acknowledgement_delay;  ///< see AcknowledgementDelay; 0: not seen
  SharedWord segment_limit;          ///< until which minute (16 bits), and its octets (16 bits); 0: none was needed
  SharedWord connection_limit;       ///< see ConnectionLimit; 0: none is known
  SharedWord way;                    ///< that the kernel takes there, see Dialer::way_to(); 0: not looked yet
  SharedWord dialled_ms;             ///< the latest dial of any worker: clock's low 32 bits; 0: never
  SharedWord handshake_ms;           ///< when a TLS handshake was last seen under way; the same
  SharedWord ready_ms;               ///< the latest dial that has succeeded; the same
  std::array<SharedWord, 32> cause;  ///< the trouble in words, NUL-padded; a torn text is only a text
};

}  // namespace dotrelay
