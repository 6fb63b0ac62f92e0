// One worker's part of the relay's memory for what clients cause: queries, answers that they have not taken, half-sent
// queries. All workers draw on one limit (`limits.memory`) in chunks; each records in a word of the shared memory how
// many it holds, so no lock exists and the supervisor frees what a dead worker held.
//
// Half of the limit is common, the other half is shared out in equal parts that each worker is sure of: clients that
// fill one worker take nothing from the others.
#pragma once

#include "base/shared_word.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace dotrelay {

/// Something that holds memory for clients.
class MemoryHolder {
 public:
  virtual ~MemoryHolder() = default;

  /// Lets go of what it keeps for the client that owes most, if that is more than `octets`. False: there is none. Must
  /// not call the forwarder.
  virtual bool shed(std::size_t octets) noexcept = 0;
};

class MemoryBudget {
 public:
  /// What workers draw at once: small beside the smallest part, large enough that few queries read the words.
  static constexpr std::size_t kChunkBytes = std::size_t{32} * 1024;
  /// The least that a limit gives each worker: a part of four chunks, and as much in common.
  static constexpr std::uint32_t kMinChunksPerWorker = 8;

  /// `chunks` for the whole relay, kMinChunksPerWorker for each worker at least; `held` has a word for each worker, of
  /// which number `own` is this one's. The words outlive this object.
  MemoryBudget(std::span<SharedWord> held, std::size_t own, std::uint32_t chunks);
  ~MemoryBudget();
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  /// Counts the octets, after others were made to let go if need be. False: nothing is counted, no memory is left.
  bool take(std::size_t octets) { return (fits(octets, 0) || make_room(octets, 0)) && count(octets); }

  /// The same for a query: a quarter of the worker's own part stays for the answers that queries cause.
  /// That of a client that `is_greedy()` also leaves a quarter for the queries of others, and the holder does not let
  /// go for it.
  template <class IsGreedy>
  bool take_for_query(std::size_t octets, IsGreedy is_greedy) {
    if (used_ + octets > roomy_until_ && is_greedy() && !leaves_room(octets)) return false;
    return (fits(octets, kept_for_answers_) || make_room(octets, kept_for_answers_)) && count(octets);
  }

  void give_back(std::size_t octets) {
    used_ -= octets;
    if (held_bytes_ - used_ > kSpareBytes + kept_for_answers_) draw_less();
  }

  [[nodiscard]] std::size_t used() const { return used_; }

  /// Asked to let go when memory runs out; nullptr for none. It is there as long as it is set.
  void set_holder(MemoryHolder* holder) { holder_ = holder; }

  /// True once after much more than now was in use: time to give the heap's pages back.
  [[nodiscard]] bool flood_is_over();

 private:
  /// What a worker keeps of what it has drawn, so that it does not draw and return with every query.
  static constexpr std::size_t kSpareBytes = 4 * kChunkBytes;
  /// Less than that is not worth the walk through the heap.
  static constexpr std::size_t kFloodBytes = std::size_t{1} << 20;

  [[nodiscard]] bool fits(std::size_t octets, std::size_t beside) const {
    return used_ + octets + beside <= held_bytes_;
  }
  bool count(std::size_t octets) {
    used_ += octets;
    most_used_ = std::max(most_used_, used_);
    return true;
  }
  bool leaves_room(std::size_t octets) {
    const std::size_t wanted = used_ + octets + kept_for_answers_ + kept_for_others_;
    return wanted <= std::max(held_bytes_, own_part_ * kChunkBytes) || draw((wanted + kChunkBytes - 1) / kChunkBytes);
  }
  [[gnu::cold]] bool make_room(std::size_t octets, std::size_t beside);
  [[gnu::cold]] void draw_less();
  [[gnu::cold]] bool draw(std::size_t chunks);

  std::span<SharedWord> held_;
  const std::size_t own_;
  const std::uint32_t chunks_;
  const std::uint32_t own_part_;  ///< chunks that no other worker can take
  const std::size_t kept_for_answers_;
  const std::size_t kept_for_others_;  ///< of those that have little
  const std::size_t roomy_until_;      ///< with so much in use, leaves_room()
  std::size_t used_ = 0;
  std::size_t held_bytes_ = 0;
  std::size_t most_used_ = 0;  ///< since the latest flood
  MemoryHolder* holder_ = nullptr;
};

}  // namespace dotrelay
