// The messages that the benchmarks handle. Names differ in length, number of labels and spelling, as clients' names do:
// with a single one the CPU would learn each branch by heart.
#pragma once

#include "base/bytes.hpp"
#include "dns/message_builder.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace dotrelay::bench {

using test::Octets;

struct Sample {
  Octets name;          ///< on the wire; no two are equal
  Octets query;         ///< of a client: type A, RD, an OPT without options; its ID is the sample's number
  Octets answer;        ///< one A record, an OPT padded to kPaddedAnswer octets
  Octets large_answer;  ///< as many A records as fit kLargeAnswer octets: the most work that so many octets can make
};

inline constexpr std::size_t kPaddedAnswer = 468;  // RFC 8467 4.2
inline constexpr std::size_t kLargeAnswer = 1200;
inline constexpr std::size_t kUpstreamQuery = 128;  // all of them, as padded (RFC 8467 4.1)
inline constexpr std::size_t kBurst = 32;           // queries that one turn of a busy loop handles at once

/// Name number `number`.
Octets sample_name(std::size_t number);

/// 256 of them, made once.
std::span<const Sample> samples();

/// So few of them that they stay in the first-level cache, as messages are that have just been read.
std::span<const Sample> few_samples();

/// `count` messages of `size` octets, each behind its length.
Octets frames(std::size_t count, std::size_t size);

}  // namespace dotrelay::bench
