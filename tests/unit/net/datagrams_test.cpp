// Datagrams over loopback: in batches, with the addresses that they were sent to, and past those that cannot be sent.
#include "net/datagrams.hpp"

#include "net/loopback.hpp"

#include <algorithm>
#include <vector>

namespace dotrelay::test {
namespace {

TEST_CASE("a wildcard socket answers from the address that was asked") {
  const UniqueFd server = listener(loopback("0.0.0.0"), Protocol::udp);
  for (const char* address : {"127.0.0.1", "127.0.0.9", "127.1.2.3"}) {
    const UniqueFd client = listener(loopback(), Protocol::udp);
    SocketAddress target = to_socket_address(loopback(address, bound_to(server).port));
    REQUIRE(sendto(client.get(), "question", 8, 0, target.raw(), target.size) == 8);
    wait_readable(server.get());
    DatagramReceiver receiver(server.get());
    const auto batch = receiver.receive();
    REQUIRE(batch.size() == 1);
    CHECK(batch[0].payload.size() == 8);
    CHECK(batch[0].route.endpoint() == bound_to(client));
    CHECK(batch[0].route.local == *parse_ip_address(address));
    DatagramSender sender;
    sender.queue(batch[0].route, batch[0].payload);
    CHECK(sender.send(server.get()) == 0);
    CHECK(sender.empty());
    wait_readable(client.get());
    DatagramReceiver answers(client.get());
    const auto answer = answers.receive();
    REQUIRE(answer.size() == 1);
    CHECK(answer[0].route.endpoint() == Endpoint{*parse_ip_address(address), bound_to(server).port});
  }
}

TEST_CASE("an IPv6 wildcard socket answers from the address that was asked") {
  if (probe_bind(loopback("::1"), Protocol::udp) != 0) return;
  const UniqueFd server = listener(loopback("::"), Protocol::udp);
  const UniqueFd client = listener(loopback("::1"), Protocol::udp);
  DatagramSender question;
  question.queue(DatagramRoute({*parse_ip_address("::1"), bound_to(server).port}), std::vector<std::uint8_t>(5, 1));
  REQUIRE(question.send(client.get()) == 0);
  wait_readable(server.get());
  DatagramReceiver receiver(server.get());
  const auto batch = receiver.receive();
  REQUIRE(batch.size() == 1);
  CHECK(batch[0].route.endpoint() == bound_to(client));
  CHECK(batch[0].route.local == *parse_ip_address("::1"));
  DatagramSender sender;
  sender.queue(batch[0].route, batch[0].payload);
  CHECK(sender.send(server.get()) == 0);
  wait_readable(client.get());
  DatagramReceiver answers(client.get());
  CHECK(answers.receive().size() == 1);
}

TEST_CASE("many datagrams arrive in batches, whole, in order, empty ones too") {
  const UniqueFd server = listener(loopback(), Protocol::udp);
  const UniqueFd client = listener(loopback(), Protocol::udp);
  DatagramSender sender;
  const DatagramRoute route(bound_to(server));
  for (std::size_t i = 0; i < 100; ++i)
    sender.queue(route, std::vector<std::uint8_t>(i * 12, static_cast<std::uint8_t>(i)));
  CHECK(sender.send(client.get()) == 0);
  DatagramReceiver receiver(server.get());
  std::size_t received = 0;
  while (received < 100) {
    wait_readable(server.get());
    const auto batch = receiver.receive();
    REQUIRE(batch.size() <= DatagramReceiver::kBatch);
    for (const Datagram& datagram : batch) {
      REQUIRE(datagram.payload.size() == received * 12);
      REQUIRE(datagram.route.endpoint() == bound_to(client));
      REQUIRE_FALSE(datagram.route.local);  // the socket has one address only
      if (received > 0) CHECK(datagram.payload.back() == received);
      ++received;
    }
  }
  CHECK(receiver.receive().empty());
}

TEST_CASE("a datagram that cannot be sent does not hold up the others") {
  const UniqueFd server = listener(loopback(), Protocol::udp);
  const UniqueFd client = listener(loopback(), Protocol::udp);
  const DatagramRoute good(bound_to(server), *parse_ip_address("127.0.0.1"));
  const DatagramRoute bad({*parse_ip_address("255.255.255.255"), 1});
  DatagramSender sender;
  const std::uint8_t octet = 1;
  sender.queue(good, {&octet, 1});
  sender.queue(bad, {&octet, 1});
  sender.queue(good, {&octet, 1});
  CHECK(sender.send(client.get()) == 1);
  CHECK(sender.empty());
  wait_readable(server.get());
  DatagramReceiver receiver(server.get());
  CHECK(receiver.receive().size() == 2);
}

TEST_CASE("a queue that is full, and empty when the kernel has it") {
  const UniqueFd server = listener(loopback(), Protocol::udp);
  DatagramSender sender;
  CHECK(sender.empty());
  const std::uint8_t octet = 1;
  for (std::size_t i = 0; i < DatagramSender::kMaxQueued; ++i) {
    REQUIRE_FALSE(sender.full());
    sender.queue(DatagramRoute(bound_to(server)), {&octet, 1});
  }
  CHECK(sender.full());
  CHECK(sender.send(server.get()) == 0);
  CHECK(sender.empty());
}

TEST_CASE("a datagram that is longer than any query arrives cut") {
  const UniqueFd server = listener(loopback(), Protocol::udp);
  const UniqueFd client = listener(loopback(), Protocol::udp);
  const std::vector<std::uint8_t> longest(DatagramReceiver::kMaxPayload + 1);
  const SocketAddress target = to_socket_address(bound_to(server));
  REQUIRE(sendto(client.get(), longest.data(), longest.size(), 0, target.raw(), target.size) > 0);
  wait_readable(server.get());
  DatagramReceiver receiver(server.get());
  const auto batch = receiver.receive();
  REQUIRE(batch.size() == 1);
  CHECK(batch[0].payload.size() == DatagramReceiver::kMaxPayload);
}

}  // namespace
}  // namespace dotrelay::test
