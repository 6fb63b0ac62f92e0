// Preloaded into the supervisor (LD_PRELOAD), it has each worker started under the command in $WORKER_COMMAND.
//
// A worker is an exec of /proc/self/exe. Under valgrind that is valgrind's own program, and the exec fails; so the
// supervisor runs by itself, and only the exec of the worker goes through valgrind. Words are separated by spaces.
#include <unistd.h>

#include <cstdlib>
#include <cstring>

extern "C" int execv(const char* path, char* const* arguments) noexcept {
  const char* prefix = std::getenv("WORKER_COMMAND");
  if (prefix == nullptr || std::strcmp(path, "/proc/self/exe") != 0) return execve(path, arguments, environ);
  // Between fork and exec nothing may be allocated, so everything has a place and a limit here.
  static char words[4096];
  static char program[4096];
  static char* command[64];
  std::strncpy(words, prefix, sizeof words - 1);
  if (readlink(path, program, sizeof program - 1) < 0) return -1;
  std::size_t count = 0;
  for (char* word = std::strtok(words, " "); word != nullptr && count < 40; word = std::strtok(nullptr, " "))
    command[count++] = word;
  command[count++] = program;
  for (char* const* argument = arguments + 1; *argument != nullptr && count < 63; ++argument)
    command[count++] = *argument;
  return execve(command[0], command, environ);
}
