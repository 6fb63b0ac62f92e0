// A log that a test reads.
#pragma once

#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "supervisor/temporary_folder.hpp"

#include <fcntl.h>
#include <string>

namespace dotrelay::test {

class LogFile {
 public:
  explicit LogFile(LogLevel threshold = LogLevel::debug) : log_(threshold, "supervisor", file_.get()) {}

  Log& log() { return log_; }
  [[nodiscard]] std::string text() const { return content_of(folder_ / "log"); }
  [[nodiscard]] bool has(const std::string& text) const { return this->text().find(text) != std::string::npos; }

 private:
  TemporaryFolder folder_;
  UniqueFd file_{open((folder_ / "log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)};
  Log log_;
};

}  // namespace dotrelay::test
