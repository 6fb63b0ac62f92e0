// Files that are read whole, and everything else that a path may lead to.
#include "base/read_file.hpp"

#include <csignal>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace dotrelay {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMebibyte = 1024 * 1024;

struct Fixture {
  Fixture() {
    std::string pattern = (fs::temp_directory_path() / "read-file-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    folder = pattern;
    alarm(10);  // ends the test program when something waits
  }
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;
  ~Fixture() {
    alarm(0);
    fs::remove_all(folder);
  }

  [[nodiscard]] std::string error_of(const std::string& name) const {
    const auto content = read_file(name.starts_with('/') ? name : (folder / name).string(), kMebibyte);
    REQUIRE_FALSE(content);
    return content.error().message;
  }

  fs::path folder;
};

TEST_CASE_FIXTURE(Fixture, "a file is read whole, up to the bound and not beyond") {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{40'000}, kMebibyte}) {
    CAPTURE(size);
    const std::string text(size, 'a');
    std::ofstream(folder / "file") << text;
    const auto content = read_file(folder / "file", kMebibyte);
    REQUIRE(content);
    CHECK(*content == text);
  }
  std::ofstream(folder / "file") << std::string(kMebibyte + 1, 'a');
  CHECK(error_of("file") == "larger than 1 MiB");
  fs::resize_file(folder / "file", std::uintmax_t{1} << 40);  // the size alone must not be believed to fit into memory
  CHECK(error_of("file") == "larger than 1 MiB");
}

TEST_CASE_FIXTURE(Fixture, "a file that tells no size is read to its end") {
  const auto content = read_file("/proc/self/status", kMebibyte);
  REQUIRE(content);
  CHECK(content->find("Name:") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "links to a file lead to it, as in a Kubernetes volume") {
  fs::create_directory(folder / "..one");
  std::ofstream(folder / "..one" / "file") << "content";
  fs::create_directory_symlink("..one", folder / "..data");
  fs::create_symlink("..data/file", folder / "file");
  const auto content = read_file(folder / "file", kMebibyte);
  REQUIRE(content);
  CHECK(*content == "content");
}

TEST_CASE_FIXTURE(Fixture, "what is no file is named and not waited for") {
  REQUIRE(mkfifo((folder / "fifo").c_str(), 0600) == 0);
  CHECK(error_of("fifo") == "is a FIFO, not a file");
  fs::create_symlink("fifo", folder / "link");
  CHECK(error_of("link") == "is a FIFO, not a file");
  CHECK(error_of("/dev/zero") == "is a device, not a file");
  CHECK(error_of("/") == "is a directory, not a file");
  CHECK(error_of("absent") == "No such file or directory");
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (folder / "socket").string().copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  CHECK(error_of("socket") == "is a socket, not a file");
  close(fd);
}

}  // namespace
}  // namespace dotrelay
