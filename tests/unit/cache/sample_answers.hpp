// Answers whose every octet follows from two numbers: which question it is, and which version of its answer. So a
// message that was read back can be judged without a second copy of it, and one that is put together of two is found.
#pragma once

#include "cache/answer_cache.hpp"
#include "dns/message_builder.hpp"

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace dotrelay::test {

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
constexpr std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

struct SampleAnswer {
  static constexpr std::uint16_t kType = 16;  // TXT

  Octets name;
  Octets message;
  std::vector<std::uint16_t> ttl_offsets;

  [[nodiscard]] CacheKey key() const { return {.question = {name, kType, 1}, .zone = 0, .flags = 0}; }
  [[nodiscard]] NewAnswer answer(std::uint32_t lifetime_seconds = 300, std::uint8_t kind = 0) const {
    return {message, ttl_offsets, lifetime_seconds, kind};
  }
};

/// `data_octets`: of the first TXT record; `version` stands at the message's end.
inline SampleAnswer sample_answer(std::uint32_t number, std::uint32_t version, std::size_t data_octets) {
  SampleAnswer sample;
  sample.name = name("host" + std::to_string(number) + ".example");
  Octets& message = sample.message;
  message = u16(0) + u16(0x8180) + u16(1) + u16(2) + u16(0) + u16(0) + sample.name + u16(SampleAnswer::kType) + u16(1);
  const auto add = [&](const Octets& data) {
    message = message + u16(0xc00c) + u16(SampleAnswer::kType) + u16(1);
    sample.ttl_offsets.push_back(static_cast<std::uint16_t>(message.size()));
    message = message + u32(300) + u16(static_cast<unsigned>(data.size())) + data;
  };
  Octets data(data_octets);
  std::uint64_t word = mixed(std::uint64_t{number} << 32 | version);
  for (std::size_t at = 0; at < data.size(); at += sizeof word) {
    std::memcpy(&data[at], &word, std::min(sizeof word, data.size() - at));
    word = word * 0x9e3779b97f4a7c15 + 1;
  }
  add(data);
  add(u32(number) + u32(version));
  return sample;
}

/// Whether the message is an answer to question `number`, of whichever version.
inline bool is_sample(std::uint32_t number, std::size_t data_octets, Bytes message) {
  if (message.size() < 4) return false;
  const std::uint8_t* const end = message.data() + message.size();
  const std::uint32_t version = std::uint32_t{load_u16(end - 4)} << 16 | load_u16(end - 2);
  return equal(message, sample_answer(number, version, data_octets).message);
}

}  // namespace dotrelay::test
