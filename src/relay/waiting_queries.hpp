// The queries that wait for a connection, and the pace at which they look again for one.
#pragma once

#include "base/clock.hpp"
#include "base/linked_list.hpp"
#include "relay/query.hpp"
#include "relay/upstream_mask.hpp"

#include <algorithm>

namespace dotrelay {

class WaitingQueries {
 public:
  /// When more queries wait than that, a walk through them is made only so often that it takes a small part of the
  /// time: an outage with dials to many addresses must not cost a core. Each query costs about a microsecond.
  static constexpr std::size_t kFew = 512;
  static constexpr Duration kPausePerQuery = std::chrono::microseconds(10);

  explicit WaitingQueries(Slab<Query>& queries) : waiting_(queries) {}

  [[nodiscard]] bool empty() const { return waiting_.empty(); }
  void add(QueryHandle query) { waiting_.push_back(query); }
  /// Does nothing for a query that does not wait here.
  void remove(QueryHandle query) { waiting_.remove(query); }

  /// Lets each of them look again. `look` takes the query out, and puts it back when it must go on waiting.
  template <class Look>
  void walk(TimePoint now, Look look) {
    walked_at_ = now;
    walk_due_ = kNever;
    // Those that must go on waiting come back at the end, so exactly those that are in now are visited.
    for (std::size_t left = waiting_.size(); left > 0 && !waiting_.empty(); --left) look(waiting_.front());
  }

  /// The same where a walk can wait a little when many wait: false when it is put off, until walk_due().
  [[nodiscard]] bool may_walk(TimePoint now) {
    const Duration pause = waiting_.size() <= kFew ? Duration{} : kPausePerQuery * static_cast<int>(waiting_.size());
    const TimePoint soonest = walked_at_ + pause;
    if (soonest <= now) return true;
    // A walk that was due when fewer waited is put off again.
    walk_due_ = walk_due_ <= now ? soonest : std::min(walk_due_, soonest);
    return false;
  }
  [[nodiscard]] TimePoint walk_due() const { return walk_due_; }

  /// A query that can use nothing waits for these upstreams: they are dialled urgently.
  void need(UpstreamMask upstreams) { urgent_.add(upstreams); }
  /// Something is usable again: those that it does not help say so on the walk that follows.
  void need_none() { urgent_ = {}; }
  [[nodiscard]] UpstreamMask urgent() const { return waiting_.empty() ? UpstreamMask() : urgent_; }

 private:
  LinkedList<Query, &Query::by_waiting> waiting_;
  TimePoint walked_at_{};
  TimePoint walk_due_ = kNever;  ///< of a walk that was put off
  UpstreamMask urgent_;
};

}  // namespace dotrelay
