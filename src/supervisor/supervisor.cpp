// See supervisor.hpp.
#include "supervisor/supervisor.hpp"

#include "process/heartbeat.hpp"
#include "supervisor/generation_log.hpp"

#include <algorithm>
#include <csignal>
#include <optional>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace dotrelay {
namespace {

/// Generations that still drain before the next reload waits for one to end: a bound for memory and processes.
constexpr std::size_t kMaxRetiring = 4;

constexpr Duration kCheckLimit = std::chrono::seconds(10);

/// Lets the loop dispatch the signals that it had caught before they were blocked.
constexpr Duration kExecuteDelay = std::chrono::milliseconds(1);

std::string counted_workers(std::size_t count) { return std::to_string(count) + (count == 1 ? " worker" : " workers"); }

}  // namespace

bool terminal_has_gone() {
  struct stat status {};
  pollfd terminal{STDERR_FILENO, 0, 0};
  return fstat(STDERR_FILENO, &status) == 0 && S_ISCHR(status.st_mode) && poll(&terminal, 1, 0) == 1 &&
         (terminal.revents & POLLHUP) != 0;
}

Supervisor::Supervisor(const SupervisorOptions& options, FileWatch watch)
    : options_(options),
      program_(own_program()),
      log_(LogLevel::info, "supervisor"),
      changes_(loop_, log_, sockets_, std::move(watch), [this] { want(reload_wanted_); }),
      heartbeat_timer_(loop_, [this] { beat(); }),
      check_limit_(loop_, [this] { give_up_check(); }),
      execute_timer_(loop_, [this] { execute(); }),
      child_(loop_, SIGCHLD, [this] { reap(); }),
      terminate_(loop_, SIGTERM, [this] { stop(); }),
      interrupt_(loop_, SIGINT, [this] { stop(); }),
      hang_up_(loop_, SIGHUP, [this] { terminal_has_gone() ? stop() : want(reload_wanted_); }),
      counters_(loop_, SIGUSR1, [this] { log_totals(log_, all_totals(), "so far", LogLevel::info); }),
      upgrade_(loop_, SIGUSR2, [this] { want(upgrade_wanted_); }) {}

Status Supervisor::begin(LoadedConfig loaded) {
  log_.set_threshold(loaded.config.log_level);
  Result<GenerationParts> parts = make_parts(std::move(loaded), options_.config_file, sockets_, log_);
  if (!parts) return parts.error();
  if (Status joined = sockets_.join(parts->sockets); !joined) return joined;
  current_ = make_generation(std::move(*parts), Generation::Stage::serving);
  log_beginning(log_, current_->parts());
  changes_.watch(current_->parts());
  current_->start();
  return ok();
}

void Supervisor::resume(const UpgradeState& state) {
  program_ = state.program;
  totals_ = state.counters;
  GenerationParts parts = adopt_parts(state, options_.config_file, sockets_);
  const Duration deadline = parts.config.relay.deadline;
  log_.set_threshold(parts.config.log_level);
  current_ = make_generation(std::move(parts), Generation::Stage::serving);
  for (const auto& worker : state.generations.front().running) current_->adopt(worker);
  for (std::size_t i = 1; i < state.generations.size(); ++i) {
    GenerationParts rest = adopt_retiring_parts(state.generations[i], deadline, sockets_);
    retiring_.push_back(make_generation(std::move(rest), Generation::Stage::serving));
    for (const auto& worker : state.generations[i].running) retiring_.back()->adopt(worker);
    retiring_.back()->retire();
  }
  log_.info("upgraded to dotrelay " + options_.version + "; " +
            counted_workers(state.generations.front().running.size()) +
            " of the old one serve until the new ones are ready");
  changes_.watch(current_->parts());
  current_->start_missing();
  reload_wanted_ = true;
}

int Supervisor::run() {
  heartbeat_timer_.repeat(kHeartbeatInterval);
  if (options_.watch) {
    changes_.watch_files(options_.config_file);
    changes_.begin_polling();
  }
  allow_signals();
  reap();  // children that ended while no handler was there
  loop_.run();
  log_totals(log_, all_totals(), "stopped", LogLevel::debug);
  return exit_status_;
}

std::unique_ptr<Generation> Supervisor::make_generation(GenerationParts parts, Generation::Stage stage) {
  return std::unique_ptr<Generation>(new Generation(loop_, *this, log_, std::move(parts), stage));
}

/// The generation that is to replace the current one, while a reload is under way.
Generation* Supervisor::next() const {
  const auto* const reloading = std::get_if<Reloading>(&state_);
  return reloading != nullptr ? reloading->next.get() : nullptr;
}

template <class Visit>
void Supervisor::for_each_generation(Visit visit) const {
  visit(*current_);
  if (Generation* const coming = next()) visit(*coming);
  for (const auto& generation : retiring_) visit(*generation);
}

/// Of the workers that have ended and of this process.
Totals Supervisor::ended_totals() const {
  Totals totals = totals_;
  totals.add(Counter::log_lines_lost, log_.lost());
  totals.add(Counter::log_lines_suppressed, log_.suppressed());
  return totals;
}

Totals Supervisor::all_totals() const {
  Totals totals = ended_totals();
  for_each_generation([&](const Generation& generation) { totals += generation.sum(); });
  return totals;
}

void Supervisor::on_ready(Generation& generation) {
  if (&generation == next()) return finish_reload();
  if (&generation == current_.get()) log_.info("ready: " + counted_workers(generation.ready_workers()));
}

