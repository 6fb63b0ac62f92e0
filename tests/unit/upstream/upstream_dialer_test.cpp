// The dialer: each address of each upstream with the certificate that is expected there, and the way to it.
#include "upstream/upstream_dialer.hpp"

#include "upstream/dot_server.hpp"

namespace dotrelay::test {
namespace {

class Dialling : private ConnectionEvents {
 public:
  Dialling() {
    const std::string ca = Certificates::get().path("test-ca.pem");
    add("wrong", "other.test", {first.endpoint()}, ca);
    add("right", "upstream.test", {first.endpoint(), second.endpoint()}, ca);
    add("local", "", {first.endpoint()}, "");
    config.upstreams.back().transport = Transport::plain;
    need_tls_library();
    authorities.emplace(value_of(Authorities::load(config, "relay.toml")));
    dialer.emplace(config, *authorities, loop, counters, UpstreamDialer::Tickets{pools, 1});
    dialer->report_to(*this);
  }

  Connection::State dial(std::size_t upstream, std::size_t address) {
    over_ = false;
    connection_ = dialer->dial(upstream, address, {}, 0);
    const TimePoint end = Clock::now() + std::chrono::seconds(2);
    while (!over_ && Clock::now() < end) {
      Timer timer(loop, [this] { loop.stop(); });
      timer.set(Clock::now() + std::chrono::milliseconds(1));
      loop.run();
    }
    return connection_->state();
  }

  /// Of the latest connection, which is ready.
  [[nodiscard]] std::string description() const { return connection_->description(); }

  Loop loop;
  ServerSide side;
  DotServer first{loop, side};
  DotServer second{loop, side};
  Config config;
  Counters counters;
  std::vector<TicketPool> pools = std::vector<TicketPool>(4);
  std::optional<Authorities> authorities;
  std::optional<UpstreamDialer> dialer;

 private:
  void add(const std::string& name, const std::string& tls_name, std::vector<Endpoint> addresses,
           const std::string& ca_file) {
    UpstreamConfig& upstream = config.upstreams.emplace_back();
    upstream.name = name;
    upstream.tls_name = tls_name;
    upstream.addresses = std::move(addresses);
    upstream.ca_file = ca_file;
  }
  void on_activity(ConnectionHandle, TimePoint) noexcept override {
    over_ = connection_->state() == Connection::State::ready || connection_->state() == Connection::State::closed;
  }

  std::unique_ptr<Connection> connection_;
  bool over_ = false;
};

TEST_CASE("each upstream is expected to have its own name, each address is the one that is asked for") {
  Dialling dialling;
  CHECK(dialling.dial(1, 1) == Connection::State::ready);
  CHECK(dialling.first.accepted == 0);
  CHECK(dialling.second.accepted == 1);
  CHECK(dialling.dial(0, 0) == Connection::State::closed);
  CHECK(dialling.first.accepted == 1);
}

TEST_CASE("a local upstream is spoken to without TLS") {
  Dialling dialling;
  CHECK(dialling.dial(2, 0) == Connection::State::ready);
  CHECK(dialling.description() == "plain text on purpose");
  CHECK(dialling.counters.get(UpstreamCounter::upstream_handshakes, 2) == 0);
}

TEST_CASE("handshakes are counted for their upstream") {
  Dialling dialling;
  dialling.dial(1, 0);
  CHECK(dialling.counters.get(UpstreamCounter::upstream_handshakes, 1) == 1);
  CHECK(dialling.counters.get(UpstreamCounter::upstream_handshakes, 0) == 0);
}

TEST_CASE("the way to an address is a number that stays, and that differs with the source") {
  Dialling dialling;
  const std::uint32_t way = dialling.dialer->way_to(1, 0);
  CHECK(way != 0);
  CHECK(dialling.dialer->way_to(1, 1) == way);
  dialling.config.upstreams[0].egress.source = parse_endpoint("127.0.0.2:1", 0)->address;
  CHECK(dialling.dialer->way_to(0, 0) != way);
}

}  // namespace
}  // namespace dotrelay::test
