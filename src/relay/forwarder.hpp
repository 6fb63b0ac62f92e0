// The conductor: every decision in a query's life is made here. Listeners hand queries in, connections report what
// happened, a timer reports the time; in-flight table, upstream set and health are data that the forwarder asks. It
// touches no socket and asks no clock.
#pragma once

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "config/config.hpp"
#include "metrics/counters.hpp"
#include "relay/client_quota.hpp"
#include "relay/connection.hpp"
#include "relay/error_limit.hpp"
#include "relay/hedge_budget.hpp"
#include "relay/in_flight.hpp"
#include "relay/lending.hpp"
#include "relay/memory_budget.hpp"
#include "relay/outage.hpp"
#include "relay/query.hpp"
#include "relay/rcode_policy.hpp"
#include "relay/reply_channel.hpp"
#include "relay/shared_connections.hpp"
#include "relay/siblings.hpp"
#include "relay/unanswered_share.hpp"
#include "relay/upstream_set.hpp"

#include <array>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dotrelay {

/// A message from a client. The octets are only read during Forwarder::accept().
struct Incoming {
  Bytes message;
  IpAddress source;
  dns::Transport transport;
  ReplyChannel* channel = nullptr;
  ClientKey client;
};

/// What became of a message.
struct Accepted {
  enum class Kind : std::uint8_t {
    ignored,   ///< there will be no answer
    answered,  ///< `answer` is the answer; valid until the next call on the forwarder
    waiting,   ///< the channel's deliver() will be called once
  };
  Kind kind = Kind::ignored;
  Bytes answer;
};

class Forwarder final : public ConnectionEvents {
 public:
  /// Clients' queries waiting at once in one worker, and different questions among them.
  static constexpr std::size_t kMaxWaiters = 65536;
  static constexpr std::size_t kMaxQueries = 32768;
  /// Clients that share one upstream query, which bounds the work of one answer; the next begins another.
  static constexpr std::size_t kMaxWaitersPerQuery = 10000;
  /// What a query and a waiter take of the memory budget: themselves, and their entries in the tables of the forwarder,
  /// an upstream connection and a listener.
  static constexpr std::size_t kQueryBytes = 832;
  static constexpr std::size_t kWaiterBytes = 320;
  /// The cause while that is suspected, and the log's words when it is proven.
  static constexpr std::string_view kLargePacketsLost = "large packets are lost on this path (MTU?)";
  /// The cause that clients are told when an upstream's answer could not be read.
  static constexpr std::string_view kMalformedAnswer = "malformed answer";

  /// After this time, or a quarter of the deadline when that is shorter, the next upstream is asked as well, whatever
  /// the budget for hedging: with three upstreams and the default deadline each has been asked before the last quarter
  /// of the client's time begins.
  static constexpr Duration kMaxPatience = std::chrono::seconds(1);
  /// A late query for which the budget has nothing left looks again so often.
  static constexpr Duration kHedgeInterval = std::chrono::milliseconds(25);
  /// Time is asked for at least so often while connections are open, and a gap of kClockGap means that the process or
  /// the machine has slept: nobody knows what became of the connections.
  static constexpr Duration kTick = std::chrono::seconds(1);
  static constexpr Duration kClockGap = std::chrono::milliseconds(2500);

  /// A room with more queries than that is walked through only so often that it takes a small part of the time: an
  /// outage with dials to many addresses must not cost a core. Each query costs about a microsecond.
  static constexpr std::size_t kSmallRoom = 512;
  static constexpr Duration kPausePerQuery = std::chrono::microseconds(10);

  /// Octets of an error that are kept while the next upstream is asked. A longer one is told by its RCODE alone.
  static constexpr std::size_t kMaxKeptError = 1232;

  /// Octets of answers that are delivered in one turn of the loop: when thousands of clients wait for one long answer,
  /// the rest of them get it in portions of this size, one in kPortionInterval, and others are served in between.
  /// Copying and sending a portion takes about as long.
  static constexpr std::size_t kMaxDeliveredPerTurn = std::size_t{256} * 1024;
  static constexpr Duration kPortionInterval = std::chrono::milliseconds(1);

