// Writes lines to a descriptor and never waits for what reads them: a pipe, a terminal or a socket that is not read
// must not stop a process that others depend on. A line is written whole or counts as lost.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace dotrelay {

class LineOutput {
 public:
  /// The longest line, newline included. PIPE_BUF of Linux: so much goes into a pipe whole or not at all, also beside
  /// the lines of other processes.
  static constexpr std::size_t kMaxLineBytes = 4096;

  /// `descriptor` stays open as long as this object lives. Its flags stay as they are: the open file description may
  /// also belong to other processes.
  explicit LineOutput(int descriptor);

  /// Writes a line of at most kMaxLineBytes that ends with a newline. False: no octet of it was taken, the line is
  /// lost. What is left over of a line that was taken in part precedes the next one.
  bool write(std::string_view line);

 private:
  std::size_t write_some(std::string_view text);
  bool finish();

  int descriptor_;
  bool is_socket_;
  std::string rest_;  ///< of a line that was taken in part
};

}  // namespace dotrelay
