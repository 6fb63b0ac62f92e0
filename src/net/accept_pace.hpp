// How many connections to accept in one turn of the loop. An accept in vain costs as much as the kernel's part of a
// whole socket, one too few only waits for the next turn: so no more are tried than came before, and only now and then
// more.
#pragma once

#include <algorithm>

namespace dotrelay {

class AcceptPace {
 public:
  static constexpr int kMaxPerTurn = 64;
  /// Turns for which what was learned from an accept in vain counts.
  static constexpr int kTurnsLearned = 16;

  /// Whether to try once more in this turn. If not, the next question is about the next turn.
  bool may_try() {
    if (came_ < per_turn_) return true;
    came_ = 0;
    if (turns_learned_ > 0) {
      --turns_learned_;
    } else {
      per_turn_ = std::min(2 * per_turn_, kMaxPerTurn);
    }
    return false;
  }

  /// The try brought a connection.
  void came() { ++came_; }

  /// It brought none, which ends the turn.
  void in_vain() {
    per_turn_ = std::max(1, came_);
    came_ = 0;
    turns_learned_ = kTurnsLearned;
  }

 private:
  int per_turn_ = 1;
  int came_ = 0;           ///< in this turn
  int turns_learned_ = 0;  ///< for which per_turn_ stays as it is
};

}  // namespace dotrelay