  /// `health` has an entry for each upstream address in the order of the configuration. The references outlive the
  /// forwarder. `siblings`, with what is known of their connections: nullptr for a worker that has none.
  Forwarder(const Config& config, std::span<SharedHealth> health, Dialer& dialer, Counters& counters,
            MemoryBudget& memory, Log& log, Random& random, SharedConnections shared = {},
            Siblings* siblings = nullptr);
  ~Forwarder() override;

  Accepted accept(const Incoming& incoming, TimePoint now);

  void on_activity(ConnectionHandle connection, TimePoint now) noexcept override;

  /// Addresses or routes of this host have changed.
  void on_network_change(TimePoint now);

  /// The clock of the day was set: certificates that were refused may be in date now.
  void on_clock_set(TimePoint now);

  /// The machine has slept: every connection is made anew.
  void on_sleep(TimePoint now);

  /// Does what is due. To be called at next_timeout() at the latest; earlier calls do no harm.
  void on_timer(TimePoint now);
  [[nodiscard]] TimePoint next_timeout(TimePoint now);

  /// No client waits, neither here nor at a sibling for what this worker has lent.
  [[nodiscard]] bool idle() const { return waiters_.empty() && lending_.empty(); }

  /// What siblings ask of this worker.
  [[nodiscard]] Lending& lending() { return lending_; }

  /// Gives back memory that a flood of queries took.
  void shrink();

 private:
  // A query's way in.
  [[gnu::cold]] Accepted reject(const Incoming& incoming, const dns::Query& query, dns::Rcode rcode,
                                const std::optional<dns::Explanation>& explanation, TimePoint now);
  [[gnu::cold]] Accepted answer_with_error(const Incoming& incoming, const dns::Query& query, dns::Rcode rcode,
                                           const std::optional<dns::Explanation>& explanation = {});
  [[gnu::cold]] Accepted answer_with_overload(const Incoming& incoming, const dns::Query& query,
                                              ClientQuota::Place place, TimePoint now);
  [[nodiscard]] bool leaves_too_much_unanswered(ClientQuota::Place place, TimePoint now);
  QueryHandle join_or_begin(const QueryKey& key, ClientQuota::Place place, TimePoint now);
  void add_waiter(QueryHandle handle, const Incoming& incoming, const dns::Query& message, ClientQuota::Place place,
                  TimePoint now);

  // On its way.
  void proceed(QueryHandle handle, TimePoint now);
  [[nodiscard]] bool route(QueryHandle handle, TimePoint now);
  bool send(QueryHandle handle, ConnectionHandle connection, bool trial, TimePoint now);
  void send_copy(QueryHandle handle, AddressIndex before, TimePoint now);
  /// What a query can do when there is nothing to send it on.
  enum class Hope : std::uint8_t {
    another_choice,  ///< more connections may be chosen now
    waits,           ///< for a connection, or for the answer to what is under way
    none,            ///< it is to be given up
  };
  [[gnu::cold]] Hope look_for_hope(QueryHandle handle, TimePoint now);
  [[gnu::cold]] bool wait_for_trial(QueryHandle handle, bool urgent, TimePoint now);
  [[gnu::cold]] UpstreamMask mute_upstreams(const Query& query, TimePoint now);
  [[gnu::cold]] [[nodiscard]] bool has_waited_in_outage(const Query& query, TimePoint now);
  [[gnu::cold]] void on_usable(std::size_t upstream, TimePoint now);
  [[gnu::cold]] void reroute_room(TimePoint now);
  [[gnu::cold]] void reroute_room_in_time(TimePoint now);
  [[gnu::cold]] ConnectionHandle dial(AddressIndex target, TimePoint now);
  void start_trials(UpstreamMask among, std::optional<AddressIndex> used, bool urgent, TimePoint now);

