// Tickets in the form in which processes share them: a round trip that resumes, and everything that must be refused.
#include "pin_of.hpp"
#include "tls/tls_internal.hpp"
#include "tls_pair.hpp"

#include <ctime>
#include <doctest/doctest.h>
#include <fstream>

namespace dotrelay::test {
namespace {

using State = TlsSession::State;
using Octets = std::vector<std::uint8_t>;

Octets serialized(const TlsTicket& ticket) {
  Octets octets(4096);
  octets.resize(ticket.serialize(octets));
  REQUIRE_FALSE(octets.empty());
  return octets;
}

/// A ticket of a fresh session, in its shared form.
Octets obtain(const ServerSide& server, const ClientSide& side) {
  TlsPair pair(server, side);
  REQUIRE(pair.run() == State::established);
  const std::vector<TlsTicket> tickets = pair.client.take_tickets();
  REQUIRE_FALSE(tickets.empty());
  return serialized(tickets[0]);
}

/// With a digest that fits, as if this program had written the octets.
Octets signed_anew(Octets octets) {
  std::ranges::copy(sha256(Bytes(octets).subspan(32)), octets.begin());
  return octets;
}

TEST_CASE("a ticket that went through shared memory resumes, also for another context of the same settings") {
  for (const bool tls_13 : {true, false}) {
    for (const char* certificate : {"good", "rsa"}) {
      ServerSide server({.certificate = certificate, .tls_13 = tls_13});
      const ClientSide side;
      const ClientSide other_process;
      auto ticket = TlsTicket::parse(obtain(server, side), other_process.context());
      REQUIRE(ticket);
      const std::int64_t now = std::time(nullptr);
      CHECK(ticket->usable_at(now));
      CHECK_FALSE(ticket->usable_at(now + 40 * 86400));  // the certificate ends in 30 days
      TlsPair second(server, other_process, std::move(ticket));
      REQUIRE(second.run() == State::established);
      CHECK(second.client.resumed());
      // And so does what the resumed session got.
      std::vector<TlsTicket> more = second.client.take_tickets();
      if (more.empty()) continue;
      auto next = TlsTicket::parse(serialized(more[0]), side.context());
      REQUIRE(next);
      CHECK_FALSE(next->usable_at(now + 40 * 86400));
      TlsPair third(server, side, std::move(next));
      REQUIRE(third.run() == State::established);
      CHECK(third.client.resumed());
    }
  }
}

TEST_CASE("a resumed session's tickets are good for no longer than the one that it was resumed with") {
  ServerSide server;
  const ClientSide side;
  Octets octets = obtain(server, side);
  const std::int64_t now = std::time(nullptr);
  const auto until = static_cast<std::uint64_t>(now + 100);
  for (std::size_t i = 0; i < 8; ++i) octets[64 + i] = static_cast<std::uint8_t>(until >> (56 - 8 * i));
  auto ticket = TlsTicket::parse(signed_anew(octets), side.context());
  REQUIRE(ticket);
  CHECK(ticket->usable_at(now + 50));
  CHECK_FALSE(ticket->usable_at(now + 150));
  TlsPair second(server, side, std::move(ticket));
  REQUIRE(second.run() == State::established);
  REQUIRE(second.client.resumed());
  const std::vector<TlsTicket> more = second.client.take_tickets();
  REQUIRE_FALSE(more.empty());
  CHECK(more[0].usable_at(now + 50));
  CHECK_FALSE(more[0].usable_at(now + 150));
}

TEST_CASE("another name, other authorities, other pins: no ticket, and none is used behind the store's back") {
  const std::string changed_ca = Certificates::get().path("changed-ca.pem");
  std::ofstream(changed_ca) << std::ifstream(Certificates::get().path("test-ca.pem")).rdbuf() << "# another edition\n";
  for (const bool tls_13 : {true, false}) {
    ServerSide server({.tls_13 = tls_13});
    const ClientSide side;
    const Octets octets = obtain(server, side);
    const PublicKeyPin pin = pin_of("good.chain");
    for (const auto& other :
         {ClientSide("other.test"), ClientSide("upstream.test", "changed-ca.pem"),
          ClientSide("upstream.test", "test-ca.pem", {pin}), ClientSide("upstream.test", "", {pin})})
      CHECK_FALSE(TlsTicket::parse(octets, other.context()));
    const ClientSide pinned("upstream.test", "test-ca.pem", {pin});
    auto foreign = TlsTicket::parse(octets, side.context());
    REQUIRE(foreign);
    TlsPair pair(server, pinned, std::move(foreign));
    REQUIRE(pair.run() == State::established);
    CHECK_FALSE(pair.client.resumed());
  }
}

TEST_CASE("damaged octets are refused") {
  for (const bool tls_13 : {true, false}) {
    ServerSide server({.tls_13 = tls_13});
    const ClientSide side;
    const Octets octets = obtain(server, side);
    for (std::size_t size = 0; size < octets.size(); ++size) {
      REQUIRE_FALSE(TlsTicket::parse(Bytes(octets).first(size), side.context()));
      // Cut by someone who knows the form: the library's part is incomplete.
      if (size > 72)
        REQUIRE_FALSE(TlsTicket::parse(signed_anew({octets.begin(), octets.begin() + size}), side.context()));
    }
    for (std::size_t i = 0; i < octets.size(); ++i) {
      Octets garbled = octets;
      garbled[i] ^= 1U << (i % 8);
      REQUIRE_FALSE(TlsTicket::parse(garbled, side.context()));
    }
    Octets longer = octets;
    longer.push_back(0);
    CHECK_FALSE(TlsTicket::parse(longer, side.context()));
    CHECK_FALSE(TlsTicket::parse(signed_anew(longer), side.context()));
  }
}

TEST_CASE("octets whose digest fits but whose content was made up: refused or harmless") {
  for (const bool tls_13 : {true, false}) {
    ServerSide server({.tls_13 = tls_13});
    const ClientSide side;
    const Octets octets = obtain(server, side);
    int accepted = 0;
    for (std::size_t i = 72; i < std::min<std::size_t>(octets.size(), 300); ++i) {
      Octets garbled = octets;
      garbled[i] = static_cast<std::uint8_t>(~garbled[i]);
      auto ticket = TlsTicket::parse(signed_anew(garbled), side.context());
      if (!ticket) continue;
      ++accepted;
      TlsPair pair(server, side, std::move(ticket));
      pair.run();
      if (pair.client.state() == State::established && !pair.client.resumed())
        CHECK(pair.server.state() == State::established);
    }
    CHECK(accepted > 0);
  }
}

TEST_CASE("a buffer that is too small") {
  ServerSide server;
  const ClientSide side;
  TlsPair pair(server, side);
  REQUIRE(pair.run() == State::established);
  const std::vector<TlsTicket> tickets = pair.client.take_tickets();
  REQUIRE_FALSE(tickets.empty());
  const std::size_t size = serialized(tickets[0]).size();
  Octets exact(size);
  for (std::size_t room = 0; room < size; ++room) REQUIRE(tickets[0].serialize(MutableBytes(exact).first(room)) == 0);

  CHECK(tickets[0].serialize(exact) == size);
}

}  // namespace
}  // namespace dotrelay::test
