// See checker.hpp.
#include "checker.hpp"

#include "transcript.hpp"

#include <algorithm>

namespace dotrelay::simulation {
namespace {

/// Timer calls for one instant: one that does what is due, and some that were asked for early.
constexpr int kMaxWakesAtOnce = 4;
/// Timer calls a second in which no client is told anything: a turn of the wheel is a millisecond, and a path that may
/// be dead is looked at each kOverdueLook, on 16 connections.
constexpr unsigned kMaxWakesASecond = 2000;
/// Dials to one address within a second, beside those that replace a connection that worked. Trials are at least 150 ms
/// apart (kFirstBackOff less its jitter), urgent dials 200 ms after the latest dial of any kind, and a retry on a fresh
/// connection follows a silent one, or one that is suspected, at once.
constexpr std::size_t kMaxDialsASecond = 8;

/// Dials under way to one address in all workers: an urgent one each Health::kUrgentInterval for as long as it may
/// take, and a few that each worker begins for itself.
constexpr std::size_t kMaxDialsOfAll = 16;
constexpr std::size_t kMaxOwnDials = 2;
/// Queries from which on their ways say whether the order of the upstreams is kept.
constexpr unsigned kEnoughForOrder = 40;

void forget_before(std::vector<TimePoint>& times, TimePoint from) {
  std::erase_if(times, [&](TimePoint at) { return at < from; });
}

/// Something may befall connections that keeps their octets from being acknowledged, or delays them by more than TCP
/// may.
bool may_go_silent(const Plan& plan) {
  if (!plan.network_changes.empty() || !plan.suspends.empty() || !plan.sleeps.empty()) return true;
  const auto silences = [](const Phase& phase) {
    return phase.fault == Fault::blackhole || phase.fault == Fault::connections_die || phase.fault == Fault::lossy ||
           phase.fault == Fault::bloat;
  };
  return std::ranges::any_of(plan.hosts, [&](const std::vector<HostPlan>& upstream) {
    return std::ranges::any_of(
        upstream, [&](const HostPlan& host) { return host.loss > 0 || std::ranges::any_of(host.phases, silences); });
  });
}

}  // namespace

Checker::Checker(const Plan& plan, Promise promise) : plan_(plan), promise_(promise), workers_(plan.workers) {
  for (const UpstreamConfig& upstream : plan.config.upstreams) dials_.emplace_back(upstream.addresses.size());
  for (Worker& worker : workers_) {
    for (const UpstreamConfig& upstream : plan.config.upstreams) {
      worker.upstreams.push_back({0, 0, std::vector<Address>(upstream.addresses.size())});
    }
  }
}

void Checker::fail(std::string_view invariant, std::string text, TimePoint now) {
  if (!breach_) breach_ = Breach{std::string(invariant), std::move(text), now};
}

void Checker::asks(Client& client, Accepted::Kind kind, bool is_query, TimePoint now) {
  Worker& worker = workers_[client.worker];
  if (kind == Accepted::Kind::ignored) {
    if (is_query) fail("accepted", "a sound query was ignored", now);
    return;
  }
  ++worker.owed;
  client.owed = kind == Accepted::Kind::waiting;
  if (client.owed) ++worker.waiting;
}

void Checker::told(Client& client, Bytes answer, TimePoint now) {
  Worker& worker = workers_[client.worker];
  // The end of each client's time is an instant of its own.
  if (worker.last_wake == now && std::exchange(worker.told_at, now) != now) --worker.wakes_this_second;
  if (++client.answers > 1) return fail("exactly once", "a client was answered twice", now);
  if (client.owed) --worker.waiting;
  client.owed = false;
  const TimePoint deadline = client.asked_at + plan_.config.relay.deadline;
  if (now > deadline && !slept_through(client, now)) {
    fail("deadline", "answered " + to_text(now - deadline) + " after the deadline", now);
  }
  check_answer(client, answer, now);
}

bool Checker::slept_through(const Client& client, TimePoint now) const {
  const TimePoint deadline = client.asked_at + plan_.config.relay.deadline;
  return std::ranges::any_of(plan_.sleeps, [&](const Sleep& sleep) {
    return sleep.worker == client.worker && sleep.from <= deadline && sleep.until == now;
  });
}

void Checker::check_answer(Client& client, Bytes answer, TimePoint now) {
  const std::optional<Read> read = read_message(answer);
  const std::size_t question_size = question_end(client.query);
  if (!read || !read->is_answer) return fail("own answer", "a client was sent what is no answer", now);
  if (read->id != load_u16(client.query.data())) return fail("own answer", "another ID than the query's", now);
  if (!read->has_question || answer.size() < question_size ||
      !std::equal(answer.begin() + 12, answer.begin() + static_cast<std::ptrdiff_t>(question_size),
                  client.query.begin() + 12)) {
    return fail("own answer", "another question than the query's, or in other letters", now);
  }
  const Truth truth = truth_of(client.question);
  client.rcode = read->rcode;
  check_service(client, read->rcode, now);
  switch (read->rcode) {
    case 0:
      if (!read->has_record || read->data != data_of(client.question)) fail("own answer", "another's record", now);
      if (truth == Truth::no_such || truth == Truth::bogus || truth == Truth::broken)
        fail("own answer", "an address for a name without", now);
      return;
    case 3:
      if (truth != Truth::no_such) fail("own answer", "NXDOMAIN for a name that exists", now);
      return;
    case 2:
      return;
    default: {
      const auto sent = errors_sent_.find(key_of(client.question));
      const unsigned given = bare_errors_sent_ | (sent == errors_sent_.end() ? 0 : sent->second);
      if ((given >> read->rcode & 1) == 0) {
        fail("own answer", "an error that no upstream gave: rcode " + std::to_string(read->rcode), now);
      }
    }
  }
}

/// The upstream that was well for this client, if nothing had befallen the relay itself.
std::optional<std::size_t> Checker::promised_by(const Client& client, TimePoint now) const {
  const Truth truth = truth_of(client.question);
  if (truth != Truth::address && truth != Truth::no_such) return std::nullopt;
  if (client.refused && is_flooded(plan_, now)) return std::nullopt;
  if (last_disturbance_ + seconds(1) >= client.asked_at || slept_through(client, now)) return std::nullopt;
  return well_upstream(plan_, promise_, plan_.order_of(client.question), client.asked_at, now);
}

void Checker::check_service(const Client& client, unsigned rcode, TimePoint now) {
  const std::optional<std::size_t> well = promised_by(client, now);
  if (!well) return;
  ++promised_;
  if (rcode == 0 || rcode == 3) return;
  fail("service",
       "rcode " + std::to_string(rcode) + " after " + to_text(now - client.asked_at) + " although upstream " +
           std::to_string(*well) + " was well",
       now);
}

void Checker::errs(std::size_t upstream, std::size_t address, TimePoint now) {
  const auto for_all = [&](const Phase& phase) {
    switch (phase.fault) {
      case Fault::servfail:
      case Fault::refused:
      case Fault::bare_errors:
      case Fault::malformed_answers:
        return phase.from <= now;
      default:
        return false;
    }
  };
  if (std::ranges::any_of(plan_.hosts[upstream][address].phases, for_all)) return;
  fail("one domain", "an upstream that errs for one domain at most is passed over for its errors", now);
}

void Checker::dials(std::size_t worker, std::size_t upstream, std::size_t address, TimePoint now) {
  ++connections_;
  // Those of a worker that sleeps stay where they are meanwhile.
  const std::size_t asleep = plan_.sleeps.empty() ? 0 : UpstreamSet::kMaxDials;
  if (++dials_[upstream][address] > kMaxDialsOfAll + asleep + kMaxOwnDials * workers_.size()) {
    fail("limit", std::to_string(dials_[upstream][address]) + " dials of all workers to one address", now);
  }
  Upstream& pool = workers_[worker].upstreams[upstream];
  if (++pool.dials > UpstreamSet::kMaxDials) fail("limit", "more than kMaxDials dials to one upstream", now);
  Address& host = pool.addresses[address];
  host.dials.push_back(now);
  if (host.dials.size() <= kMaxDialsASecond) return;
  forget_before(host.dials, now - seconds(1));
  forget_before(host.replaced, now - seconds(1));
  const bool disturbed = last_disturbance_ + seconds(1) >= now;
  if (host.dials.size() > kMaxDialsASecond + host.replaced.size() + (disturbed ? kMaxDialsASecond : 0)) {
    fail("dial rate", std::to_string(host.dials.size()) + " dials to one address within a second", now);
  }
}

void Checker::becomes_ready(std::size_t worker, std::size_t upstream, std::size_t address, TimePoint now) {
  --dials_[upstream][address];
  Upstream& pool = workers_[worker].upstreams[upstream];
  --pool.dials;
  // One more than the limit, for as long as it takes to see which of them is the surplus.
  constexpr std::size_t kMost = UpstreamSet::kMaxConnections + UpstreamSet::kMaxWorn + UpstreamSet::kMaxMute;
  if (++pool.ready > kMost + 1) {
    fail("limit", std::to_string(pool.ready) + " ready connections to one upstream", now);
  }
}

void Checker::destroyed(std::size_t worker, std::size_t upstream, std::size_t address, bool was_ready, TimePoint now) {
  --connections_;
  Upstream& pool = workers_[worker].upstreams[upstream];
  --(was_ready ? pool.ready : pool.dials);
  if (!was_ready) --dials_[upstream][address];
  if (was_ready) pool.addresses[address].replaced.push_back(now);
}

void Checker::sends(std::size_t line, std::size_t /*worker*/, std::size_t upstream, Reserved& reserved,
                    const Read& query, TimePoint now) {
  // Workers may send each other's queries: all of them together keep the order.
  check_order(workers_.front(), upstream, query.question, now);
  check_zone(upstream, query.question, now);
  if (query.is_answer || !query.has_question) fail("upstream query", "what is no query was sent upstream", now);
  if (!reserved.emplace(query.id, query.question).second) {
    fail("ID reuse", "ID " + std::to_string(query.id) + " on line " + std::to_string(line) + " may still be answered",
         now);
  }
  // Given up: all that no client waits for. The query that is being accepted has no client yet; each may be sent twice.
  // Those of other workers may be among them, which give up as many on each of their ways before this one hears of it.
  std::size_t waiting = 0;
  for (const Worker& any : workers_) waiting += any.waiting;
  const std::size_t wanted = 2 * (waiting + 1);
  const std::size_t ways = Borrowing::kMaxBorrowed * (workers_.size() - 1);
  if (reserved.size() > wanted + PendingQueries::kMaxAbandoned * (1 + ways)) {
    fail("limit", "a connection with more than kMaxAbandoned given-up IDs got a query", now);
  }
}

/// Whatever happens, a question goes to the upstreams of its zone only: also as a hedge, as a copy, through a sibling.
void Checker::check_zone(std::size_t upstream, Question question, TimePoint now) {
  const std::vector<std::size_t>& order = plan_.order_of(question);
  if (std::ranges::find(order, upstream) != order.end()) return;
  fail("zone",
       "upstream " + std::to_string(upstream) + " got a question about d" + std::to_string(domain_of(question)) +
           ".sim, which is for others",
       now);
}

/// The first upstream of the file that works gets the queries: also after trouble that all workers had.
void Checker::check_order(Worker& worker, std::size_t upstream, Question question, TimePoint now) {
  if (truth_of(question) != Truth::address || plan_.order_of(question).front() != 0) return;
  const bool well = last_disturbance_ + 2 * kRecovery < now && first_is_well(plan_, now);
  if (!well || worker.sent_to_first + worker.sent_elsewhere == 0) {
    worker.order_since = now;
    worker.sent_to_first = worker.sent_elsewhere = 0;
  }
  if (!well) return;
  ++(upstream == 0 ? worker.sent_to_first : worker.sent_elsewhere);
  if (worker.sent_to_first + worker.sent_elsewhere < kEnoughForOrder || now - worker.order_since < seconds(5)) return;
  if (worker.sent_to_first < worker.sent_elsewhere / 2) {
    fail("order",
         "only " + std::to_string(worker.sent_to_first) + " queries to the first upstream, " +
             std::to_string(worker.sent_elsewhere) + " to others, although it has long been well",
         now);
  }
  worker.sent_to_first = worker.sent_elsewhere = 0;
}

void Checker::wakes(std::size_t worker, TimePoint now) {
  Worker& state = workers_[worker];
  if (std::exchange(state.last_wake, now) != now) state.wakes_at_once = 0;
  if (++state.wakes_at_once > kMaxWakesAtOnce) fail("busy loop", "the timer asks for the same instant again", now);
  if (now - state.second_began >= seconds(1)) {
    state.second_began = now;
    state.wakes_this_second = 0;
  }
  if (++state.wakes_this_second > kMaxWakesASecond) fail("busy loop", "too many timer calls within a second", now);
}

void Checker::counters(std::size_t worker, const Counters& counters, TimePoint now) {
  const double queries = static_cast<double>(counters.get(Counter::queries_udp) + counters.get(Counter::queries_tcp) -
                                             counters.get(Counter::shared));
  const double budget = queries * plan_.config.relay.hedge + HedgeBudget::kBurst;
  if (static_cast<double>(counters.get(Counter::upstream_hedged)) > budget) {
    fail("hedge budget", std::to_string(counters.get(Counter::upstream_hedged)) + " hedged queries", now);
  }
  if (plan_.config.relay.hedge == 0 && counters.get(Counter::upstream_hedged) > 0) {
    fail("hedge budget", "hedged without a budget", now);
  }
  if (workers_[worker].waiting > WaitingClients::kMaxWaiters) fail("limit", "more than kMaxWaiters", now);
}

void Checker::ends(std::size_t worker, const Counters& counters, bool idle, TimePoint next_timeout, TimePoint now) {
  const Worker& state = workers_[worker];
  if (state.waiting > 0) {
    fail("exactly once",
         std::to_string(state.waiting) + " clients of worker " + std::to_string(worker) + " wait for ever", now);
  }
  if (!idle) fail("nothing left", "the forwarder is not idle", now);
  if (connections_ > 0) fail("nothing left", std::to_string(connections_) + " connections are still open", now);
  if (next_timeout != kNever) fail("nothing left", "the forwarder still wants its timer", now);
  if (counters.get(Counter::upstream_silent) > 0 && !may_go_silent(plan_)) {
    fail("dead is not slow",
         std::to_string(counters.get(Counter::upstream_silent)) + " connections given up, all of which lived", now);
  }
  if (counters.get(Counter::answers) != state.owed) {
    fail("counters",
         std::to_string(counters.get(Counter::answers)) + " answers counted, " + std::to_string(state.owed) + " owed",
         now);
  }
}

}  // namespace dotrelay::simulation