  // As time passes.
  void notice_time(TimePoint now);
  [[nodiscard]] bool is_gap(TimePoint now) const;
  void expire(TimePoint now);
  void schedule_check(QueryHandle handle, Query& query, const SlowPath& path, TimePoint now);
  [[gnu::cold]] void on_check(QueryHandle handle, TimePoint now);
  [[gnu::cold]] void repeat(QueryHandle handle, TimePoint now);
  [[gnu::cold]] void mark_late(Query& query, TimePoint now);
  [[gnu::cold]] bool may_hedge(Query& query);
  [[gnu::cold]] void ask_next_too(QueryHandle handle, TimePoint now);
  void check_connections(TimePoint now);
  void check_expected(TimePoint now);
  [[gnu::cold]] void look_at_path(ConnectionHandle handle, TimePoint now);
  [[gnu::cold]] void measure(ConnectionHandle handle, TimePoint now);
  [[gnu::cold]] void suspect(ConnectionHandle handle, TimePoint now);
  [[gnu::cold]] void withdraw_suspicion(ConnectionHandle handle, TimePoint now);
  [[gnu::cold]] void give_up_suspect(ConnectionHandle handle, TimePoint now);
  [[gnu::cold]] void end_suspicion(ConnectionHandle handle, TimePoint now);
  template <class Act>
  void for_idle_siblings(ConnectionHandle handle, Act act);
  [[gnu::cold]] void look_at_handshake(ConnectionHandle handle, TimePoint now);
  [[gnu::cold]] void on_idle(ConnectionHandle handle, TimePoint now);
  [[gnu::cold]] void renew(ConnectionHandle handle, Duration lifetime, TimePoint now);
  [[gnu::cold]] void forget_connections(bool all, std::string_view why, TimePoint now);

  // What connections report.
  [[gnu::cold]] void on_ready(ConnectionHandle handle, TimePoint now);
  void on_message(ConnectionHandle handle, Bytes message, TimePoint now);
  [[nodiscard]] bool answers(const PendingQueries::Entry& entry, const dns::Question& question) const;
  [[gnu::cold]] bool ask_without_edns(QueryHandle handle, ConnectionHandle connection, bool trial, TimePoint now);
  [[gnu::cold]] void on_bad_frame(ConnectionHandle handle, Bytes message, TimePoint now);
  [[gnu::cold]] void on_malformed_answer(ConnectionHandle handle, std::uint16_t id, Bytes message, TimePoint now);
  struct Source {
    AddressIndex index;
    Meaning meaning = Meaning::answer;
    bool trial = false;
  };
  void on_answer(QueryHandle handle, const dns::Response& response, Source from, Bytes message, TimePoint now);
  [[gnu::cold]] void on_error(QueryHandle handle, ErrorAnswer error, bool trial, TimePoint now);
  [[gnu::cold]] void close_renewed(ConnectionHandle replacement, TimePoint now);
  [[gnu::cold]] void close_worn(ConnectionHandle handle, TimePoint now);
  [[gnu::cold]] void on_large_packets_lost(ConnectionHandle made, TimePoint now);
  [[gnu::cold]] void close_surplus_dials(std::size_t upstream, TimePoint now);
  [[gnu::cold]] void on_server_closed_idle(ConnectionHandle handle, TimePoint now);
  [[gnu::cold]] void close(ConnectionHandle handle, const CloseReason& reason, TimePoint now);
  [[gnu::cold]] std::vector<QueryHandle> take_down(ConnectionHandle handle, TimePoint now);

  // Siblings, where a server wants no more connections.
  [[gnu::cold]] void borrow(AddressIndex target, TimePoint now);
  [[gnu::cold]] bool borrow_in_trouble(UpstreamMask among, TimePoint now);
  [[gnu::cold]] void close_borrowed(ConnectionHandle handle, const CloseReason& reason, TimePoint now);
  [[gnu::cold]] void drop_borrowed(AddressIndex index, TimePoint now);
  [[gnu::cold]] bool on_refused(AddressIndex index, TimePoint begun, const std::string& cause, TimePoint now);
  [[gnu::cold]] void on_passed(AddressIndex index, TimePoint now);
  [[gnu::cold]] void retry_elsewhere(QueryHandle handle, std::size_t upstream, CloseKind kind, TimePoint now);
  [[gnu::cold]] void route_without(QueryHandle handle, TimePoint now);

  // What is learned about upstreams.
  [[gnu::cold]] void note_trouble(AddressIndex target, Trouble trouble, const std::string& cause, Health::Epoch epoch,
                                  TimePoint now);
  void note_answer(const PooledConnection& from, TimePoint sent_at, bool good, TimePoint now);
  [[gnu::cold]] void note_failed_copy(ConnectionHandle connection, TimePoint now);
  [[gnu::cold]] void note_ignorance(const Query& query, const dns::Response& response, AddressIndex target,
                                    TimePoint now);
  [[gnu::cold]] void note_unanswered(AddressIndex target, std::uint32_t domain, TimePoint now);
  void note_contradiction(const Query& query, Meaning meaning, TimePoint now);
  void expect_answer(const Attempt& attempt, const Query& query, bool trial);

