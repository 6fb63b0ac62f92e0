// See supervisor.hpp.
#include "process/supervisor.hpp"

#include "net/handles.hpp"
#include "net/loop.hpp"
#include "process/heartbeat.hpp"
#include "process/inheritance.hpp"
#include "process/listen_sockets.hpp"
#include "process/shared_state.hpp"
#include "process/system_limits.hpp"
#include "process/worker_process.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <list>
#include <memory>
#include <optional>
#include <sys/mman.h>
#include <sys/wait.h>

namespace dotrelay {
namespace {

/// Starts in a row that failed before the worker was ready. Then its sockets are closed, so that the kernel gives its
/// share of the clients to the others instead of a black hole.
constexpr int kMaxFailedStarts = 5;
constexpr Duration kFirstRestartDelay = std::chrono::milliseconds(100);

/// What workers may take beyond the deadline to drain before they are killed.
constexpr Duration kStopSlack = std::chrono::seconds(2);

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status)) return "was killed by signal " + std::to_string(WTERMSIG(status));
  return "exited with status " + std::to_string(WEXITSTATUS(status));
}

class Supervisor {
 public:
  Supervisor(const Config& config, std::string config_file, UniqueFd config_memory, ListenSockets sockets,
             SharedState shared, Log& log)
      : config_(config),
        config_file_(std::move(config_file)),
        config_memory_(std::move(config_memory)),
        addresses_(std::move(sockets.addresses)),
        shared_(std::move(shared)),
        log_(log),
        check_timer_(loop_, [this] { check_heartbeats(); }),
        stop_limit_(loop_, [this] { kill_all(); }),
        child_(loop_, SIGCHLD, [this] { reap(); }),
        terminate_(loop_, SIGTERM, [this] { stop(); }),
        interrupt_(loop_, SIGINT, [this] { stop(); }) {
    for (std::uint32_t i = 0; i < sockets.by_worker.size(); ++i) {
      WorkerEntry& entry = workers_.emplace_back();
      entry.number = i + 1;
      entry.sockets = std::move(sockets.by_worker[i]);
      entry.restart = std::make_unique<Timer>(loop_, [this, &entry] { start(entry); });
    }
  }

  int run() {
    log_start();
    for (WorkerEntry& worker : workers_) start(worker);
    check_timer_.repeat(kHeartbeatInterval);
    loop_.run();
    log_end();
    return exit_status_;
  }

 private:
  struct WorkerEntry {
    std::uint32_t number = 0;
    WorkerSockets sockets;
    std::unique_ptr<Timer> restart;
    pid_t pid = 0;  ///< 0: not running
    std::unique_ptr<ReadinessWatch> readiness;
    bool ready = false;
    bool retired = false;
    int failed_starts = 0;
    std::uint32_t last_heartbeat = 0;
    int missed_heartbeats = 0;
  };

  void log_start() {
    std::string text = "listening on";
    for (const Endpoint& address : addresses_) text += " " + address.to_text();
    log_.info(text + " (UDP and TCP)");
    for (std::size_t i = 0; i < config_.upstreams.size(); ++i) {
      const UpstreamConfig& upstream = config_.upstreams[i];
      text = "upstream " + std::to_string(i + 1) + ": " + upstream.name + ", TLS name " + upstream.tls_name + ", at";
      for (const Endpoint& endpoint : upstream.addresses) text += " " + endpoint.to_text();
      if (!upstream.pins.empty()) text += upstream.ca_file.empty() ? ", by pin" : ", by CA and pin";
      log_.info(text);
    }
  }

  void log_end() {
    const auto total = [this](Counter counter) {
      std::uint64_t sum = 0;
      for (std::uint32_t i = 0; i < shared_.workers(); ++i) sum += shared_.slot(i).counters.get(counter);
      return std::to_string(sum);
    };
    log_.info("stopped: " + total(Counter::answers) + " answers to clients, " + total(Counter::failed) +
              " of them failures; " + total(Counter::upstream_queries) + " queries to upstreams over " +
              total(Counter::upstream_handshakes) + " connections, " + total(Counter::upstream_resumptions) +
              " resumed");
    for (std::size_t i = 0; i < kCounterCount && log_.enabled(LogLevel::debug); ++i) {
      log_.debug(std::string(kCounterRows[i].name) + " " + total(static_cast<Counter>(i)));
    }
  }

  void start(WorkerEntry& worker) {
    Inheritance inheritance;
    inheritance.worker = worker.number;
    inheritance.shared_state = shared_.fd();
    inheritance.config = config_memory_.get();
    for (const SocketPair& pair : worker.sockets) inheritance.listeners.emplace_back(pair.udp.get(), pair.tcp.get());
    Result<StartedWorker> started = start_worker(inheritance, config_file_);
    if (!started) {
      log_.error("worker " + std::to_string(worker.number) + ": " + started.error().message);
      return start_failed(worker);
    }
    worker.pid = started->pid;
    worker.ready = false;
    worker.missed_heartbeats = 0;
    worker.readiness =
        std::make_unique<ReadinessWatch>(loop_, std::move(started->control), [this, &worker] { became_ready(worker); });
  }

