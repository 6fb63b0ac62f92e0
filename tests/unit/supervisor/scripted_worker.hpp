// Stand-ins for the relay's own program, as a supervisor starts it: a worker and a check that do what lines of the
// configuration's text say.
//
//   # workers: ready            all workers
//   # worker 2: as=new exit=3   this one
//   # check: answer
//
// A worker does the words in turn, and then what its control socket says. It keeps a diary beside the configuration
// file.
#pragma once

#include <span>
#include <string>

namespace dotrelay::test {

/// The words of a worker:
///
/// | word     | what it does                                                              |
/// |----------|---------------------------------------------------------------------------|
/// | as=NAME  | begins the lines of its diary with the name                               |
/// | wait     | waits until the gate is open                                              |
/// | ready    | tells the supervisor that it is ready                                     |
/// | exit=N   | exits with the status                                                     |
/// | hang     | does nothing any more                                                     |
/// | stay     | from now on notes what it is told, and does not exit                      |
///
/// Its diary: "NAME NUMBER start PID LISTENERS MAILBOXES", "NAME NUMBER serve", "... take_clients", "... hand_over ls"
/// (l: the port is left, s: the worker stops reading), "... end". A check notes "check start PID" when it has read its
/// script.
int play_worker(std::span<char* const> arguments);

/// The words of a check: answer (that it takes over), wrong (another answer), and wait, exit=N and hang as above.
int play_check(std::span<char* const> arguments);

inline std::string diary_of(const std::string& config_file) { return config_file + ".diary"; }
/// A FIFO, which is open from when it is opened for writing.
inline std::string gate_of(const std::string& config_file) { return config_file + ".gate"; }

}  // namespace dotrelay::test
