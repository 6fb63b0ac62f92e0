// Another program in the place of this one: first it checks the configuration as a child, then it is executed with the
// same PID, the same children and the descriptors that it is to have.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "supervisor/upgrade_state.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace dotrelay {

/// The absolute path from which the program was started, with its symbolic links: what they lead to later is its
/// successor. The path of its file when it was started in another way; empty when /proc does not tell.
std::string own_program();

/// The file behind a path, to notice that another one has come there.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t size = 0;
  std::int64_t seconds = 0;  ///< of the last change
  std::int64_t nanoseconds = 0;

  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

/// A child that checks.
struct RunningCheck {
  pid_t pid = 0;
  std::string program;
  std::string token;      ///< what the answer must repeat
  FileIdentity file;      ///< of the program when the check began
  UniqueFd answer;        ///< from the program, see takeover_answer()
  UniqueFd exec_failure;  ///< the parent's end of an ExecFailure
};

/// Runs "PROGRAM check --handover=VERSION --answer=FD --token=TOKEN --config FILE" with standard output and error on
/// our standard error.
Result<RunningCheck> start_check(const std::string& program, const std::string& config_file);

/// Why the program of a check that has ended with `status` (waitpid(2)) must not take over; nothing when it may. Exit
/// status 0 alone proves nothing, any program may have that: the answer must be there.
std::optional<std::string> why_no_takeover(const RunningCheck& check, int status);

/// What a check with --answer and --token writes when all is well: that the program takes over from a supervisor that
/// hands over in UpgradeState::kVersion. Spoken between versions: its meaning never changes.
std::string takeover_answer(std::string_view token);

/// From here until allow_signals(), across exec, the kernel keeps signals, so that none finds no handler. What has been
/// caught already is still to be dispatched by the loop.
void block_signals();
void allow_signals();

/// Executes state.program with `arguments` and "--resume=FD". Returns only to say what failed.
Error execute_in_place(const UpgradeState& state, std::vector<std::string> arguments);

/// Reads what execute_in_place() wrote, and makes the descriptors CLOEXEC again.
Result<UpgradeState> take_upgrade_state(int fd);

}  // namespace dotrelay
