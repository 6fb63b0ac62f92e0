// See generation.hpp.
#include "supervisor/generation.hpp"

#include "net/descriptor_passing.hpp"
#include "net/sockets.hpp"
#include "process/heartbeat.hpp"

#include <algorithm>
#include <csignal>
#include <sys/wait.h>

namespace dotrelay {
namespace {

/// What workers may take beyond the deadline to drain before they are killed.
constexpr Duration kStopSlack = std::chrono::seconds(2);

}  // namespace

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status)) return "was killed by signal " + std::to_string(WTERMSIG(status));
  return "exited with status " + std::to_string(WEXITSTATUS(status));
}

Generation::Generation(Loop& loop, Listener& listener, Log& log, GenerationParts parts, Stage stage)
    : loop_(loop), listener_(listener), log_(log), parts_(std::move(parts)), stage_(stage), kill_limit_(loop, [this] {
        kill_all();
      }) {
  for (std::uint32_t i = 0; i < parts_.sockets.size(); ++i) {
    workers_.emplace_back(i + 1, loop_, [this](Worker& worker) { start(worker); });
  }
}

void Generation::start() {
  for (Worker& worker : workers_) {
    if (!start(worker) && stage_ != Stage::serving) return;
  }
}

void Generation::adopt(const RunningWorker& running) {
  announced_ = true;
  auto worker = std::ranges::find_if(
      workers_, [&](const Worker& entry) { return entry.number() == running.number && !entry.runs(); });
  // Of a generation that retires nothing but its workers is known.
  if (worker == workers_.end()) worker = workers_.emplace(workers_.end(), running.number, loop_, [](Worker&) {});
  worker->adopt(running.pid, std::make_unique<WorkerControl>(loop_, UniqueFd(running.control), [] {}),
                parts_.shared && running.number <= parts_.shared->workers());
}

void Generation::start_missing() {
  for (Worker& worker : workers_) {
    if (worker.runs()) continue;
    if (parts_.sockets[worker.number() - 1].empty()) {
      worker.give_up();
    } else {
      start(worker);
    }
  }
}

bool Generation::start(Worker& worker) {
  const auto failed = [&](const std::string& why) {
    log_.error(worker.name() + ": " + why);
    start_failed(worker, why);
    return false;
  };
  if (!parts_.shared) {  // that of an adopted generation was of another version
    Result<SharedState> shared =
        SharedState::create(static_cast<std::uint32_t>(workers_.size()), parts_.config.address_count());
    if (!shared) return failed(shared.error().message);
    parts_.shared.emplace(std::move(*shared));
  }
  Inheritance inheritance;
  inheritance.worker = worker.number();
  inheritance.shared_state = parts_.shared->fd();
  inheritance.config = parts_.config_memory.get();
  if (parts_.cache) inheritance.cache = parts_.cache->fd();
  for (const SocketLease& lease : parts_.sockets[worker.number() - 1]) {
    const Result<bool> restored = ListenSockets::restore(lease.pair());
    if (!restored) return failed(restored.error().message);
    if (*restored) log_.warning(worker.name() + ": its sockets at " + lease.pair().address.to_text() + " were lost");
    inheritance.listeners.emplace_back(lease.pair().udp.get(), lease.pair().tcp.get());
  }
  if (worker.number() <= parts_.mailboxes.size()) {
    inheritance.mailbox = parts_.mailboxes[worker.number() - 1].reading.get();
    for (const Mailbox& mailbox : parts_.mailboxes) inheritance.mailboxes.push_back(mailbox.writing.get());
  }
  Result<StartedWorker> started = start_worker(inheritance, parts_.config_file);
  if (!started) return failed(started.error().message);
  worker.begin(
      started->pid, std::move(started->exec_failure),
      std::make_unique<WorkerControl>(loop_, std::move(started->control), [this, &worker] { became_ready(worker); }));
  if (stage_ == Stage::serving) worker.control().serve();
  return true;
}