  // Its end.
  /// What all clients of a query are told.
  struct Outcome {
    enum class Kind : std::uint8_t { answer, error, failure };
    Kind kind;
    Bytes octets;                             ///< the answer; of a failure its cause; an error is kept in the query
    const dns::Response* response = nullptr;  ///< the parsed answer
  };
  dns::Question question_for(const Waiter& waiter, const Query& query);
  /// What is left for a client that gets no good answer.
  struct LastWord {
    Outcome::Kind kind;
    std::string cause;
    [[nodiscard]] Outcome outcome() const;
  };
  [[gnu::cold]] [[nodiscard]] LastWord last_word(const Query& query, TimePoint now);
  void finish(QueryHandle handle, const Outcome& outcome);
  [[gnu::cold]] void give_up(QueryHandle handle, TimePoint now);
  [[gnu::cold]] Accepted give_up_at_once(QueryHandle handle, TimePoint now);
  bool tell_some_clients(Query& query, const Outcome& outcome);
  [[gnu::cold]] void postpone(QueryHandle handle, const Outcome& outcome);
  [[gnu::cold]] void tell_postponed(TimePoint now);
  Bytes write_outcome(const Query& query, const Waiter& waiter, const Outcome& outcome);
  [[gnu::cold]] Bytes write_kept_error(const Query& query, const Waiter& waiter);
  [[gnu::cold]] void fail_waiter(WaiterHandle handle, TimePoint now);
  void deliver(WaiterHandle handle, Bytes answer);
  void release(WaiterHandle handle);
  Accepted answered(Bytes answer);
  void note_answer_given();
  void drop(QueryHandle handle);
  void retire(QueryHandle handle);
  [[gnu::cold]] void note_outage(UpstreamMask eligible, std::string_view cause, TimePoint now);
  [[gnu::cold]] std::string cause(const Query& query);

  const Config& config_;
  Dialer& dialer_;
  Counters& counters_;
  MemoryBudget& memory_;
  Log& log_;
  Random& random_;
  const HashKey hash_key_;
  const Duration patience_;
  Siblings* const siblings_;

  Slab<Waiter> waiters_;
  Slab<Query> queries_;
  InFlight in_flight_;
  ClientQuota quota_;
  ErrorLimit error_limit_;
  UpstreamSet upstreams_;
  Lending lending_;
  LinkedList<Waiter, &Waiter::by_deadline> deadlines_;
  DueWheel<Query, &Query::check> checks_;
  LinkedList<Query, &Query::in_room> room_;  ///< queries that wait for a connection

  /// An answer that is still expected although another upstream has given one, or that decides a trial.
  struct Expected {
    ConnectionHandle connection;
    std::uint16_t id = 0;
    bool trial = false;
    std::uint32_t domain = 0;  ///< InFlight::domain_hash()
    TimePoint sent_at{};
  };
  static constexpr std::size_t kMaxExpected = 256;
  std::deque<Expected> expected_;  ///< in the order of their time, all judged after config.relay.slow

  /// A query that is over, with clients that have not been told yet.
  struct Postponed {
    QueryHandle query;
    Outcome::Kind kind;
    std::vector<std::uint8_t> octets;
  };
  std::deque<Postponed> postponed_;
  TimePoint portion_due_ = kNever;
  std::ptrdiff_t may_deliver_ = 0;  ///< octets that are left of kMaxDeliveredPerTurn

  HedgeBudget hedge_budget_;
  TimePoint last_seen_{};
  TimePoint published_at_{};
  TimePoint latest_proof_{};        ///< when the latest query left that has been answered
  TimePoint rerouted_at_{};         ///< the latest walk through the room
  TimePoint reroute_due_ = kNever;  ///< a walk through a full room that was put off
  UpstreamMask urgent_;             ///< upstreams that queries wait for which can use nothing
  Outages outages_;
  std::vector<std::uint8_t> answer_buffer_;
  std::array<std::uint8_t, dns::kMaxName> spelled_name_;  ///< where question_for() spells a name anew
  UnansweredShare unanswered_;
};

}  // namespace dotrelay
