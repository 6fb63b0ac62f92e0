// The clients that wait for answers: what each may take of the relay, until when it waits, and what it is told, once.
#pragma once

#include "base/clock.hpp"
#include "base/linked_list.hpp"
#include "base/slab.hpp"
#include "dns/client_response.hpp"
#include "dns/message_view.hpp"
#include "dns/special_names.hpp"
#include "metrics/counters.hpp"
#include "relay/cached_answers.hpp"
#include "relay/client_quota.hpp"
#include "relay/environment.hpp"
#include "relay/error_limit.hpp"
#include "relay/query.hpp"
#include "relay/unanswered_share.hpp"

#include <array>
#include <deque>
#include <optional>
#include <vector>

namespace dotrelay {

/// What all clients of a query are told.
struct Outcome {
  enum class Kind : std::uint8_t {
    answer,   ///< `octets`, which `response` is the view of
    stale,    ///< likewise, of an answer whose life is over
    error,    ///< the one that the query keeps
    failure,  ///< SERVFAIL; `octets` are the text of its cause
  };
  Kind kind;
  Bytes octets;
  const dns::ResponseView* response = nullptr;
};

class WaitingClients {
 public:
  /// Clients' queries waiting at once in one worker, and different questions among them.
  static constexpr std::size_t kMaxWaiters = 65536;
  static constexpr std::size_t kMaxQueries = 32768;
  /// What a query and a waiter take of the memory budget: themselves, and their entries in the tables of the forwarder,
  /// an upstream connection and a listener.
  static constexpr std::size_t kQueryBytes = 832;
  static constexpr std::size_t kWaiterBytes = 320;

  /// Octets of answers that are delivered in one turn of the loop: when thousands of clients wait for one long answer,
  /// the rest of them get it in portions of this size, one in kPortionInterval, and others are served in between.
  /// Copying and sending a portion takes about as long.
  static constexpr std::size_t kMaxDeliveredPerTurn = std::size_t{256} * 1024;
  static constexpr Duration kPortionInterval = std::chrono::milliseconds(1);

  using Place = ClientQuota::Place;

  /// `queries` are those that the clients wait for; they outlive the object.
  WaitingClients(const Environment& environment, Slab<Query>& queries, HashKey hash_key);

  [[nodiscard]] Slab<Waiter>& slab() { return waiters_; }
  /// No client waits. The cache may.
  [[nodiscard]] bool empty() const { return waiters_.size() == without_channel_; }

  // Answers from accept() to what begins no query.
  [[gnu::cold]] Accepted answer_locally(const Incoming& incoming, const dns::QueryView& query,
                                        const dns::LocalAnswer& answer);
  /// The query cannot be asked upstream, whatever the state of things. Such answers over UDP are limited.
  [[gnu::cold]] Accepted reject(const Incoming& incoming, const dns::QueryView& query, dns::Rcode rcode,
                                std::optional<dns::ExtendedError> reason, TimePoint now);
  /// There is no room for the query, or its client has had its share.
  [[gnu::cold]] Accepted reject_for_overload(const Incoming& incoming, const dns::QueryView& query, Place place,
                                             TimePoint now);

  /// A client is told what is kept.
  Accepted answer_from_cache(const Incoming& incoming, const dns::QueryView& query, const ReadyAnswer& answer);

  // What a client may take.
  [[nodiscard]] Place place_of(const IpAddress& source) { return quota_.place_of(source); }
  /// Whether the client may wait for one more answer. If so, memory for a waiter and for a query of its own is taken.
  [[nodiscard]] bool admit(Place place) {
    return quota_.may_wait(place, kMaxWaiters - waiters_.size()) &&
           memory_.take_for_query(kWaiterBytes + kQueryBytes, [&] { return quota_.is_greedy(place, waiters_.size()); });
  }
  void revoke_admission() { memory_.give_back(kWaiterBytes + kQueryBytes); }
  /// The client waits for a query that another one has begun.
  void on_shared() {
    counters_.add(Counter::shared);
    memory_.give_back(kQueryBytes);
  }
  /// Whether a query may begin for the client.
  [[nodiscard]] bool may_begin(Place place, TimePoint now) {
    return !leaves_too_much_unanswered(place, now) && quota_.may_begin(place, kMaxQueries - queries_.size());
  }
  void on_begun(Place place) { quota_.begins(place); }
  /// A query that began for the client is over.
  void on_ended(Place place) {
    quota_.ends(place);
    memory_.give_back(kQueryBytes);
  }
  /// A query that only this client has waited for has left `ids` IDs behind.
  void on_left_behind(Place place, std::size_t ids, TimePoint now) { unanswered_.add(place, ids, now); }

