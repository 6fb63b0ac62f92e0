// See supervisor.hpp.
#include "supervisor/supervisor.hpp"

#include "base/printable.hpp"
#include "net/handles.hpp"
#include "net/loop.hpp"
#include "process/descriptor_plan.hpp"
#include "process/heartbeat.hpp"
#include "process/system_limits.hpp"
#include "supervisor/address_watch.hpp"
#include "supervisor/file_watch.hpp"
#include "supervisor/generation.hpp"
#include "supervisor/generation_log.hpp"
#include "supervisor/generation_parts.hpp"
#include "supervisor/host_check.hpp"
#include "supervisor/loaded_config.hpp"
#include "supervisor/port_watch.hpp"
#include "supervisor/upgrade.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <list>
#include <memory>
#include <optional>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace dotrelay {
namespace {

/// Generations that still drain before the next reload waits for one to end: a bound for memory and processes.
constexpr std::size_t kMaxLeaving = 4;

constexpr Duration kWatchInterval = std::chrono::seconds(1);
constexpr Duration kCheckLimit = std::chrono::seconds(10);

/// Lets the loop dispatch the signals that it had caught before they were blocked.
constexpr Duration kExecuteDelay = std::chrono::milliseconds(1);

std::string counted_workers(std::size_t count) { return std::to_string(count) + (count == 1 ? " worker" : " workers"); }

/// A SIGHUP that comes because the terminal has gone, and not from somebody who wants a reload.
bool terminal_has_gone() {
  struct stat status {};
  pollfd terminal{STDERR_FILENO, 0, 0};
  return fstat(STDERR_FILENO, &status) == 0 && S_ISCHR(status.st_mode) && poll(&terminal, 1, 0) == 1 &&
         (terminal.revents & POLLHUP) != 0;
}

class Supervisor final : private Generation::Listener {
 public:
  Supervisor(const SupervisorOptions& options, FileWatch watch)
      : options_(options),
        program_(own_program()),
        log_(LogLevel::info, "supervisor"),
        watch_(std::move(watch)),
        port_watch_(loop_, log_, sockets_),
        address_watch_(loop_, log_, [this] { want_reload(); }),
        heartbeat_timer_(loop_, [this] { beat(); }),
        watch_timer_(loop_, [this] { poll_files(); }),
        check_limit_(loop_, [this] { give_up_check(); }),
        execute_timer_(loop_, [this] { execute(); }),
        child_(loop_, SIGCHLD, [this] { reap(); }),
        terminate_(loop_, SIGTERM, [this] { stop(); }),
        interrupt_(loop_, SIGINT, [this] { stop(); }),
        hang_up_(loop_, SIGHUP, [this] { terminal_has_gone() ? stop() : want_reload(); }),
        counters_(loop_, SIGUSR1, [this] { log_totals(log_, all_totals(), "so far", LogLevel::info); }),
        upgrade_(loop_, SIGUSR2, [this] { want_upgrade(); }) {}

  /// Begins with a configuration.
  Status begin(LoadedConfig loaded) {
    log_.set_threshold(loaded.config.log_level);
    Result<GenerationParts> parts = make_parts(std::move(loaded), options_.config_file, sockets_, log_);
    if (!parts) return parts.error();
    if (Status joined = sockets_.join(parts->sockets); !joined) return joined;
    current_ = make_generation(std::move(*parts), Generation::Stage::serving);
    log_beginning(log_, current_->parts());
    watch_surroundings();
    current_->start();
    return ok();
  }

  /// Goes on where another program has left off.
  void resume(const UpgradeState& state) {
    program_ = state.program;
    totals_ = state.counters;
    GenerationParts parts = adopt_parts(state, options_.config_file, sockets_);
    const Duration deadline = parts.config.relay.deadline;
    log_.set_threshold(parts.config.log_level);
    current_ = make_generation(std::move(parts), Generation::Stage::serving);
    for (const auto& worker : state.generations.front().running) current_->adopt(worker);
    for (std::size_t i = 1; i < state.generations.size(); ++i) {
      GenerationParts rest = adopt_leaving_parts(state.generations[i], deadline, sockets_);
      leaving_.push_back(make_generation(std::move(rest), Generation::Stage::serving));
      for (const auto& worker : state.generations[i].running) leaving_.back()->adopt(worker);
      leaving_.back()->leave();
    }
    log_.info("upgraded to dotrelay " + options_.version + "; " +
              counted_workers(state.generations.front().running.size()) +
              " of the old one serve until the new ones are ready");
    watch_surroundings();
    current_->start_missing();
    reload_wanted_ = true;
  }

  int run() {
    heartbeat_timer_.repeat(kHeartbeatInterval);
    watch_files();
    if (options_.watch) watch_timer_.repeat(kWatchInterval);
    allow_signals();
    reap();  // whoever ended while no handler was there
    loop_.run();
    log_totals(log_, all_totals(), "stopped", LogLevel::debug);
    return exit_status_;
  }

 private:
  std::unique_ptr<Generation> make_generation(GenerationParts parts, Generation::Stage stage) {
    return std::unique_ptr<Generation>(new Generation(loop_, *this, log_, std::move(parts), stage));
  }

