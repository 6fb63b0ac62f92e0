// What an answer is kept under. Two questions with the same key may have the same answer; each client's ID, spelling
// and OPT are put in later.
#pragma once

#include "base/siphash.hpp"
#include "dns/message_view.hpp"

#include <cstdint>

namespace dotrelay {

struct CacheKey {
  /// Bits of `flags`.
  static constexpr std::uint8_t kDnssecOk = 1;          // DO, RFC 3225
  static constexpr std::uint8_t kCheckingDisabled = 2;  // CD, RFC 4035 3.2.2
  static constexpr std::uint8_t kAuthenticData = 4;     // AD in the query, RFC 6840 5.7

  dns::Question question;  ///< the name is whole, with its root label; letters of any case
  std::uint16_t zone = 0;  ///< the configuration's number for the upstreams that may be asked
  std::uint8_t flags = 0;
};

/// Keyed, so no client can choose names that meet in one bucket.
inline std::uint64_t hash_of(const CacheKey& key, HashKey hash_key) {
  SipHash hash(hash_key);
  dns::for_each_folded_word(key.question.name, [&](std::uint64_t word) { hash.absorb(word); });
  hash.absorb(std::uint64_t{key.question.name.size()} << 56 | std::uint64_t{key.zone} << 40 |
              std::uint64_t{key.flags} << 32 | std::uint64_t{key.question.type} << 16 | key.question.klass);
  return hash.result();
}

}  // namespace dotrelay