  /// The client waits from now on; without a channel it is the cache that does.
  WaiterHandle add(QueryHandle query, const Incoming& incoming, const dns::QueryView& message, Place place,
                   TimePoint now);
  /// There is a stale answer for the client, should a fresh one take long (stale_delay()). It has just been added.
  [[gnu::cold]] void offer_stale(WaiterHandle waiter) { may_have_stale_.push_back(waiter); }

  // What clients are told.
  /// Those that wait for the query, as many as this turn allows, at least one. False: some are left.
  bool tell(Query& query, const Outcome& outcome);
  /// The query's only client, which is still in accept().
  [[gnu::cold]] Accepted tell_at_once(Query& query, const Outcome& outcome);
  /// One of several that wait for the query.
  [[gnu::cold]] void tell_one(WaiterHandle waiter, Query& query, const Outcome& outcome);
  /// Tells the last client that waits for the query, which goes on for the cache alone.
  [[gnu::cold]] void tell_and_go_on(WaiterHandle waiter, Query& query, const Outcome& outcome, TimePoint now);
  /// The rest that tell() has left. No deadline counts for them any more.
  [[gnu::cold]] void postpone(QueryHandle handle, const Outcome& outcome, TimePoint now);
  /// Tells them one portion. Returns a query that has no clients left, none when the portion is used up: to be called
  /// until then.
  [[gnu::cold]] QueryHandle tell_postponed(TimePoint now);

  // As time passes.
  void begin_turn() { may_deliver_ = kMaxDeliveredPerTurn; }
  [[nodiscard]] bool portion_is_due(TimePoint now) const { return now >= portion_due_; }
  /// A client whose deadline has passed, or none.
  [[nodiscard]] WaiterHandle expired(TimePoint now) const {
    const WaiterHandle first = deadlines_.front();
    return first && waiters_.get(first).deadline <= now ? first : WaiterHandle{};
  }
  /// Takes out a client that is to get a stale answer now; none when there is none.
  [[nodiscard]] WaiterHandle take_stale_due(TimePoint now) {
    const WaiterHandle first = may_have_stale_.front();
    if (!first || stale_at(first) > now) return {};
    may_have_stale_.remove(first);
    return first;
  }
  [[nodiscard]] TimePoint next_event() const {
    TimePoint next = portion_due_;
    if (const WaiterHandle first = deadlines_.front()) next = std::min(next, waiters_.get(first).deadline);
    if (const WaiterHandle first = may_have_stale_.front()) next = std::min(next, stale_at(first));
    return next;
  }

  /// Gives back memory that a flood of queries took.
  void shrink() { waiters_.shrink(); }

 private:
  [[nodiscard]] bool leaves_too_much_unanswered(Place place, TimePoint now) {
    return unanswered_.used_up(place, now) && quota_.waiting(place) > UnansweredShare::kMaxWaiting;
  }
  [[nodiscard]] TimePoint stale_at(WaiterHandle waiter) const {
    return waiters_.get(waiter).deadline - config_.deadline + stale_delay(config_.deadline);
  }
  Accepted answer_with_error(const Incoming& incoming, const dns::QueryView& query, dns::Rcode rcode,
                             const std::optional<dns::Explanation>& explanation);
  Accepted answered(Bytes answer);
  void note_answer() { counters_.add(Counter::answers); }
  dns::Question question_for(const Waiter& waiter, const Query& query);
  Bytes write(const Query& query, const Waiter& waiter, const Outcome& outcome);
  [[gnu::cold]] Bytes write_kept_error(const Query& query, const Waiter& waiter);
  void deliver(WaiterHandle waiter, Query& query, Bytes answer);
  void release(WaiterHandle waiter, Query& query);

  const RelayConfig& config_;
  Slab<Query>& queries_;
  Counters& counters_;
  MemoryBudget& memory_;
  Slab<Waiter> waiters_;
  LinkedList<Waiter, &Waiter::by_deadline> deadlines_;
  LinkedList<Waiter, &Waiter::by_stale> may_have_stale_;
  ClientQuota quota_;
  ErrorLimit error_limit_;
  UnansweredShare unanswered_;

  /// A query that is over, with clients that have not been told yet.
  struct Postponed {
    QueryHandle query;
    Outcome::Kind kind;
    std::vector<std::uint8_t> octets;
  };
  std::deque<Postponed> postponed_;
  TimePoint portion_due_ = kNever;
  std::ptrdiff_t may_deliver_ = 0;  ///< octets that are left of kMaxDeliveredPerTurn

  std::size_t without_channel_ = 0;  ///< waiters that are no clients

  std::vector<std::uint8_t> answer_buffer_;
  std::array<std::uint8_t, dns::kMaxName> spelled_name_;  ///< where question_for() spells a name anew
};

}  // namespace dotrelay
