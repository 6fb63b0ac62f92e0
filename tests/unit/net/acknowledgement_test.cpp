// Which writes count as unacknowledged for too long: made-up TCP facts, then the kernel's over loopback.
#include "net/acknowledgement.hpp"
#include "net/acceptor.hpp"
#include "net/sockets.hpp"

#include <doctest/doctest.h>
#include <linux/tcp.h>
#include <poll.h>
#include <utility>
#include <vector>

namespace dotrelay {
namespace {

using std::chrono::milliseconds;

const TimePoint kStart = TimePoint{} + std::chrono::hours(1);
TimePoint at(int ms) { return kStart + milliseconds(ms); }

/// A path of 20 ms: the limit is 80 ms.
struct Path {
  UnacknowledgedWrites writes;
  TcpFacts facts{.octets_acknowledged = 1, .round_trip = milliseconds(20)};

  Path() { writes.begin(facts); }
  void write(int ms, std::size_t octets = 100) {
    writes.add(octets, at(ms));
    facts.segments_in_flight = 1;
  }
  void acknowledge(std::uint64_t octets, int at_ms) {
    facts.octets_acknowledged = octets + 1;
    heard_ms = at_ms;
  }
  UnacknowledgedWrites::Verdict look(int ms) {
    facts.since_acknowledgement = milliseconds(ms - heard_ms);
    return writes.judge(facts, at(ms));
  }
  int heard_ms = 0;
};

TEST_CASE("nothing written, all acknowledged, not yet, too late") {
  Path path;
  CHECK(path.look(1000).look_again == Duration{});
  path.write(1000);
  CHECK_FALSE(path.look(1001).silent);
  CHECK(path.look(1001).look_again == milliseconds(79));
  CHECK_FALSE(path.look(1080).silent);
  CHECK(path.look(1081).silent);
  CHECK(path.look(1081).look_again > Duration{});
  path.acknowledge(100, 1082);
  CHECK_FALSE(path.look(1083).silent);
  CHECK(path.look(1083).look_again == Duration{});
}

TEST_CASE("new writes do not hide that the old ones are unacknowledged") {
  Path path;
  for (int ms = 0; ms <= 85; ms += 5) path.write(ms);
  CHECK(path.look(86).silent);
}

TEST_CASE("the SYN is no octet of ours") {
  Path path;
  path.write(0);
  path.facts.octets_acknowledged = 100;  // the SYN and 99 octets
  CHECK(path.look(90).silent);
}

TEST_CASE("a path that loses packets still acknowledges: not silent") {
  Path path;
  path.write(0);
  path.write(50);
  path.heard_ms = 70;  // a duplicate acknowledgement
  CHECK_FALSE(path.look(140).silent);
  CHECK(path.look(140).look_again == milliseconds(10));
  CHECK(path.look(151).silent);
}

TEST_CASE("a connection that was idle is not accused for the time before the write") {
  Path path;
  path.write(0);
  path.acknowledge(100, 20);
  path.write(60'000);
  CHECK_FALSE(path.look(60'001).silent);
  CHECK(path.look(60'081).silent);
}

TEST_CASE("a closed window is a slow peer") {
  Path path;
  path.write(0);
  path.facts.segments_in_flight = 0;
  path.facts.octets_unsent = 100;
  CHECK_FALSE(path.look(5000).silent);
  CHECK(path.look(5000).look_again > Duration{});
}

TEST_CASE("an open window, and yet nothing leaves this host: there is no way any more") {
  Path path;
  path.write(0);
  path.facts.segments_in_flight = 0;
  path.facts.octets_unsent = 100;
  path.facts.window_open = true;
  CHECK_FALSE(path.look(80).silent);
  CHECK(path.look(81).silent);
}

TEST_CASE("a path whose delay varies gets more time, up to a ceiling; delayed acknowledgements are no jitter") {
  for (const auto& [variation, limit] : {std::pair{22, 80}, {25, 80}, {30, 100}, {50, 180}, {72, 268}, {500, 270}}) {
    CAPTURE(variation);
    Path path;
    path.facts.variation = milliseconds(variation);
    path.write(0);
    CHECK_FALSE(path.look(limit).silent);
    CHECK(path.look(limit + 1).silent);
  }
}

TEST_CASE("an acknowledgement that comes late: how late, and that much is granted when it is known") {
  Path path;
  path.write(0);
  CHECK_FALSE(path.look(62).silent);
  CHECK(path.look(81).silent);
  CHECK(path.look(81).look_again == UnacknowledgedWrites::kOverdueLook);
  CHECK(path.look(97).late == Duration{});
  path.acknowledge(100, 210);
  CHECK(path.look(225).late == milliseconds(190));
  CHECK(path.look(226).late == Duration{});
  path.write(1000);
  const auto look = [&](int ms) {
    path.facts.since_acknowledgement = milliseconds(ms - path.heard_ms);
    return path.writes.judge(path.facts, at(ms), milliseconds(190));
  };
  CHECK_FALSE(look(1270).silent);
  CHECK(look(1271).silent);
}

TEST_CASE("what was lost and sent again is no delay of acknowledgements; what the peer had got before is") {
  for (const bool lost : {true, false}) {
    Path path;
    path.write(0);
    CHECK(path.look(90).silent);
    path.facts.losses += lost ? 1 : 0;
    path.acknowledge(100, 300);
    CHECK((path.look(310).late > Duration{}) != lost);
    // The next one is judged by itself.
    path.write(1000);
    CHECK(path.look(1100).silent);
    path.acknowledge(200, 1150);
    CHECK(path.look(1160).late == milliseconds(130));
  }
}

TEST_CASE("an answer that carries the acknowledgement in time is not late, whenever somebody looks") {
  Path path;
  path.write(0);
  path.acknowledge(100, 70);
  CHECK(path.look(400).late == Duration{});
}

TEST_CASE("without counts of octets, nothing in flight and nothing unsent is all acknowledged") {
  Path path;
  path.write(0);
  path.facts.segments_in_flight = 0;
  CHECK(path.look(5000).look_again == Duration{});
}

TEST_CASE("hours of writes that nobody asked about: still exact where it matters") {
  for (const int grain : {1, 3, 7, 50}) {
    Path path;
    std::uint64_t written = 0;
    const int death = 1'000'000;
    for (int ms = 0; ms < death + 200; ms += grain) {
      path.write(ms);
      written += 100;
      if (ms <= death) path.acknowledge(written, ms);
    }
    CHECK(path.look(death + 200).silent);
  }
  for (const int grain : {1, 3, 7, 50}) {
    Path path;
    std::uint64_t written = 0;
    const int death = 1'000'000;
    for (int ms = 0; ms < death + 75; ms += grain) {
      path.write(ms);
      written += 100;
      if (ms <= death) path.acknowledge(written, ms);
    }
    CHECK_FALSE(path.look(death + 75).silent);
  }
}

/// What a kernel gives that knows the fields up to and with `last`.
#define KNOWN_UP_TO(info, last) \
  Bytes(reinterpret_cast<const std::uint8_t*>(&(info)), offsetof(tcp_info, last) + sizeof((info).last))

TEST_CASE("what kernels of different age know") {
  tcp_info info{};
  info.tcpi_rtt = 20'000;
  info.tcpi_rttvar = 3'000;
  info.tcpi_rto = 250'000;
  info.tcpi_unacked = 2;
  info.tcpi_bytes_acked = 1'000;
  info.tcpi_notsent_bytes = 100;
  info.tcpi_snd_mss = 1'400;
  info.tcpi_snd_wnd = 60'000;
  CHECK_FALSE(read_tcp_info(KNOWN_UP_TO(info, tcpi_pacing_rate)));

  const auto linux_4_4 = read_tcp_info(KNOWN_UP_TO(info, tcpi_segs_in));
  REQUIRE(linux_4_4);
  CHECK(linux_4_4->octets_acknowledged == 1'000);
  CHECK(linux_4_4->segments_in_flight == 2);
  CHECK(linux_4_4->octets_unsent == 0);
  CHECK_FALSE(linux_4_4->window_open);
  CHECK(linux_4_4->round_trip == milliseconds(20));
  CHECK(linux_4_4->variation == milliseconds(3));

  CHECK(read_tcp_info(KNOWN_UP_TO(info, tcpi_notsent_bytes))->octets_unsent == 100);
  CHECK_FALSE(read_tcp_info(KNOWN_UP_TO(info, tcpi_notsent_bytes))->window_open);
  CHECK(read_tcp_info(KNOWN_UP_TO(info, tcpi_snd_wnd))->window_open);
  info.tcpi_total_retrans = 5;
  info.tcpi_dsack_dups = 3;
  CHECK(read_tcp_info(KNOWN_UP_TO(info, tcpi_snd_wnd))->losses == 2);
  CHECK(read_tcp_info(KNOWN_UP_TO(info, tcpi_segs_in))->losses == 5);

  info.tcpi_rtt = 0;  // nothing has been measured
  CHECK(read_tcp_info(KNOWN_UP_TO(info, tcpi_segs_in))->round_trip == milliseconds(250));
  CHECK(read_tcp_info(KNOWN_UP_TO(info, tcpi_segs_in))->variation == Duration{});
}

TEST_CASE("the kernel's own account") {
  int error = 0;
  const Endpoint loopback{*parse_ip_address("127.0.0.1"), 0};
  const UniqueFd server = make_listener(loopback, Protocol::tcp, error);
  REQUIRE(join_port(server.get(), loopback, Protocol::tcp) == 0);
  SocketAddress address;
  REQUIRE(getsockname(server.get(), address.raw(), &address.size) == 0);
  const UniqueFd client = begin_connect(to_endpoint(address), {}, error);
  pollfd waiting{client.get(), POLLOUT, 0};
  REQUIRE(poll(&waiting, 1, 2000) == 1);
  auto facts = ask_tcp(client.get());
  REQUIRE(facts);
  UnacknowledgedWrites writes;
  writes.begin(*facts);
  REQUIRE(send(client.get(), "octets", 6, 0) == 6);
  writes.add(6, Clock::now());
  const std::uint64_t before = facts->octets_acknowledged;
  for (int i = 0; i < 1000 && facts->octets_acknowledged == before; ++i) {
    poll(nullptr, 0, 1);
    facts = ask_tcp(client.get());
  }
  CHECK(facts->octets_acknowledged == before + 6);
  CHECK(facts->segments_in_flight == 0);
  const auto verdict = writes.judge(*facts, Clock::now());
  CHECK_FALSE(verdict.silent);
  CHECK(verdict.look_again == Duration{});
  CHECK_FALSE(ask_tcp(-1));
}

}  // namespace
}  // namespace dotrelay
