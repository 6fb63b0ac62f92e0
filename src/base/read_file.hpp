// Reads whole files that people name: only regular ones, so that nothing that was named by mistake makes the relay wait
// or read for ever, and never more than a bound.
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <string>

namespace dotrelay {

/// The content of the file; symbolic links are followed. The error is a reason without the path: "is a FIFO, not a
/// file", "larger than 4 MiB", or the system's words. Devices and FIFOs are not even opened.
Result<std::string> read_file(const std::string& path, std::size_t limit_bytes);

}  // namespace dotrelay
