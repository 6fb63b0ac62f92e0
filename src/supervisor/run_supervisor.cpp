// See run_supervisor.hpp.
#include "supervisor/run_supervisor.hpp"

#include "base/printable.hpp"
#include "process/descriptor_plan.hpp"
#include "process/system_limits.hpp"
#include "supervisor/address_watch.hpp"
#include "supervisor/generation_log.hpp"
#include "supervisor/host_check.hpp"
#include "supervisor/supervisor.hpp"

#include <csignal>
#include <cstdio>
#include <optional>
#include <utility>

namespace dotrelay {
namespace {

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
      log_refused_reload(log, changed.error().message);
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
