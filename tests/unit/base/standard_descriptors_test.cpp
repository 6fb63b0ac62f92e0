// Descriptors 0, 1 and 2, each time in a child that may lose them.
#include "base/standard_descriptors.hpp"

#include <array>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <functional>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace dotrelay {
namespace {

/// What `body` returns in a child.
int in_child(const std::function<int()>& body) {
  const pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0) _exit(body());
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

bool is_null_device(int fd) {
  struct stat status {};
  struct stat null {};
  return fstat(fd, &status) == 0 && stat("/dev/null", &null) == 0 && status.st_rdev == null.st_rdev;
}

TEST_CASE("closed standard descriptors are filled, open ones stay") {
  for (unsigned closed = 0; closed < 8; ++closed) {
    CAPTURE(closed);
    CHECK(in_child([closed] {
            std::array<struct stat, 3> before{};
            for (int fd = 0; fd < 3; ++fd) {
              if ((closed >> fd & 1) != 0) close(fd);
              fstat(fd, &before[static_cast<std::size_t>(fd)]);
            }
            if (!fill_standard_descriptors()) return 1;
            for (int fd = 0; fd < 3; ++fd) {
              struct stat after {};
              if (fstat(fd, &after) != 0) return 2;
              const bool was_closed = (closed >> fd & 1) != 0;
              if (was_closed ? !is_null_device(fd) : after.st_ino != before[static_cast<std::size_t>(fd)].st_ino)
                return 3;
            }
            return 0;
          }) == 0);
  }
}

TEST_CASE("without /dev there is still something that takes nothing and gives nothing") {
  if (geteuid() != 0) return;  // only root may change the root
  char folder[] = "/tmp/standard-descriptors-XXXXXX";
  REQUIRE(mkdtemp(folder) != nullptr);
  CHECK(in_child([&folder] {
          if (chroot(folder) != 0 || chdir("/") != 0) return 9;
          for (int fd = 0; fd < 3; ++fd) close(fd);
          if (!fill_standard_descriptors()) return 1;
          char octet = 'x';
          for (int fd = 0; fd < 3; ++fd) {
            if (read(fd, &octet, 1) != 0) return 2;
            if (write(fd, &octet, 1) != -1) return 3;
          }
          return 0;
        }) == 0);
  rmdir(folder);
}

TEST_CASE("a pipe as standard error becomes one that does not wait, and the inherited description stays as it is") {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  CHECK(in_child([&ends] {
          dup2(ends[1], STDERR_FILENO);
          own_standard_error();
          if ((fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK) == 0) return 1;
          if ((fcntl(ends[1], F_GETFL) & O_NONBLOCK) != 0) return 2;
          return write(STDERR_FILENO, "same pipe", 9) == 9 ? 0 : 3;
        }) == 0);
  std::array<char, 16> text{};
  CHECK(read(ends[0], text.data(), text.size()) == 9);
  CHECK((fcntl(ends[1], F_GETFL) & O_NONBLOCK) == 0);
  for (const int end : ends) close(end);
}

TEST_CASE("a file as standard error stays what it is") {
  char path[] = "/tmp/standard-descriptors-XXXXXX";
  const int file = mkstemp(path);
  REQUIRE(file >= 0);
  REQUIRE(write(file, "before ", 7) == 7);
  CHECK(in_child([file] {
          dup2(file, STDERR_FILENO);
          own_standard_error();
          return write(STDERR_FILENO, "after", 5) == 5 ? 0 : 1;
        }) == 0);
  CHECK(lseek(file, 0, SEEK_CUR) == 12);  // the offset is shared with the parent, as before
  close(file);
  unlink(path);
}

}  // namespace
}  // namespace dotrelay