void Supervisor::on_failed(Generation& generation, const std::string& why) {
  if (&generation == next()) return abandon_reload(why);
  if (&generation != current_.get() || next() != nullptr) return;
  log_.error(why);
  exit_status_ = 1;
  loop_.stop();
}

void Supervisor::beat() {
  log_.tell_of_losses();
  for_each_generation([](Generation& generation) { generation.check_heartbeats(); });
}

/// All children that have ended, the adopted ones of a PID 1 too.
void Supervisor::reap() {
  int status = 0;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    const auto* const checking = std::get_if<Checking>(&state_);
    if (checking != nullptr && pid == checking->check.pid) {
      end_check(status);
    } else if (!current_->reap(pid, status) && !(next() != nullptr && next()->reap(pid, status))) {
      for (const auto& generation : retiring_) generation->reap(pid, status);
    }
  }
  forget_ended();
  if (std::holds_alternative<Stopping>(state_) && current_->ended() && retiring_.empty()) return loop_.stop();
  go_on();
}

void Supervisor::forget_ended() {
  retiring_.remove_if([this](const std::unique_ptr<Generation>& generation) {
    if (!generation->ended()) return false;
    totals_ += generation->sum().lasting();
    return true;
  });
}

void Supervisor::want(bool& wish) {
  wish = true;
  go_on();
}

void Supervisor::go_on() {
  if (!std::holds_alternative<Serving>(state_)) return;
  if (upgrade_wanted_) return begin_upgrade();
  if (reload_wanted_ && retiring_.size() < kMaxRetiring) begin_reload();
}

void Supervisor::begin_reload() {
  reload_wanted_ = false;
  changes_.accept_files();  // before reading: what changes while it is read is a change
  Result<LoadedConfig> loaded = load_config(options_.config_file);
  if (options_.watch) changes_.watch_files(options_.config_file);
  if (!loaded) return log_refused_reload(log_, loaded.error().message);
  Result<GenerationParts> parts = make_parts(std::move(*loaded), options_.config_file, sockets_, log_);
  if (!parts) return log_refused_reload(log_, parts.error().message);
  carry_health(current_->parts(), *parts);
  carry_cache(current_->parts(), *parts);
  state_ = Reloading{make_generation(std::move(*parts), Generation::Stage::candidate)};
  next()->start();
  forget_ended();  // if not even one process could be started
}

void Supervisor::abandon_reload(const std::string& why) {
  retiring_.push_back(std::move(std::get<Reloading>(state_).next));
  state_ = Serving{};
  retiring_.back()->kill_all();
  log_refused_reload(log_, why);
  if (current_->hopeless()) on_failed(*current_, "no worker can start");
}

void Supervisor::finish_reload() {
  if (const Status joined = sockets_.join(next()->parts().sockets); !joined) {
    return abandon_reload(joined.error().message);
  }
  next()->serve();
  current_->hand_over(*next());
  retiring_.push_back(std::exchange(current_, std::move(std::get<Reloading>(state_).next)));
  state_ = Serving{};
  log_.set_threshold(current_->config().log_level);
  changes_.watch(current_->parts());
  log_.info("reloaded " + options_.config_file + ": " + counted_workers(current_->ready_workers()));
  forget_ended();  // if none of the old ones was running
  go_on();
}

void Supervisor::begin_upgrade() {
  upgrade_wanted_ = false;
  Result<RunningCheck> check = start_check(program_, options_.config_file);
  if (!check) return log_.error("upgrade refused, nothing changed: " + check.error().message);
  log_.info("upgrade: checking " + program_);
  state_ = Checking{std::move(*check)};
  check_limit_.set(Clock::now() + kCheckLimit);
}

void Supervisor::give_up_check() {
  Checking& checking = std::get<Checking>(state_);
  checking.took_too_long = true;
  kill(checking.check.pid, SIGKILL);
}

void Supervisor::end_check(int status) {
  const Checking checking = std::get<Checking>(std::exchange(state_, Serving{}));
  check_limit_.set(kNever);
  std::optional<std::string> why = why_no_takeover(checking.check, status);
  if (checking.took_too_long) why = program_ + " check took more than ten seconds";
  if (why) return log_.error("upgrade refused, nothing changed: " + *why);
  state_ = Executing{};
  block_signals();
  execute_timer_.set(Clock::now() + kExecuteDelay);
}

void Supervisor::execute() {
  if (std::holds_alternative<Executing>(state_)) {
    std::vector<std::string> arguments = {"--config", options_.config_file};
    if (options_.watch) arguments.emplace_back("--watch");
    log_.error("upgrade failed, nothing changed: " +
               execute_in_place(make_upgrade_state(program_, *current_, retiring_, ended_totals()), arguments).message);
    state_ = Serving{};
  }
  allow_signals();
  go_on();
}

void Supervisor::stop() {
  if (std::holds_alternative<Stopping>(state_)) return;
  log_.info("stopping: answering what has been read");
  if (const auto* const checking = std::get_if<Checking>(&state_)) kill(checking->check.pid, SIGKILL);
  check_limit_.set(kNever);
  if (auto* const reloading = std::get_if<Reloading>(&state_)) {
    reloading->next->kill_all();
    retiring_.push_back(std::move(reloading->next));
  }
  state_ = Stopping{};
  for (const auto& generation : retiring_) generation->dismiss();
  current_->dismiss();
  reap();
}

}  // namespace dotrelay