  /// Of the workers that have ended and of this process.
  [[nodiscard]] Totals ended_totals() const {
    Totals totals = totals_;
    totals.add(Counter::log_lines_lost, log_.lost());
    totals.add(Counter::log_lines_suppressed, log_.suppressed());
    return totals;
  }

  [[nodiscard]] Totals all_totals() const {
    Totals totals = ended_totals();
    totals += current_->sum();
    if (next_) totals += next_->sum();
    for (const auto& generation : leaving_) totals += generation->sum();
    return totals;
  }

  void on_ready(Generation& generation) override {
    if (&generation == next_.get()) return finish_reload();
    if (&generation == current_.get()) log_.info("ready: " + counted_workers(generation.ready_workers()));
  }

  void on_failed(Generation& generation, const std::string& why) override {
    if (&generation == next_.get()) return abandon_reload(why);
    if (&generation == current_.get() && !next_) fail(why);
  }

  void fail(const std::string& why) {
    log_.error(why);
    exit_status_ = 1;
    loop_.stop();
  }

  void beat() {
    log_.tell_of_losses();
    current_->check_heartbeats();
    if (next_) next_->check_heartbeats();
    for (const auto& generation : leaving_) generation->check_heartbeats();
  }

  /// All children that have ended, the adopted ones of a PID 1 too.
  void reap() {
    int status = 0;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
      if (check_ && pid == check_->pid) {
        check_ended(status);
      } else if (!current_->reap(pid, status) && !(next_ && next_->reap(pid, status))) {
        for (const auto& generation : leaving_) generation->reap(pid, status);
      }
    }
    forget_ended();
    if (stopping_ && current_->ended() && leaving_.empty()) return loop_.stop();
    go_on();
  }

  void forget_ended() {
    leaving_.remove_if([this](const std::unique_ptr<Generation>& generation) {
      if (!generation->ended()) return false;
      totals_ += generation->sum().lasting();
      return true;
    });
  }

  /// Of the generation that serves.
  void watch_surroundings() {
    address_watch_.watch(current_->parts());
    port_watch_.watch(current_->config().listen.share_port);
  }

  void watch_files() {
    if (options_.watch) watch_.set_files(files_of_config(options_.config_file));
  }

  void poll_files() {
    if (!watch_.poll()) return;
    log_.info("the configuration's files have changed");
    want_reload();
  }

  void want_reload() {
    reload_wanted_ = true;
    go_on();
  }

  void want_upgrade() {
    upgrade_wanted_ = true;
    go_on();
  }

  /// One thing after the other; what is asked for meanwhile happens once.
  void go_on() {
    if (stopping_ || next_ || check_ || executing_) return;
    if (upgrade_wanted_) return begin_upgrade();
    if (reload_wanted_ && leaving_.size() < kMaxLeaving) begin_reload();
  }

  void begin_reload() {
    reload_wanted_ = false;
    watch_.accept();  // before reading: what changes while it is read is a change
    Result<LoadedConfig> loaded = load_config(options_.config_file);
    watch_files();
    if (!loaded) return refuse_reload(loaded.error().message);
    Result<GenerationParts> parts = make_parts(std::move(*loaded), options_.config_file, sockets_, log_);
    if (!parts) return refuse_reload(parts.error().message);
    carry_health(current_->parts(), *parts);
    next_ = make_generation(std::move(*parts), Generation::Stage::trial);
    next_->start();
    forget_ended();  // if not even one process could be started
  }

  void refuse_reload(const std::string& why) { log_.error("reload refused, nothing changed: " + why); }

  void abandon_reload(const std::string& why) {
    next_->kill_all();
    leaving_.push_back(std::move(next_));
    refuse_reload(why);
    if (current_->hopeless()) fail("no worker can start");
  }

  void finish_reload() {
    if (const Status joined = sockets_.join(next_->parts().sockets); !joined) {
      return abandon_reload(joined.error().message);
    }
    next_->serve();
    current_->hand_over(*next_);
    leaving_.push_back(std::move(current_));
    current_ = std::move(next_);
    log_.set_threshold(current_->config().log_level);
    watch_surroundings();
    log_.info("reloaded " + options_.config_file + ": " + counted_workers(current_->ready_workers()));
    forget_ended();  // if none of the old ones was running
    go_on();
  }

  void begin_upgrade() {
    upgrade_wanted_ = false;
    Result<RunningCheck> check = start_check(program_, options_.config_file);
    if (!check) return log_.error("upgrade refused, nothing changed: " + check.error().message);
    log_.info("upgrade: checking " + program_);
    check_ = std::move(*check);
    check_limit_.set(Clock::now() + kCheckLimit);
  }

  void give_up_check() {
    check_took_too_long_ = true;
    kill(check_->pid, SIGKILL);
  }

