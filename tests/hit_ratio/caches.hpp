// The caches that are compared on one stream: one without bound, and the real one in memory of a given size, as one for
// four workers or as four of a quarter each.
#pragma once

#include "cache/answer_cache.hpp"
#include "stream.hpp"

#include <cstdint>
#include <vector>

namespace dotrelay::hit_ratio {

inline constexpr std::uint32_t kWorkers = 4;

/// Keeps everything until its end.
class EndlessCache {
 public:
  explicit EndlessCache(std::uint32_t questions) : ends_at_(questions) {}

  /// Whether the answer is there; it is from then on.
  bool ask(const Asked& asked, std::uint32_t lifetime, std::uint32_t now) {
    if (asked.once) return false;
    if (ends_at_[asked.question] > now) return true;
    ends_at_[asked.question] = now + lifetime;
    return false;
  }

 private:
  std::vector<std::uint32_t> ends_at_;
};

/// One shared memory and its workers.
class BoundedCache {
 public:
  BoundedCache(std::size_t bytes, std::uint32_t workers);
  ~BoundedCache();
  BoundedCache(const BoundedCache&) = delete;
  BoundedCache& operator=(const BoundedCache&) = delete;

  bool ask(const Asked& asked, std::uint32_t lifetime, std::uint32_t now, std::uint32_t worker);

 private:
  MutableBytes memory_;
  std::vector<AnswerCache> workers_;
  std::vector<std::uint8_t> message_;
  std::vector<std::uint8_t> found_;
};

}  // namespace dotrelay::hit_ratio
