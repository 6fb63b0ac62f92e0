// Messages with descriptors over a channel: boundaries, the descriptor's way, a full channel, the end.
#include "net/descriptor_passing.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace dotrelay {
namespace {

using Status = ReceivedMessage::Status;
using Octets = std::vector<std::uint8_t>;

TEST_CASE("messages keep their boundaries, and the descriptor works at the other end") {
  auto [one, other] = *make_channel();
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  REQUIRE(send_message(one.get(), Octets{1, 2}, Octets{3}, reader.get()) == 0);
  REQUIRE(send_message(one.get(), Octets{4}, {}, -1) == 0);
  reader.reset();
  REQUIRE(write(writer.get(), "x", 1) == 1);

  Octets buffer(10);
  const ReceivedMessage first = receive_message(other.get(), buffer);
  CHECK(first.status == Status::message);
  CHECK(first.size == 3);
  CHECK(std::equal(buffer.begin(), buffer.begin() + 3, Octets{1, 2, 3}.begin()));
  REQUIRE(first.fd);
  CHECK((fcntl(first.fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
  char octet = 0;
  CHECK(read(first.fd.get(), &octet, 1) == 1);
  CHECK(octet == 'x');

  const ReceivedMessage second = receive_message(other.get(), buffer);
  CHECK(second.size == 1);
  CHECK_FALSE(second.fd);
  CHECK(receive_message(other.get(), buffer).status == Status::nothing_yet);
}

TEST_CASE("a message with several descriptors leaves none behind but the one that is told of") {
  auto [one, other] = *make_channel();
  std::array<int, 8> several;
  several.fill(one.get());
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof several)> control{};
  char octet = 'x';
  iovec part{&octet, 1};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof several);
  std::memcpy(CMSG_DATA(header), several.data(), sizeof several);
  REQUIRE(sendmsg(one.get(), &message, 0) == 1);

  Octets buffer(10);
  ReceivedMessage received = receive_message(other.get(), buffer);
  CHECK(received.size == 1);
  REQUIRE(received.fd);
  const int next = received.fd.get() + 1;
  CHECK(fcntl(next, F_GETFD) == -1);
}

TEST_CASE("the largest half-read query fits; a buffer that is too small cuts") {
  auto [one, other] = *make_channel();
  const Octets large(65536 + 17, 7);
  REQUIRE(send_message(one.get(), Octets{1}, large, -1) == 0);
  REQUIRE(send_message(one.get(), Octets{1}, large, -1) == 0);
  Octets buffer(70000);
  CHECK(receive_message(other.get(), buffer).size == large.size() + 1);
  CHECK(receive_message(other.get(), MutableBytes(buffer).first(5)).size == 5);
  CHECK(receive_message(other.get(), buffer).status == Status::nothing_yet);
}

TEST_CASE("a full channel says so, and an end that has gone") {
  auto [one, other] = *make_channel();
  int error = 0;
  int sent = 0;
  while ((error = send_message(one.get(), Octets{1}, {}, one.get())) == 0) ++sent;
  CHECK(error == EAGAIN);
  CHECK(sent > 10);
  other.reset();
  CHECK(send_message(one.get(), Octets{1}, {}, -1) == ECONNRESET);  // there was something unread
  CHECK(send_message(one.get(), Octets{1}, {}, -1) == EPIPE);
  Octets buffer(10);
  CHECK(receive_message(one.get(), buffer).status == Status::end);
}

TEST_CASE("without room for another descriptor the message comes alone") {
  auto [one, other] = *make_channel();
  REQUIRE(send_message(one.get(), Octets{1}, {}, one.get()) == 0);
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit none{3, before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  Octets buffer(10);
  const ReceivedMessage received = receive_message(other.get(), buffer);
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(received.status == Status::message);
  CHECK_FALSE(received.fd);
}

}  // namespace
}  // namespace dotrelay
