// The TLS session as a transport: handshakes of both versions, octets in any portions, resumption, the end.
#include "tls_pair.hpp"

#include <ctime>

namespace dotrelay::test {
namespace {

using State = TlsSession::State;

Bytes octets(const std::string& text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

std::string received(TlsPair& pair) {
  const Bytes plaintext = pair.client.plaintext().bytes();
  std::string text(plaintext.begin(), plaintext.end());
  pair.client.plaintext().clear();
  return text;
}

TEST_CASE("a handshake, SNI, ALPN, and octets both ways") {
  for (const bool tls_13 : {true, false}) {
    for (const char* certificate : {"good", "rsa", "intermediate-leaf"}) {
      CAPTURE(tls_13);
      CAPTURE(certificate);
      TlsServer server({.certificate = certificate, .tls_13 = tls_13});
      const ClientSide side;
      TlsPair pair(server, side);
      REQUIRE(pair.run() == State::established);
      CHECK(server.asked_name == "upstream.test");
      CHECK(std::string(mbedtls_ssl_get_alpn_protocol(&pair.server())) == "dot");
      CHECK(pair.client.description().starts_with(tls_13 ? "TLS 1.3, " : "TLS 1.2, "));
      CHECK_FALSE(pair.client.resumed());
      pair.client.write(octets("question"));
      pair.server_writes(octets("answer"));
      pair.run();
      CHECK(std::string(pair.server_read.begin(), pair.server_read.end()) == "question");
      CHECK(received(pair) == "answer");
    }
  }
}

TEST_CASE("a server without ALPN is served all the same") {
  TlsServer server({.alpn = nullptr});
  const ClientSide side;
  TlsPair pair(server, side);
  CHECK(pair.run() == State::established);
}

TEST_CASE("a server that speaks another protocol than dot is refused") {
  TlsServer server({.alpn = "h2"});
  const ClientSide side;
  TlsPair pair(server, side);
  CHECK(pair.run() == State::failed);
  CHECK(pair.client.failure().kind == TlsSession::FailureKind::other);
}

TEST_CASE("one octet at a time") {
  for (const bool tls_13 : {true, false}) {
    TlsServer server({.tls_13 = tls_13});
    const ClientSide side;
    TlsPair pair(server, side);
    pair.chunk = 1;
    REQUIRE(pair.run() == State::established);
    pair.server_writes(octets("answer"));
    pair.deliver();
    CHECK(received(pair) == "answer");
  }
}

TEST_CASE("many records at once, and records as large as they get") {
  for (const bool tls_13 : {true, false}) {
    TlsServer server({.tls_13 = tls_13});
    const ClientSide side;
    TlsPair pair(server, side);
    REQUIRE(pair.run() == State::established);
    std::string expected;
    for (int i = 0; i < 300; ++i) {
      const std::string part(static_cast<std::size_t>(i), static_cast<char>('a' + i % 26));
      pair.server_writes(octets(part));
      expected += part;
    }
    const std::string large(100'000, 'x');
    pair.server_writes(octets(large));
    expected += large;
    pair.deliver();
    CHECK(received(pair) == expected);
    pair.client.write(octets(large));
    pair.run();
    CHECK(pair.server_read.size() == large.size());
  }
}

TEST_CASE("tickets resume a session, at both versions") {
  for (const bool tls_13 : {true, false}) {
    CAPTURE(tls_13);
    TlsServer server({.tls_13 = tls_13});
    const ClientSide side;
    std::vector<TlsTicket> tickets;
    {
      TlsPair first(server, side);
      REQUIRE(first.run() == State::established);
      tickets = first.client.take_tickets();
      CHECK(first.client.take_tickets().empty());
    }
    REQUIRE_FALSE(tickets.empty());
    const std::int64_t now = std::time(nullptr);
    CHECK(tickets[0].usable_at(now));
    CHECK_FALSE(tickets[0].usable_at(now + 40 * 86400));  // the certificate ends in 30 days
    TlsPair second(server, side, std::move(tickets[0]));
    REQUIRE(second.run() == State::established);
    CHECK(second.client.resumed());
    CHECK(second.client.description().ends_with(", resumed"));
    second.server_writes(octets("answer"));
    second.deliver();
    CHECK(received(second) == "answer");
    // What comes of a resumed session is bound to the same certificate's end.
    for (TlsTicket& ticket : second.client.take_tickets()) {
      CHECK(ticket.usable_at(now));
      CHECK_FALSE(ticket.usable_at(now + 40 * 86400));
    }
  }
}

TEST_CASE("a certificate that is good beyond 2038, on machines too whose time_t is not") {
  TlsServer server({.certificate = "long-lived"});
  const ClientSide side("upstream.test", "", {pin_of("long-lived.chain")});
  TlsPair pair(server, side);
  REQUIRE(pair.run() == State::established);
  const std::vector<TlsTicket> tickets = pair.client.take_tickets();
  REQUIRE_FALSE(tickets.empty());
  const std::int64_t now = std::time(nullptr);
  const std::int64_t years = 25LL * 365 * 86400;
  CHECK(tickets[0].usable_at(now + years - 3600));
  CHECK_FALSE(tickets[0].usable_at(now + years + 3600));
}

TEST_CASE("a TLS 1.2 session that is resumed without a new ticket has none to give") {
  TlsServer server({.tls_13 = false});
  const ClientSide side;
  TlsPair first(server, side);
  REQUIRE(first.run() == State::established);
  std::vector<TlsTicket> tickets = first.client.take_tickets();
  REQUIRE(tickets.size() == 1);
  TlsPair second(server, side, std::move(tickets[0]));
  REQUIRE(second.run() == State::established);
  CHECK(second.client.resumed());
  CHECK(second.client.take_tickets().empty());
  TlsPair third(server, side);
  REQUIRE(third.run() == State::established);
  CHECK(third.client.take_tickets().size() == 1);
}

TEST_CASE("a ticket that arrives alone, octet by octet, is not lost") {
  TlsServer server;
  const ClientSide side;
  TlsPair pair(server, side);
  pair.chunk = 1;
  REQUIRE(pair.run() == State::established);
  CHECK_FALSE(pair.client.take_tickets().empty());
}

TEST_CASE("a server without tickets gives none") {
  TlsServer server({.tickets = false});
  const ClientSide side;
  TlsPair pair(server, side);
  REQUIRE(pair.run() == State::established);
  CHECK(pair.client.take_tickets().empty());
}

TEST_CASE("a ticket that the server has forgotten means a full handshake, and the certificate is looked at") {
  for (const bool tls_13 : {true, false}) {
    TlsServer server({.tls_13 = tls_13});
    const ClientSide side;
    TlsPair first(server, side);
    REQUIRE(first.run() == State::established);
    std::vector<TlsTicket> tickets = first.client.take_tickets();
    REQUIRE_FALSE(tickets.empty());
    SUBCASE("the same certificate") {
      TlsServer restarted({.tls_13 = tls_13});
      TlsPair second(restarted, side, std::move(tickets[0]));
      REQUIRE(second.run() == State::established);
      CHECK_FALSE(second.client.resumed());
    }
    SUBCASE("another's certificate") {
      TlsServer impostor({.certificate = "unknown-ca-leaf", .tls_13 = tls_13});
      TlsPair second(impostor, side, std::move(tickets[0]));
      CHECK(second.run() == State::failed);
      CHECK(second.client.failure().kind == TlsSession::FailureKind::authentication);
    }
  }
}

TEST_CASE("close_notify ends a session, and what came before it is read") {
  TlsServer server;
  const ClientSide side;
  TlsPair pair(server, side);
  REQUIRE(pair.run() == State::established);
  pair.server_writes(octets("last words"));
  pair.server_says_goodbye();
  pair.deliver();
  CHECK(pair.client.state() == State::closed);
  CHECK(received(pair) == "last words");
}

TEST_CASE("the client says goodbye") {
  TlsServer server;
  const ClientSide side;
  TlsPair pair(server, side);
  REQUIRE(pair.run() == State::established);
  pair.client.close();
  pair.run();
  CHECK(pair.server_error == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY);
}

TEST_CASE("garbage fails the handshake, and a forged record the session") {
  TlsServer server;
  const ClientSide side;
  SUBCASE("plain text instead of TLS") {
    TlsPair pair(server, side);
    pair.client.advance();
    pair.client.incoming().append(octets("HTTP/1.1 400 Bad Request\r\n\r\n"));
    pair.client.advance();
    CHECK(pair.client.state() == State::failed);
    CHECK(pair.client.failure().kind == TlsSession::FailureKind::other);
  }
  SUBCASE("one bit of a record") {
    TlsPair pair(server, side);
    REQUIRE(pair.run() == State::established);
    pair.server_writes(octets("answer"));
    pair.to_client().mutable_bytes().back() ^= 1;
    pair.deliver();
    CHECK(pair.client.state() == State::failed);
    CHECK(received(pair).empty());
    CHECK_FALSE(pair.client.outgoing().empty());  // the alert
  }
  SUBCASE("nothing more is read after a failure") {
    TlsPair pair(server, side);
    REQUIRE(pair.run() == State::established);
    pair.server_writes(octets("first"));
    pair.to_client().mutable_bytes().back() ^= 1;
    pair.server_writes(octets("second"));
    pair.deliver();
    CHECK(received(pair).empty());
  }
}

}  // namespace
}  // namespace dotrelay::test