void Generation::became_ready(Worker& worker) {
  worker.become_ready(Clock::now());
  if (stage_ == Stage::retiring) return;
  if (announced_) {
    log_.info(worker.name() + " is ready (PID " + std::to_string(worker.pid()) + ")");
    return;
  }
  const auto is_settled = [](const Worker& entry) {
    return entry.state() == Worker::State::ready || entry.state() == Worker::State::given_up;
  };
  if (!std::ranges::all_of(workers_, is_settled)) return;
  announced_ = true;
  listener_.on_ready(*this);
}

void Generation::serve() {
  stage_ = Stage::serving;
  for (Worker& worker : workers_) {
    if (worker.runs()) worker.control().serve();
  }
}

void Generation::retire() {
  if (stage_ == Stage::retiring) return;
  stage_ = Stage::retiring;
  kill_limit_.set(Clock::now() + parts_.config.relay.deadline + kStopSlack);
}

void Generation::hand_over(Generation& successor) {
  retire();
  std::size_t index = 0;
  for (Worker& worker : workers_) {
    std::vector<bool> left;
    for (SocketLease& lease : parts_.sockets[worker.number() - 1]) {
      if (!successor.leases(lease.pair())) lease.leave();
      left.push_back(lease.pair().stage == SocketPair::Stage::left);
    }
    worker.restart_at(kNever);
    if (!worker.runs()) {
      leave_tcp_ports(worker);
      continue;
    }
    Worker* const heir = successor.running_worker(index++);
    auto channel = heir != nullptr ? make_channel() : std::nullopt;
    if (channel) heir->control().take_clients(std::move(channel->first));
    worker.control().hand_over(left, channel ? std::move(channel->second) : UniqueFd());
  }
  for (const WorkerSockets& leases : parts_.sockets) leave_ports(leases, Protocol::udp);
}

/// The supervisor does not rely on the workers for it: the kernel is to give the share of one that hangs or has died to
/// others. What waits in a UDP socket can still be read, so all leave at once. What waits in a TCP socket is reset: a
/// worker that is there has the time to accept it.
void Generation::leave_ports(const WorkerSockets& leases, Protocol protocol) {
  for (const SocketLease& lease : leases) {
    const SocketPair& pair = lease.pair();
    if (pair.stage == SocketPair::Stage::left)
      leave_port(protocol == Protocol::udp ? pair.udp.get() : pair.tcp.get(), protocol);
  }
}

void Generation::leave_tcp_ports(const Worker& worker) {
  // Of a generation that an upgrade found retiring, only the workers have the sockets.
  if (worker.number() <= parts_.sockets.size()) leave_ports(parts_.sockets[worker.number() - 1], Protocol::tcp);
}

bool Generation::leases(const SocketPair& pair) const {
  return std::ranges::any_of(parts_.sockets, [&](const WorkerSockets& leases) {
    return std::ranges::any_of(leases, [&](const SocketLease& lease) { return &lease.pair() == &pair; });
  });
}

/// The running workers in turn; nullptr when there is none.
GenerationWorker* Generation::running_worker(std::size_t index) {
  std::vector<Worker*> running;
  for (Worker& worker : workers_) {
    if (worker.runs()) running.push_back(&worker);
  }
  return running.empty() ? nullptr : running[index % running.size()];
}

void Generation::dismiss() {
  retire();
  for (Worker& worker : workers_) {
    worker.restart_at(kNever);
    if (worker.runs()) worker.control().dismiss();
  }
  for (WorkerSockets& leases : parts_.sockets) {
    for (SocketLease& lease : leases) lease.leave();
    leave_ports(leases, Protocol::udp);
  }
}

void Generation::kill_all() {
  stage_ = Stage::retiring;
  for (Worker& worker : workers_) {
    worker.restart_at(kNever);
    if (worker.runs()) kill(worker.pid(), SIGKILL);
  }
}

