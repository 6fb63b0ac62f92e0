// Text that outlives its file, and exec: in a memfd.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <string>

namespace dotrelay {

/// A CLOEXEC memfd with the text, which no process can change.
Result<UniqueFd> into_memory(const std::string& text);

/// The text in such a memfd; nothing when it is none.
std::string text_in_memory(int fd);

}  // namespace dotrelay
