// Memory for a cache that child processes share, and a reader that compares everything it finds with the truth.
#pragma once

#include "cache/answer_cache.hpp"
#include "sample_answers.hpp"

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace dotrelay::torn {

/// Mapped until the program ends. All zero.
MutableBytes share(std::size_t bytes);

/// A view of formatted memory. The hash key is fixed, so that every run has the same buckets.
CacheMemory formatted(MutableBytes memory);

struct Tally {
  std::uint64_t checked = 0;
  std::uint64_t wrong = 0;
};

/// What was found of the questions below `questions`.
class Judge {
 public:
  static constexpr std::uint32_t kNow = 100;
  static constexpr std::uint32_t kLifetime = 300;

  /// `data_octets`: of each question's answer.
  explicit Judge(std::vector<std::size_t> data_octets) : data_octets_(std::move(data_octets)) {}

  [[nodiscard]] std::uint32_t questions() const { return static_cast<std::uint32_t>(data_octets_.size()); }

  /// Lives as long as the judge.
  const test::SampleAnswer& sample(std::uint32_t question, std::uint32_t version);

  PutResult put(AnswerCache& cache, std::uint32_t question, std::uint32_t version);
  /// Asks one question.
  void check(const AnswerCache& cache, std::uint32_t question, Tally& tally);
  /// Asks all of them.
  void check_all(const AnswerCache& cache, Tally& tally);

 private:
  std::vector<std::size_t> data_octets_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, test::SampleAnswer> samples_;
  std::vector<std::uint8_t> buffer_ = std::vector<std::uint8_t>(AnswerCache::kBuffer);
};

}  // namespace dotrelay::torn
