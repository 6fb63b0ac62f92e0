// Addresses for listening sockets of tests.
#pragma once

#include "config/config.hpp"
#include "net/sockets.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <utility>
#include <vector>

namespace dotrelay::test {

/// An address with a port that is free now.
inline Endpoint free_address(const char* address = "127.0.0.1") {
  const Endpoint any{*parse_ip_address(address), 0};
  int error = 0;
  const UniqueFd fd = make_listener(any, Protocol::tcp, error);
  REQUIRE(join_port(fd.get(), any, Protocol::tcp) == 0);
  SocketAddress bound;
  REQUIRE(getsockname(fd.get(), bound.raw(), &bound.size) == 0);
  return to_endpoint(bound);
}

inline ListenConfig listen_on(std::vector<Endpoint> addresses) {
  ListenConfig config;
  config.addresses = std::move(addresses);
  config.addresses_are_default = false;
  return config;
}

}  // namespace dotrelay::test
