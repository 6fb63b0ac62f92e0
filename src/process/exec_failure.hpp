// How a parent hears why its child could not execute a program: the errno comes through a pipe that a successful exec
// closes.
#pragma once

#include "base/unique_fd.hpp"

#include <optional>
#include <string>

namespace dotrelay {

struct ExecFailure {
  UniqueFd parent;
  UniqueFd child;  ///< to be closed in the parent after fork

  /// Both CLOEXEC and non-blocking. Nothing when descriptors are short; errno says so.
  static std::optional<ExecFailure> make();
};

/// In the child, when exec has failed: errno is sent to the parent. Ends the child. Async-signal-safe.
[[noreturn]] void end_after_failed_exec(int child);

/// In the parent, when the child has ended: why it could not execute the program; nothing when it could.
std::optional<std::string> exec_failure(const UniqueFd& parent);

}  // namespace dotrelay