  void check_ended(int status) {
    const RunningCheck check = std::move(*std::exchange(check_, std::nullopt));
    const bool took_too_long = std::exchange(check_took_too_long_, false);
    check_limit_.set(kNever);
    if (stopping_) return;
    std::optional<std::string> why = why_no_takeover(check, status);
    if (took_too_long) why = program_ + " check took more than ten seconds";
    if (why) return log_.error("upgrade refused, nothing changed: " + *why);
    executing_ = true;
    block_signals();
    execute_timer_.set(Clock::now() + kExecuteDelay);
  }

  void execute() {
    if (!stopping_) {
      std::vector<std::string> arguments = {"--config", options_.config_file};
      if (options_.watch) arguments.emplace_back("--watch");
      log_.error(
          "upgrade failed, nothing changed: " +
          execute_in_place(make_upgrade_state(program_, *current_, leaving_, ended_totals()), arguments).message);
    }
    executing_ = false;
    allow_signals();
    go_on();
  }

  void stop() {
    if (stopping_) return;
    stopping_ = true;
    log_.info("stopping: answering what has been read");
    if (check_) kill(check_->pid, SIGKILL);
    if (next_) {
      next_->kill_all();
      leaving_.push_back(std::move(next_));
    }
    for (const auto& generation : leaving_) generation->dismiss();
    current_->dismiss();
    reap();
  }

  const SupervisorOptions options_;
  std::string program_;
  Log log_;
  Totals totals_;  // of the generations that have ended
  Loop loop_;
  ListenSockets sockets_;
  FileWatch watch_;
  PortWatch port_watch_;
  AddressWatch address_watch_;
  std::unique_ptr<Generation> current_;  // never nullptr once begun
  std::unique_ptr<Generation> next_;     // while a reload is under way
  LeavingGenerations leaving_;           // with workers that drain, or are being killed
  Timer heartbeat_timer_;
  Timer watch_timer_;
  Timer check_limit_;
  Timer execute_timer_;
  SignalWatch child_;
  SignalWatch terminate_;
  SignalWatch interrupt_;
  SignalWatch hang_up_;
  SignalWatch counters_;
  SignalWatch upgrade_;
  bool reload_wanted_ = false;
  bool upgrade_wanted_ = false;
  bool executing_ = false;
  bool stopping_ = false;
  std::optional<RunningCheck> check_;  // by the program of the next upgrade
  bool check_took_too_long_ = false;
  int exit_status_ = 0;
};

int refuse(const Error& error) {
  std::fprintf(stderr, "dotrelay: %s\n", printable(error.message).c_str());
  return 1;
}

/// Where the interface of every listen address is yet to come there is nothing to serve; the configuration may change
/// meanwhile. The exit status, when a signal ends the wait.
std::optional<int> wait_for_an_address(LoadedConfig& loaded, FileWatch& watch, const SupervisorOptions& options) {
  if (!bindable_addresses(loaded.config.listen).empty()) return std::nullopt;
  Log log(loaded.config.log_level, "supervisor");
  for (const std::string& warning : std::exchange(loaded.verdict.warnings, {})) log.warning(warning);
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, number);
  const timespec interval{std::chrono::duration_cast<std::chrono::seconds>(AddressWatch::kInterval).count(), 0};
  do {
    const int number = sigtimedwait(&signals, nullptr, &interval);
    if (number == SIGTERM || number == SIGINT || (number == SIGHUP && terminal_has_gone())) return 0;
    if (number != SIGHUP && !(options.watch && watch.poll())) continue;
    watch.accept();
    if (Result<LoadedConfig> changed = load_config(options.config_file)) {
      loaded = std::move(*changed);
    } else {
      log.error("reload refused, nothing changed: " + changed.error().message);
    }
  } while (bindable_addresses(loaded.config.listen).empty());
  return std::nullopt;
}

}  // namespace

int run_supervisor(const SupervisorOptions& options) {
  block_signals();  // until they have handlers: a SIGHUP that comes early must not end the relay
  raise_descriptor_limit();
  FileWatch watch;
  watch.set_files({options.config_file});  // before reading: what changes while it is read is a change
  if (options.resume >= 0) {
    const Result<UpgradeState> state = take_upgrade_state(options.resume);
    if (!state) {
      Log log(LogLevel::info, "supervisor");  // which does not wait: workers of the old program still answer
      log.error(state.error().message);
      return 1;
    }
    Supervisor supervisor(options, std::move(watch));
    supervisor.resume(*state);
    return supervisor.run();
  }
  Result<LoadedConfig> loaded = load_config(options.config_file);
  if (!loaded) {
    std::fprintf(stderr, "%s\n", printable(loaded.error().message).c_str());
    return 1;
  }
  if (const std::optional<int> status = wait_for_an_address(*loaded, watch, options)) return *status;
  // Before anything is opened: a loop that gets no descriptor cannot say why.
  const std::uint32_t workers = wanted_workers(loaded->config);
  if (const Status enough = check_descriptors(loaded->config, workers, raise_descriptor_limit()); !enough) {
    return refuse(enough.error());
  }
  ListenSockets::await_departure(loaded->config.listen);
  Supervisor supervisor(options, std::move(watch));
  if (const Status begun = supervisor.begin(std::move(*loaded)); !begun) return refuse(begun.error());
  return supervisor.run();
}

}  // namespace dotrelay
