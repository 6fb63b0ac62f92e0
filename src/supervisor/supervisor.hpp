// The supervisor process: holds the sockets, keeps a generation of workers serving, and puts another one in its place
// when the configuration changes, or another program in its own. It does no TLS and no DNS. As PID 1 it reaps whatever
// is left to it.
#pragma once

#include "base/log.hpp"
#include "base/result.hpp"
#include "metrics/totals.hpp"
#include "net/handles.hpp"
#include "net/loop.hpp"
#include "supervisor/change_watch.hpp"
#include "supervisor/generation.hpp"
#include "supervisor/generation_parts.hpp"
#include "supervisor/listen_sockets.hpp"
#include "supervisor/loaded_config.hpp"
#include "supervisor/run_supervisor.hpp"
#include "supervisor/upgrade.hpp"

#include <memory>
#include <string>
#include <variant>

namespace dotrelay {

class Supervisor final : private Generation::Listener {
 public:
  Supervisor(const SupervisorOptions& options, FileWatch watch);

  /// Begins with a configuration.
  Status begin(LoadedConfig loaded);
  /// Goes on where another program has left off.
  void resume(const UpgradeState& state);
  /// Until a signal, or a failure: the exit status.
  int run();

 private:
  // It does one thing after the other, and what is asked for meanwhile happens once. Each of these has what only then
  // is there.
  struct Serving {};
  struct Reloading {
    std::unique_ptr<Generation> next;
  };
  struct Checking {
    RunningCheck check;  ///< by the program of the next upgrade
    bool took_too_long = false;
  };
  struct Executing {};  ///< signals are blocked, and those that had been caught are dispatched
  struct Stopping {};

  void on_ready(Generation& generation) override;
  void on_failed(Generation& generation, const std::string& why) override;

  [[nodiscard]] Generation* next() const;
  template <class Visit>
  void for_each_generation(Visit visit) const;
  std::unique_ptr<Generation> make_generation(GenerationParts parts, Generation::Stage stage);
  [[nodiscard]] Totals ended_totals() const;
  [[nodiscard]] Totals all_totals() const;

  void beat();
  void reap();
  void forget_ended();
  void want(bool& wish);
  void go_on();
  void begin_reload();
  void abandon_reload(const std::string& why);
  void finish_reload();
  void begin_upgrade();
  void give_up_check();
  void end_check(int status);
  void execute();
  void stop();

  const SupervisorOptions options_;
  std::string program_;
  Log log_;
  Totals totals_;  ///< of the generations that have ended
  Loop loop_;
  ListenSockets sockets_;
  std::unique_ptr<Generation> current_;  ///< never nullptr once begun
  RetiringGenerations retiring_;         ///< with workers that drain, or are being killed
  std::variant<Serving, Reloading, Checking, Executing, Stopping> state_;
  bool reload_wanted_ = false;
  bool upgrade_wanted_ = false;
  int exit_status_ = 0;
  ChangeWatch changes_;
  Timer heartbeat_timer_;
  Timer check_limit_;
  Timer execute_timer_;
  SignalWatch child_;
  SignalWatch terminate_;
  SignalWatch interrupt_;
  SignalWatch hang_up_;
  SignalWatch counters_;
  SignalWatch upgrade_;
};

/// A SIGHUP that comes because the terminal has gone, and not to ask for a reload.
bool terminal_has_gone();

}  // namespace dotrelay
