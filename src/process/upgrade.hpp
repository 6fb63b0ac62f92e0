// Another program in the place of this one: first it checks the configuration as a child, then it is executed with the
// same PID, the same children and the descriptors that it is to have.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "process/handover.hpp"

#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace dotrelay {

/// The absolute path from which the program was started, with its symbolic links: what they lead to later is its
/// successor. The path of its file when it was started in another way; empty when /proc does not tell.
std::string own_program();

/// A child that checks.
struct RunningCheck {
  pid_t pid = 0;
  UniqueFd failure;  ///< carries the errno of an exec that failed
};

/// Runs "PROGRAM check --handover=VERSION --config FILE" with standard output and error on our standard error.
Result<RunningCheck> start_check(const std::string& program, const std::string& config_file);

/// Why the program of a check that has ended could not even be executed; nothing when it was.
std::optional<std::string> why_not_executed(const RunningCheck& check);

/// From here until allow_signals(), across exec, the kernel keeps signals, so that none finds no handler. What has been
/// caught already is still to be dispatched by the loop.
void block_signals();
void allow_signals();

/// Executes handover.program with `arguments` and "--resume=FD". Returns only to say what failed.
Error execute_in_place(const Handover& handover, std::vector<std::string> arguments);

/// Reads what execute_in_place() wrote, and makes the descriptors CLOEXEC again.
Result<Handover> take_handover(int fd);

}  // namespace dotrelay