  void became_ready(WorkerEntry& worker) {
    worker.ready = true;
    worker.failed_starts = 0;
    if (announced_) {
      log_.info("worker " + std::to_string(worker.number) + " is ready (PID " + std::to_string(worker.pid) + ")");
      return;
    }
    if (!std::ranges::all_of(workers_, [](const WorkerEntry& entry) { return entry.ready || entry.retired; })) return;
    announced_ = true;
    const auto count = std::ranges::count_if(workers_, &WorkerEntry::ready);
    log_.info("ready: " + std::to_string(count) + (count == 1 ? " worker" : " workers"));
  }

  /// All children that have ended, the adopted ones of a PID 1 too.
  void reap() {
    int status = 0;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
      const auto worker = std::ranges::find(workers_, pid, &WorkerEntry::pid);
      if (worker != workers_.end()) ended(*worker, status);
    }
    if (stopping_ && std::ranges::all_of(workers_, [](const WorkerEntry& entry) { return entry.pid == 0; }))
      loop_.stop();
  }

  void ended(WorkerEntry& worker, int status) {
    worker.pid = 0;
    shared_.worker_ended(worker.number);
    worker.readiness.reset();
    const bool was_ready = std::exchange(worker.ready, false);
    if (stopping_) return;
    log_.error("worker " + std::to_string(worker.number) + " " + how_it_ended(status) +
               (was_ready ? "; starting another" : " before it was ready"));
    was_ready ? start(worker) : start_failed(worker);
  }

  void start_failed(WorkerEntry& worker) {
    if (++worker.failed_starts < kMaxFailedStarts) {
      worker.restart->set(Clock::now() + kFirstRestartDelay * (1 << worker.failed_starts));
      return;
    }
    worker.retired = true;
    worker.sockets.clear();
    log_.error("worker " + std::to_string(worker.number) + " is given up after " + std::to_string(kMaxFailedStarts) +
               " failed starts; the others serve its clients");
    if (!std::ranges::all_of(workers_, &WorkerEntry::retired)) return;
    log_.error("no worker can start");
    exit_status_ = 1;
    loop_.stop();
  }

  void check_heartbeats() {
    for (WorkerEntry& worker : workers_) {
      if (worker.pid == 0) continue;
      const std::uint32_t heartbeat = shared_.slot(worker.number - 1).heartbeat.load(std::memory_order_relaxed);
      worker.missed_heartbeats = heartbeat == worker.last_heartbeat ? worker.missed_heartbeats + 1 : 0;
      worker.last_heartbeat = heartbeat;
      if (worker.missed_heartbeats < (worker.ready ? kMaxMissedHeartbeats : kMaxStartHeartbeats) || stopping_) continue;
      log_.error("worker " + std::to_string(worker.number) + " hangs; killing it");
      worker.missed_heartbeats = 0;
      kill(worker.pid, SIGKILL);
    }
  }

  void stop() {
    if (stopping_) return;
    stopping_ = true;
    log_.info("stopping: answering what has been read");
    for (WorkerEntry& worker : workers_) {
      worker.restart->set(kNever);
      if (worker.pid != 0) worker.readiness->dismiss();
    }
    stop_limit_.set(Clock::now() + config_.relay.deadline + kStopSlack);
    reap();
  }

  void kill_all() {
    for (const WorkerEntry& worker : workers_) {
      if (worker.pid != 0) kill(worker.pid, SIGKILL);
    }
  }

  const Config& config_;
  std::string config_file_;
  UniqueFd config_memory_;
  std::vector<Endpoint> addresses_;
  SharedState shared_;
  Log& log_;
  Loop loop_;
  std::list<WorkerEntry> workers_;
  Timer check_timer_;
  Timer stop_limit_;
  SignalWatch child_;
  SignalWatch terminate_;
  SignalWatch interrupt_;
  bool announced_ = false;
  bool stopping_ = false;
  int exit_status_ = 0;
};

Result<UniqueFd> into_memory(const std::string& text) {
  UniqueFd fd(memfd_create("dotrelay.toml", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd || write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      fcntl(fd.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return Error{"cannot keep the configuration in memory"};
  }
  return fd;
}

int refuse(const Error& error) {
  std::fprintf(stderr, "dotrelay: %s\n", error.message.c_str());
  return 1;
}

}  // namespace

int run_supervisor(const Config& config, const std::string& config_text, const std::string& config_file) {
  std::signal(SIGPIPE, SIG_IGN);
  Log log(config.log_level, "supervisor");
  raise_descriptor_limit();
  const std::uint32_t workers =
      config.listen.workers == 0 ? std::min(usable_cpus(), kMaxWorkers) : config.listen.workers;
  Result<ListenSockets> sockets = open_listen_sockets(config.listen, workers, log);
  if (!sockets) return refuse(sockets.error());
  Result<SharedState> shared = SharedState::create(workers, config.address_count());
  if (!shared) return refuse(shared.error());
  Result<UniqueFd> memory = into_memory(config_text);
  if (!memory) return refuse(memory.error());
  return Supervisor(config, config_file, std::move(*memory), std::move(*sockets), std::move(*shared), log).run();
}

}  // namespace dotrelay