bool Generation::reap(pid_t pid, int status) {
  const auto worker = std::ranges::find(workers_, pid, &Worker::pid);
  if (worker == workers_.end()) return false;
  if (parts_.cache) parts_.cache->worker_ended(pid);
  ended(*worker, status);
  return true;
}

void Generation::ended(Worker& worker, int status) {
  const Worker::End end = worker.end();
  if (parts_.shared && worker.number() <= parts_.shared->workers()) parts_.shared->worker_ended(worker.number());
  tell_of_death(parts_.mailboxes, worker.number());
  if (stage_ == Stage::retiring) return leave_tcp_ports(worker);
  std::string how = how_it_ended(status);
  if (end.exec_failure) {
    how = "cannot execute /proc/self/exe: " + *end.exec_failure;
    if (stage_ == Stage::serving) log_.error(worker.name() + " " + how);
    return start_failed(worker, how);
  }
  if (stage_ == Stage::candidate) return start_failed(worker, how + (end.was_ready ? "" : " before it was ready"));
  if (!end.was_ready) {
    log_.error(worker.name() + " " + how + " before it was ready");
    return start_failed(worker, how);
  }
  const Duration delay = worker.replacement_delay(Clock::now());
  const auto delay_ms = std::chrono::duration_cast<std::chrono::milliseconds>(delay).count();
  log_.error(worker.name() + " " + how + "; starting another" +
             (delay > Duration{} ? " in " + std::to_string(delay_ms) + " ms" : ""));
  if (delay > Duration{}) return worker.restart_at(Clock::now() + delay);
  start(worker);
}

void Generation::start_failed(Worker& worker, const std::string& why) {
  if (stage_ == Stage::candidate) return listener_.on_failed(*this, "a new " + worker.name() + " " + why);
  if (const std::optional<Duration> delay = worker.retry_delay()) return worker.restart_at(Clock::now() + *delay);
  worker.give_up();
  parts_.sockets[worker.number() - 1].clear();
  log_.error(worker.name() + " is given up after " + std::to_string(Worker::kMaxFailedStarts) +
             " failed starts; the others serve its clients");
  if (hopeless()) listener_.on_failed(*this, "no worker can start");
}

void Generation::check_heartbeats() {
  for (Worker& worker : workers_) {
    if (!worker.runs() || !parts_.shared || worker.number() > parts_.shared->workers()) continue;
    const int missed =
        worker.note_heartbeat(parts_.shared->slot(worker.number() - 1).heartbeat.load(std::memory_order_relaxed));
    if (stage_ == Stage::retiring) {  // its time is limited, but what others wait for is not in its hands
      if (missed >= kHeartbeatsToLeavePort) leave_tcp_ports(worker);
      continue;
    }
    const bool is_ready = worker.state() == Worker::State::ready;
    if (missed < (is_ready ? kMaxMissedHeartbeats : kMaxStartHeartbeats)) continue;
    log_.error(worker.name() + (is_ready ? " hangs; killing it" : " does not get ready; killing it"));
    worker.forgive_heartbeats();
    kill(worker.pid(), SIGKILL);
  }
}

bool Generation::ended() const {
  return std::ranges::all_of(workers_, [](const Worker& worker) { return !worker.runs(); });
}

bool Generation::hopeless() const {
  return std::ranges::all_of(workers_, [](const Worker& worker) { return worker.state() == Worker::State::given_up; });
}

std::size_t Generation::ready_workers() const {
  return static_cast<std::size_t>(std::ranges::count(workers_, Worker::State::ready, &Worker::state));
}

std::vector<Generation::RunningWorker> Generation::running_workers() const {
  std::vector<RunningWorker> running;
  for (const Worker& worker : workers_) {
    if (worker.runs()) running.push_back({worker.number(), worker.pid(), worker.control().fd()});
  }
  return running;
}

Totals Generation::sum() const { return parts_.shared ? parts_.shared->sum() : Totals(); }

}  // namespace dotrelay
