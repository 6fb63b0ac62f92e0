// See world.hpp.
#include "world.hpp"

#include <algorithm>

namespace dotrelay::simulation {
namespace {

/// After the last question: its deadline, and connections that idle out, some of them replaced in advance before.
constexpr Duration kAfterlife = seconds(240);

/// Streams of chance of one life that do not disturb each other.
std::uint32_t stream(std::uint32_t seed, std::uint32_t number) { return seed * 2654435761U + number * 40503U; }

/// For each worker: more than its clients ever need.
constexpr std::uint32_t kMemoryChunks = 2048;

}  // namespace

void Figures::add(const Figures& other) {
  queries += other.queries;
  answered += other.answered;
  errors += other.errors;
  promised += other.promised;
  dials += other.dials;
  hedged += other.hedged;
  silent += other.silent;
  passed += other.passed;
  in_zones += other.in_zones;
  virtual_seconds += other.virtual_seconds;
}

World::Worker::Worker(World& world, std::size_t number, std::uint32_t seed, bool trace)
    : number(number),
      log(trace ? LogLevel::debug : LogLevel::error, "worker " + std::to_string(number), trace ? 1 : -1),
      random(stream(seed, 10 + static_cast<std::uint32_t>(number))),
      dialer(world.network_, number),
      memory(world.memory_words_, number, kMemoryChunks * static_cast<std::uint32_t>(world.plan_.workers)),
      forwarder({.config = world.plan_.config,
                 .dialer = dialer,
                 .counters = counters,
                 .memory = memory,
                 .log = log,
                 .random = random,
                 .siblings = world.mail_.siblings(number)},
                world.health_, world.mail_.connections(number)) {
  world.mail_.join(number, forwarder);
}

World::World(std::uint32_t seed, Promise promise, std::FILE* trace)
    : plan_(stream(seed, 0)),
      transcript_(trace),
      checker_(plan_, promise),
      random_(stream(seed, 1)),
      network_(plan_, timeline_, transcript_, checker_, random_, [this](Line& line) { notify(line); }),
      servers_(plan_, timeline_, transcript_, checker_, random_, network_),
      health_(plan_.config.address_count()),
      memory_words_(plan_.workers),
      mail_(plan_.workers, plan_.config.address_count()) {
  mail_.on_mail = [this](std::size_t number) { read_mail(number); };
  for (std::size_t i = 0; i < plan_.workers; ++i) workers_.emplace_back(*this, i, seed, trace != nullptr);
  for (const Traffic& traffic : plan_.traffic) {
    timeline_.at(traffic.from, [this, &traffic] { ask_for_a_while(traffic); });
  }
  for (const TimePoint at : plan_.network_changes) timeline_.at(at, [this] { change_network(); });
  for (const TimePoint at : plan_.suspends) timeline_.at(at, [this] { suspend(); });
  for (const Sleep& sleep : plan_.sleeps) timeline_.at(sleep.from, [this, &sleep] { fall_asleep(sleep); });
}

World::~World() {
  mail_.on_mail = [](std::size_t) {};
}

/// One turn of a worker's loop: something happens, then it says when it wants its timer.
template <class Call>
void World::turn(Worker& worker, Call call) {
  call(worker.forwarder);
  worker.timer = worker.forwarder.next_timeout(timeline_.now());
  checker_.counters(worker.number, worker.counters, timeline_.now());
}

void World::run() {
  run_until_quiet();
  for (Worker& worker : workers_) {
    if (breach()) return;
    checker_.ends(worker.number, worker.counters, worker.forwarder.idle(),
                  worker.forwarder.next_timeout(timeline_.now()), timeline_.now());
  }
}

void World::run_until_quiet() {
  while (!breach()) {
    Worker* const worker = next_to_wake();
    const TimePoint wake = worker == nullptr ? kNever : std::max(worker->timer, worker->awake_at);
    const TimePoint action = timeline_.next();
    const TimePoint next = std::min(wake, action);
    if (next > plan_.end + kAfterlife) return;
    if (wake < action || (wake == action && plan_.timers_first)) {
      timeline_.go_to(wake);
      const TimePoint now = timeline_.now();
      transcript_.add(now, Happening::wakes, worker->number);
      checker_.wakes(worker->number, now);
      turn(*worker, [&](Forwarder& forwarder) { forwarder.on_timer(now); });
    } else {
      timeline_.step();
    }
  }
}

World::Worker* World::next_to_wake() {
  Worker* next = nullptr;
  for (Worker& worker : workers_) {
    if (worker.timer == kNever) continue;
    if (next == nullptr || std::max(worker.timer, worker.awake_at) < std::max(next->timer, next->awake_at)) {
      next = &worker;
    }
  }
  return next;
}

/// At `when`, or when the worker's process is awake.
void World::when_awake(Worker& worker, TimePoint when, Timeline::Action action) {
  timeline_.at(std::max(when, worker.awake_at), [this, &worker, action = std::move(action)] {
    timeline_.now() < worker.awake_at ? when_awake(worker, worker.awake_at, action) : action();
  });
}

/// A connection has news for its worker, which hears of it in this turn of its loop.
void World::notify(Line& line) {
  when_awake(workers_[line.worker], timeline_.now(), [this, &line] { tell(line); });
}

void World::tell(Line& line) {
  Worker& worker = workers_[line.worker];
  const TimePoint now = timeline_.now();
  line.notifying = false;
  if (line.gone) return;
  line.visible_state = line.state;
  if (line.state == Connection::State::ready && !line.known_ready) {
    line.known_ready = true;
    checker_.becomes_ready(line.worker, line.upstream, line.address, now);
  }
  turn(worker, [&](Forwarder& forwarder) { forwarder.on_activity(line.handle, now); });
}

/// A record has come for the worker; the kernel takes a moment to wake it.
void World::read_mail(std::size_t number) {
  when_awake(workers_[number], timeline_.now() + microseconds(20), [this, number] {
    turn(workers_[number], [&](Forwarder&) {
      while (mail_.receive(number, timeline_.now())) continue;
    });
  });
}

void World::deliver(ClientKey key, Bytes answer) noexcept {
  Client& client = clients_[key.index];
  transcript_.add(timeline_.now(), Happening::told, client.worker, key.index, answer.size() < 4 ? 99 : answer[3] & 15U);
  if (accepting_) checker_.fail("no re-entry", "a client was answered from inside accept()", timeline_.now());
  checker_.told(client, answer, timeline_.now());
  for (std::size_t i = 0; i < plan_.hosts.size(); ++i) {
    for (std::size_t j = 0; j < plan_.hosts[i].size(); ++j) {
      const Health health(health_[plan_.config.address_number(i, j)]);
      if (health.trouble() == Trouble::errors) checker_.errs(i, j, timeline_.now());
    }
  }
}

void World::ask_for_a_while(const Traffic& traffic) {
  const std::size_t worker = random_.below(static_cast<std::uint32_t>(workers_.size()));
  for (unsigned i = 0; i < traffic.burst; ++i) ask(worker, traffic);
  const Duration gap = traffic.mean_gap * (1 + random_.below(2048)) / 1024;
  if (timeline_.now() + gap >= traffic.until) return;
  timeline_.after(gap, [this, &traffic] { ask_for_a_while(traffic); });
}

void World::ask(std::size_t worker, const Traffic& traffic) {
  const std::uint16_t type = random_.below(3) == 0 ? 28 : 1;
  const std::uint32_t name = random_.below(traffic.names);
  const Question question{traffic.unanswerable ? name * 64 + 1 : name * 13 + 7, type};
  // A process that sleeps reads its queries when it wakes.
  when_awake(workers_[worker], timeline_.now(), [this, worker, question, unanswerable = traffic.unanswerable] {
    ask_now(worker, question, unanswerable);
  });
}

void World::ask_now(std::size_t number, Question question, bool unanswerable) {
  Worker& worker = workers_[number];
  const TimePoint now = timeline_.now();
  const auto index = static_cast<std::uint32_t>(clients_.size());
  Client& client = clients_.emplace_back();
  client.worker = number;
  client.question = question;
  client.asked_at = now;
  const std::uint32_t dice = random_.u32();
  const QueryStyle style{static_cast<std::uint16_t>((dice & 7) == 0 ? 0x0110 : 0x0100), (dice & 8) != 0,
                         (dice & 0x30) == 0};
  client.query = write_query(static_cast<std::uint16_t>(random_.below(65536)), question, style, random_);
  transcript_.add(now, Happening::asks, number, index, question.number, question.type);
  IpAddress source;
  source.octets = {10, 0, static_cast<std::uint8_t>(unanswerable ? 1 : 0),
                   static_cast<std::uint8_t>(unanswerable ? 0 : index)};
  turn(worker, [&](Forwarder& forwarder) {
    accepting_ = true;
    const Accepted accepted = forwarder.accept({.message = client.query,
                                                .source = source,
                                                .transport = {.tcp = (dice & 0x40) != 0, .keepalive = 0},
                                                .channel = this,
                                                .client = {index, 0}},
                                               now);
    accepting_ = false;
    checker_.asks(client, accepted.kind, true, now);
    if (accepted.kind == Accepted::Kind::answered) {
      transcript_.add(now, Happening::told_at_once, number, index, accepted.answer[3] & 15U);
      client.refused = true;
      checker_.told(client, accepted.answer, now);
    }
  });
}

/// Other routes: what was open goes another way than new connections do. Most of it is dead.
void World::change_network() {
  const TimePoint now = timeline_.now();
  std::uint64_t lines = 0;
  ++network_.way;
  const bool all = random_.below(2) == 0;
  network_.for_each_open([&](Line& line) {
    if (!all && random_.below(2) == 0) return;
    line.route_changed = true;
    ++lines;
    if (random_.below(4) > 0) line.dead_since = std::min(line.dead_since, now);
  });
  checker_.disturbed(now);
  transcript_.add(now, Happening::network_changes, 0, lines);
  for (Worker& worker : workers_) {
    // Each hears of it by its own socket, and looks only then at its connections.
    when_awake(worker, now + milliseconds(random_.below(60)), [this, &worker] {
      checker_.disturbed(timeline_.now());
      turn(worker, [&](Forwarder& forwarder) { forwarder.on_network_change(timeline_.now()); });
    });
  }
}

/// The clock stood still meanwhile; the servers' did not.
void World::suspend() {
  const TimePoint now = timeline_.now();
  checker_.disturbed(now);
  transcript_.add(now, Happening::suspends, 0);
  network_.for_each_open([&](Line& line) {
    if (random_.below(2) == 0) {
      line.dead_since = std::min(line.dead_since, now);
    } else {
      line.forgotten = true;
    }
  });
  for (Worker& worker : workers_) {
    when_awake(worker, now + milliseconds(random_.below(1000)), [this, &worker] {
      checker_.disturbed(timeline_.now());
      turn(worker, [&](Forwarder& forwarder) { forwarder.on_sleep(timeline_.now()); });
    });
  }
}

void World::fall_asleep(const Sleep& sleep) {
  const auto length = std::chrono::duration_cast<milliseconds>(sleep.until - sleep.from).count();
  transcript_.add(timeline_.now(), Happening::falls_asleep, sleep.worker, static_cast<std::uint64_t>(length));
  workers_[sleep.worker].awake_at = sleep.until;
  timeline_.at(sleep.until, [this, &sleep] {
    checker_.disturbed(timeline_.now());
    transcript_.add(timeline_.now(), Happening::wakes_up, sleep.worker);
  });
}

Figures World::figures() const {
  Figures figures;
  for (const Client& client : clients_) {
    ++figures.queries;
    ++(client.rcode == 0 || client.rcode == 3 ? figures.answered : figures.errors);
  }
  figures.promised = checker_.promised();
  if (plan_.has_zones) figures.in_zones = figures.queries;
  for (const Worker& worker : workers_) {
    figures.dials += worker.counters.get(Counter::upstream_dials);
    figures.hedged += worker.counters.get(Counter::upstream_hedged);
    figures.silent += worker.counters.get(Counter::upstream_silent);
    figures.passed += worker.counters.get(Counter::passed_to_sibling);
  }
  figures.virtual_seconds =
      static_cast<std::uint64_t>(std::chrono::duration_cast<seconds>(timeline_.now() - kBirth).count());
  return figures;
}

}  // namespace dotrelay::simulation
