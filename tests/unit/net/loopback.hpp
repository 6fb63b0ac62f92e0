// Sockets on loopback for the tests of this folder and of those that are built on it.
#pragma once

#include "base/unique_fd.hpp"
#include "net/handles.hpp"
#include "net/sockets.hpp"

#include <cstring>
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace dotrelay::test {

inline Endpoint loopback(const char* address = "127.0.0.1", std::uint16_t port = 0) {
  return {*parse_ip_address(address), port};
}

inline Endpoint bound_to(const UniqueFd& fd) {
  SocketAddress address;
  REQUIRE(getsockname(fd.get(), address.raw(), &address.size) == 0);
  return to_endpoint(address);
}

inline UniqueFd listener(const Endpoint& endpoint, Protocol protocol) {
  int error = 0;
  UniqueFd fd = make_listener(endpoint, protocol, error);
  REQUIRE_MESSAGE(fd, std::strerror(error));
  REQUIRE(join_port(fd.get(), endpoint, protocol) == 0);
  return fd;
}

/// A connection that waits to be accepted by `server`.
inline UniqueFd connect_to(const UniqueFd& server) {
  int error = 0;
  UniqueFd fd = begin_connect(bound_to(server), {}, error);
  REQUIRE_MESSAGE(fd, std::strerror(error));
  return fd;
}

inline void wait_readable(int fd) {
  pollfd waiting{fd, POLLIN, 0};
  REQUIRE(poll(&waiting, 1, 2000) == 1);
}

struct Deaf final : PollListener {
  void on_poll(bool, bool) noexcept override {}
};

/// As long as it lives this process gets no further descriptor.
class NoDescriptors {
 public:
  NoDescriptors() {
    REQUIRE(getrlimit(RLIMIT_NOFILE, &before_) == 0);
    rlimit none = before_;
    none.rlim_cur = static_cast<rlim_t>(UniqueFd(dup(STDIN_FILENO)).get());  // all below are taken
    REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;
  ~NoDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

}  // namespace dotrelay::test
