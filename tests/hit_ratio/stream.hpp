// Streams of questions as a forwarder sees them, as a model, since no trace of real ones may be passed on: names by
// Zipf's law; a third of the questions is for names that were asked just before; A, AAAA and HTTPS of a name together;
// some names are asked once and never again (Hao and Wang, 2013; Chen et al., DSN 2014: a quarter of all names).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace dotrelay::hit_ratio {

struct Load {
  const char* name;
  std::uint64_t seed;
  double questions_a_second;
  std::uint32_t names;  ///< that are asked again and again
  double exponent;      ///< of Zipf's law
  double asked_once;    ///< share of the steps that are for a new name
  double negative;      ///< share of the names that do not exist
};

/// A gateway of a household or small office, a node of a cluster, the edge of a provider.
std::span<const Load> loads();

/// What is asked: which name and type, and what is true of its answer.
struct Asked {
  std::uint64_t question;  ///< less than Stream::questions() unless `once`
  bool once;
  std::uint32_t message_octets;
  std::uint32_t ttl_seconds;  ///< of a fresh answer; the upstream's own cache gives half or all of it
};

class Stream {
 public:
  explicit Stream(const Load& load);

  /// Of those that are asked again.
  [[nodiscard]] std::uint32_t questions() const { return load_.names * kTypes; }

  struct Step {
    double seconds;  ///< since the beginning
    std::array<Asked, 3> asked;
    std::size_t count;
  };
  const Step& next();

 private:
  static constexpr std::uint32_t kTypes = 3;
  static constexpr std::size_t kRecent = 200;

  double chance();
  std::uint64_t random();
  std::uint32_t draw_name();
  [[nodiscard]] Asked asked(std::uint64_t question, bool once) const;
  void add(std::uint64_t question, bool once);

  const Load& load_;
  std::uint64_t state_;
  std::uint64_t once_ = 0;
  std::vector<double> shares_;  ///< of the names up to each, in all
  std::vector<std::uint32_t> recent_;
  Step step_{};
};

}  // namespace dotrelay::hit_ratio
