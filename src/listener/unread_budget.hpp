// How much one TCP client may be owed before no more of its queries are read: in queries, and in octets of the answers
// that it has not taken and of those that it is to be expected to get for what it has asked.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace dotrelay {

class UnreadBudget {
 public:
  /// Queries of one client in flight; beyond it the client waits in its own socket (RFC 7766 6.2.1: no limit is named;
  /// Knot Resolver 100, Unbound 32).
  static constexpr std::uint32_t kMaxInFlight = 256;
  static constexpr std::size_t kMaxUnread = std::size_t{256} * 1024;
  /// Octets that an answer is expected to take at least; else what the client's latest ones took.
  static constexpr std::uint32_t kLeastAnswer = 256;

  /// Whether another query may be taken. `unread`: octets of answers that the client has not taken.
  [[nodiscard]] bool allows(std::size_t unread) const {
    return owed_ < kMaxInFlight && unread + expected_bytes() < kMaxUnread;
  }

  /// An answer is owed from now on; one is owed no more.
  void asked() { ++owed_; }
  void answered() { --owed_; }
  [[nodiscard]] bool owes() const { return owed_ > 0; }

  /// An answer takes so many octets.
  void learn(std::size_t octets) {
    expected_answer_ =
        std::max({kLeastAnswer, static_cast<std::uint32_t>(octets), expected_answer_ - expected_answer_ / 8});
  }

  /// What the answers that are owed will take.
  [[nodiscard]] std::size_t expected_bytes() const { return std::size_t{owed_} * expected_answer_; }

 private:
  std::uint32_t owed_ = 0;
  std::uint32_t expected_answer_ = kLeastAnswer;
};

}  // namespace dotrelay
