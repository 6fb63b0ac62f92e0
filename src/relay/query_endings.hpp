// The end of a query: what its clients are told, once each, and that nothing of it is left in any table.
#pragma once

#include "base/clock.hpp"
#include "relay/cached_answers.hpp"
#include "relay/in_flight.hpp"
#include "relay/query.hpp"
#include "relay/router.hpp"
#include "relay/waiting_clients.hpp"

#include <string>

namespace dotrelay {

class QueryEndings {
 public:
  /// The references outlive the object.
  QueryEndings(Slab<Query>& queries, InFlight& in_flight, WaitingClients& clients, CachedAnswers& cached,
               Router& router)
      : queries_(queries), in_flight_(in_flight), clients_(clients), cached_(cached), router_(router) {}

  /// The query has its outcome: its clients are told, in this turn or the next ones.
  void finish(QueryHandle handle, const Outcome& outcome, TimePoint now);
  /// No good answer comes: its clients are told the error that an upstream gave, what is kept although it is stale, or
  /// the reason why there is no answer.
  [[gnu::cold]] void give_up(QueryHandle handle, TimePoint now);
  /// `goes_on`: what the Router says of the query.
  void give_up_unless(bool goes_on, QueryHandle handle, TimePoint now) {
    if (!goes_on) give_up(handle, now);
  }
  /// The same for a query that has just begun: its only client learns it from accept().
  [[gnu::cold]] Accepted give_up_at_once(QueryHandle handle, TimePoint now);

  /// Tells one portion of what finish() has left for later.
  [[gnu::cold]] void tell_postponed(TimePoint now);
  /// Tells the clients whose deadlines have passed, and those that get a stale answer because a fresh one is late.
  void expire(TimePoint now);

 private:
  struct LastWord {
    Outcome::Kind kind;
    std::string cause{};
    const ReadyAnswer* ready = nullptr;
    [[nodiscard]] Outcome outcome() const;
  };
  [[gnu::cold]] [[nodiscard]] LastWord last_word(const Query& query, TimePoint now);
  [[gnu::cold]] void tell_stale(WaiterHandle waiter, TimePoint now);
  [[gnu::cold]] void fail_waiter(WaiterHandle handle, TimePoint now);
  void drop(QueryHandle handle);
  void retire(QueryHandle handle);

  Slab<Query>& queries_;
  InFlight& in_flight_;
  WaitingClients& clients_;
  CachedAnswers& cached_;
  Router& router_;
};

}  // namespace dotrelay
