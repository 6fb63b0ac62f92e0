// See run_worker.hpp.
#include "worker/run_worker.hpp"

#include "base/heap.hpp"
#include "config/parser.hpp"
#include "process/memory_text.hpp"
#include "tls/tls_library.hpp"
#include "worker/worker.hpp"

#include <cstdio>
#include <fcntl.h>
#include <sys/prctl.h>

namespace dotrelay {

int run_worker(const Inheritance& inheritance, const std::string& config_file) {
  begin_heap();
  for (const int fd : inheritance.descriptors()) {
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
      std::fputs("dotrelay: --worker is for the supervisor only\n", stderr);
      return 2;
    }
  }
  for (const auto& [udp, tcp] : inheritance.listeners) {
    for (const int fd : {udp, tcp}) fcntl(fd, F_SETFL, O_NONBLOCK);  // as they were opened, whatever a predecessor did
  }
  const std::string name = "dotrelay-" + std::to_string(inheritance.worker);
  prctl(PR_SET_NAME, name.c_str());  // for ps and ss: it was executed as "exe"
  Log early(LogLevel::info, "worker " + std::to_string(inheritance.worker));
  const Result<Config> config = parse_config(text_in_memory(inheritance.config), config_file);
  if (!config) {
    early.error(config.error().message);
    return 1;
  }
  Log log(config->log_level, "worker " + std::to_string(inheritance.worker));
  Result<SharedState> shared = SharedState::map(UniqueFd(inheritance.shared_state));
  if (!shared || inheritance.worker > shared->workers() || shared->tickets().size() != config->address_count()) {
    log.error(shared ? "the shared memory has no place for this worker" : shared.error().message);
    return 1;
  }
  if (!start_tls_library()) {
    log.error("the TLS library cannot start: the system gives no random numbers");
    return 1;
  }
  const Result<Authorities> authorities = Authorities::load(*config, config_file);
  if (!authorities) {
    log.error(authorities.error().message);
    return 1;
  }
  Worker worker(inheritance, *config, *authorities, *shared, log);
  worker.run();
  return 0;
}

}  // namespace dotrelay
