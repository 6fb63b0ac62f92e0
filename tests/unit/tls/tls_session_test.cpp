// The TLS session as a transport: handshakes of both versions, octets in any portions, resumption, the end.
#include "hello_extension.hpp"
#include "pin_of.hpp"
#include "rogue_peer.hpp"
#include "tls_pair.hpp"

#include <ctime>
#include <doctest/doctest.h>

namespace dotrelay::test {
namespace {

using State = TlsSession::State;

Bytes octets(const std::string& text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

/// What a session has read since the last call.
std::string received(TlsSession& session) {
  const Bytes plaintext = session.plaintext().bytes();
  std::string text(plaintext.begin(), plaintext.end());
  session.plaintext().clear();
  return text;
}

TEST_CASE("a handshake, SNI, ALPN, and octets both ways") {
  for (const bool tls_13 : {true, false}) {
    for (const char* certificate : {"good", "rsa", "intermediate-leaf"}) {
      CAPTURE(tls_13);
      CAPTURE(certificate);
      ServerSide server({.certificate = certificate, .tls_13 = tls_13});
      const ClientSide side;
      TlsPair pair(server, side);
      pair.client.advance();
      CHECK(hello_extension(pair.client.outgoing().bytes(), kServerName) ==
            std::string("\0\x10\0\0\x0d", 5) + "upstream.test");
      CHECK(hello_extension(pair.client.outgoing().bytes(), kAlpn) == std::string("\0\x04\x03", 3) + "dot");
      REQUIRE(pair.run() == State::established);
      CHECK(pair.server.state() == State::established);
      CHECK(pair.client.description().starts_with(tls_13 ? "TLS 1.3, " : "TLS 1.2, "));
      CHECK(pair.server.description() == pair.client.description());
      CHECK_FALSE(pair.client.resumed());
      pair.client.write(octets("question"));
      pair.server.write(octets("answer"));
      pair.run();
      CHECK(received(pair.server) == "question");
      CHECK(received(pair.client) == "answer");
    }
  }
}

TEST_CASE("a server without ALPN is served all the same") {
  ServerSide server({.protocol = {}});
  const ClientSide side;
  TlsPair pair(server, side);
  CHECK(pair.run() == State::established);
}

TEST_CASE("a server that speaks another protocol than dot is refused") {
  ServerSide server({.protocol = "h2"});
  const ClientSide side;
  TlsPair pair(server, side);
  CHECK(pair.run() == State::failed);
  CHECK(pair.client.failure().kind == TlsSession::FailureKind::other);
  CHECK(pair.server.state() == State::failed);
}

TEST_CASE("one octet at a time") {
  for (const bool tls_13 : {true, false}) {
    ServerSide server({.tls_13 = tls_13});
    const ClientSide side;
    TlsPair pair(server, side);
    pair.chunk = 1;
    REQUIRE(pair.run() == State::established);
    pair.server.write(octets("answer"));
    pair.to_client();
    CHECK(received(pair.client) == "answer");
  }
}

TEST_CASE("many records at once, and records as large as they get") {
  for (const bool tls_13 : {true, false}) {
    ServerSide server({.tls_13 = tls_13});
    const ClientSide side;
    TlsPair pair(server, side);
    REQUIRE(pair.run() == State::established);
    std::string expected;
    for (int i = 0; i < 300; ++i) {
      const std::string part(static_cast<std::size_t>(i), static_cast<char>('a' + i % 26));
      pair.server.write(octets(part));
      expected += part;
    }
    const std::string large(100'000, 'x');
    pair.server.write(octets(large));
    expected += large;
    pair.to_client();
    CHECK(received(pair.client) == expected);
    pair.client.write(octets(large));
    pair.run();
    CHECK(received(pair.server) == large);
  }
}

TEST_CASE("tickets resume a session, at both versions") {
  for (const bool tls_13 : {true, false}) {
    CAPTURE(tls_13);
    ServerSide server({.tls_13 = tls_13});
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
    second.server.write(octets("answer"));
    second.to_client();
    CHECK(received(second.client) == "answer");
    // What comes of a resumed session is bound to the same certificate's end.
    for (TlsTicket& ticket : second.client.take_tickets()) {
      CHECK(ticket.usable_at(now));
      CHECK_FALSE(ticket.usable_at(now + 40 * 86400));
    }
  }
}

TEST_CASE("a certificate that is good beyond 2038, on machines too whose time_t is not") {
  ServerSide server({.certificate = "long-lived"});
  const ClientSide side;
  TlsPair pair(server, side);
  REQUIRE(pair.run() == State::established);
  const std::vector<TlsTicket> tickets = pair.client.take_tickets();
  REQUIRE_FALSE(tickets.empty());
  CHECK(tickets[0].usable_at(std::time(nullptr)));
}

TEST_CASE("a check of the server counts for a day, and not after the clock was set back behind it") {
  for (const bool pinned : {false, true}) {
    ServerSide server;
    const ClientSide side("upstream.test", pinned ? "" : "test-ca.pem",
                          pinned ? std::vector{pin_of("good.chain")} : std::vector<PublicKeyPin>{});
    TlsPair pair(server, side);
    REQUIRE(pair.run() == State::established);
    const std::int64_t now = std::time(nullptr);
    const std::vector<TlsTicket> tickets = pair.client.take_tickets();
    REQUIRE_FALSE(tickets.empty());
    CHECK(tickets[0].usable_at(now + TlsTicket::kMaxAgeSeconds - 60));
    CHECK_FALSE(tickets[0].usable_at(now + TlsTicket::kMaxAgeSeconds + 60));
    CHECK_FALSE(tickets[0].usable_at(now - 60));
  }
}

TEST_CASE("a TLS 1.2 session that is resumed without a new ticket has none to give") {
  ServerSide server({.tls_13 = false});
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
  ServerSide server;
  const ClientSide side;
  TlsPair pair(server, side);
  pair.chunk = 1;
  REQUIRE(pair.run() == State::established);
  CHECK_FALSE(pair.client.take_tickets().empty());
}

TEST_CASE("a server without tickets gives none") {
  ServerSide server({.tickets = false});
  const ClientSide side;
  TlsPair pair(server, side);
  REQUIRE(pair.run() == State::established);
  CHECK(pair.client.take_tickets().empty());
}

TEST_CASE("a ticket that the server has forgotten means a full handshake, and the certificate is looked at") {
  for (const bool tls_13 : {true, false}) {
    ServerSide server({.tls_13 = tls_13});
    const ClientSide side;
    TlsPair first(server, side);
    REQUIRE(first.run() == State::established);
    std::vector<TlsTicket> tickets = first.client.take_tickets();
    REQUIRE_FALSE(tickets.empty());
    SUBCASE("the same certificate") {
      ServerSide restarted({.tls_13 = tls_13});
      TlsPair second(restarted, side, std::move(tickets[0]));
      REQUIRE(second.run() == State::established);
      CHECK_FALSE(second.client.resumed());
    }
    SUBCASE("another's certificate") {
      ServerSide impostor({.certificate = "unknown-ca-leaf", .tls_13 = tls_13});
      TlsPair second(impostor, side, std::move(tickets[0]));
      CHECK(second.run() == State::failed);
      CHECK(second.client.failure().kind == TlsSession::FailureKind::authentication);
    }
  }
}

/// A NewSessionTicket of TLS 1.3 (RFC 8446 4.6.1).
std::vector<std::uint8_t> ticket_message(std::uint32_t lifetime, std::size_t nonce, std::size_t ticket) {
  std::vector<std::uint8_t> message(4 + 4 + 4 + 1 + nonce + 2 + ticket + 2);
  ByteWriter writer(message);
  const auto body = static_cast<std::uint32_t>(message.size() - 4);
  writer.u32(MBEDTLS_SSL_HS_NEW_SESSION_TICKET << 24 | body);
  writer.u32(lifetime);
  writer.u32(7);
  writer.u8(static_cast<std::uint8_t>(nonce));
  writer.zeros(nonce);
  writer.u16(static_cast<std::uint16_t>(ticket));
  writer.zeros(ticket + 2);
  return message;
}

TEST_CASE("records without content are passed over, but not without end") {
  for (const bool tls_13 : {true, false}) {
    ServerSide server({.tls_13 = tls_13});
    const ClientSide side;
    TlsPair pair(server, side);
    REQUIRE(pair.run() == State::established);
    for (int i = 0; i < 100; ++i) send_empty_record(pair.server);
    pair.server.write(octets("answer"));
    for (int i = 0; i < 3; ++i) send_empty_record(pair.server);
    pair.to_client();
    CHECK(pair.client.state() == State::established);
    CHECK(received(pair.client) == "answer");
    for (int i = 0; i < 3000; ++i) send_empty_record(pair.server);
    pair.to_client();
    CHECK(pair.client.state() == State::failed);
    CHECK(pair.client.failure().text == "TLS failed: too many empty records");
  }
}

TEST_CASE("a ticket that the library could not read is ignored, and those before and after it are kept") {
  for (const auto& [lifetime, nonce] : {std::pair{604'801U, 8U}, std::pair{3600U, 255U}}) {
    CAPTURE(lifetime);
    ServerSide server;
    const ClientSide side;
    TlsPair pair(server, side);
    REQUIRE(pair.run() == State::established);
    CHECK_FALSE(pair.client.take_tickets().empty());
    send_handshake(pair.server, ticket_message(lifetime, nonce, 100));
    pair.server.write(octets("answer"));
    pair.to_client();
    CHECK(pair.client.state() == State::established);
    CHECK(received(pair.client) == "answer");
    CHECK(pair.client.take_tickets().empty());
    send_handshake(pair.server, ticket_message(604'800, 32, 100));
    pair.to_client();
    CHECK(pair.client.state() == State::established);
    CHECK(pair.client.take_tickets().size() == 1);
    pair.client.write(octets("question"));
    pair.run();
    CHECK(received(pair.server) == "question");
  }
}

TEST_CASE("what TLS 1.3 allows and the library cannot: the end of the session, named, and no fault of the server") {
  ServerSide server;
  const ClientSide side;
  TlsPair pair(server, side);
  REQUIRE(pair.run() == State::established);
  SUBCASE("new keys") {
    send_handshake(pair.server, std::vector<std::uint8_t>{24, 0, 0, 1, 0});
    pair.to_client();
    CHECK(pair.client.failure().text == "the server renews its keys (KeyUpdate), which is not supported");
    CHECK_FALSE(pair.client.failed_by_ticket());
  }
  SUBCASE("a large ticket, for which the next session does not ask") {
    send_handshake(pair.server, ticket_message(3600, 8, 40'000));
    pair.to_client();
    CHECK(pair.client.failure().text == "the server sends a ticket of more than 16 KB");
    CHECK(pair.client.failed_by_ticket());
    TlsPair without(server, side, std::nullopt, false);
    REQUIRE(without.run() == State::established);
    CHECK(without.client.take_tickets().empty());
  }
  CHECK(pair.client.state() == State::failed);
  CHECK(pair.client.failure().kind == TlsSession::FailureKind::unsupported);
}

TEST_CASE("a fatal alert is named, with what it means where that is known") {
  const std::pair<std::uint8_t, const char*> alerts[] = {
      {116, "the server refuses: certificate_required (it asks for a client certificate)"},
      {80, "the server refuses: internal_error"},
      {250, "the server refuses: TLS alert 250"}};
  for (const auto& [number, words] : alerts) {
    ServerSide server;
    const ClientSide side;
    TlsPair pair(server, side);
    REQUIRE(pair.run() == State::established);
    send_fatal_alert(pair.server, number);
    pair.to_client();
    CHECK(pair.client.state() == State::failed);
    CHECK(pair.client.failure().kind == TlsSession::FailureKind::other);
    CHECK(pair.client.failure().text == words);
  }
}

TEST_CASE("a server that does not have its certificate's key is no server of ours") {
  for (const bool tls_13 : {true, false}) {
    ServerSide server({.certificate = "good", .tls_13 = tls_13, .key = "ip-san"});
    const ClientSide side;
    TlsPair pair(server, side);
    CHECK(pair.run() == State::failed);
    CHECK(pair.client.failure().kind == TlsSession::FailureKind::authentication);
    CHECK(pair.client.failure().text == "the server does not prove that it has its certificate's key");
  }
}

TEST_CASE("a server hears why a client leaves, and a rogue client ends its own session only") {
  ServerSide server;
  SUBCASE("the client does not trust it") {
    for (const bool tls_13 : {true, false}) {
      const ServerSide unknown({.certificate = "unknown-ca-leaf", .tls_13 = tls_13});
      const ClientSide side;
      TlsPair pair(unknown, side);
      CHECK(pair.run() == State::failed);
      CHECK(pair.server.state() == State::failed);
      CHECK(pair.server.failure().kind == TlsSession::FailureKind::other);
      // In TLS 1.3 the library sends the alert before it encrypts, when its server already takes encrypted ones only.
      if (!tls_13) CHECK(pair.server.failure().text == "the client refuses: unknown_ca");
    }
  }
  SUBCASE("new keys") {
    const ClientSide side;
    TlsPair pair(server, side);
    REQUIRE(pair.run() == State::established);
    send_handshake(pair.client, std::vector<std::uint8_t>{24, 0, 0, 1, 0});
    pair.to_server();
    CHECK(pair.server.state() == State::failed);
    CHECK(pair.server.failure().kind == TlsSession::FailureKind::unsupported);
    CHECK(pair.server.failure().text == "the client renews its keys (KeyUpdate), which is not supported");
    CHECK_FALSE(pair.server.failed_by_ticket());
  }
  SUBCASE("plain text instead of TLS") {
    TlsSession session(server.context());
    session.incoming().append(octets("\x12\x34\x01 is no hello"));
    session.advance();
    CHECK(session.state() == State::failed);
    CHECK(session.failure().kind == TlsSession::FailureKind::other);
    CHECK_FALSE(session.failure().text.empty());
  }
}

TEST_CASE("close_notify ends a session, and what came before it is read") {
  ServerSide server;
  const ClientSide side;
  TlsPair pair(server, side);
  REQUIRE(pair.run() == State::established);
  pair.server.write(octets("last words"));
  pair.server.close();
  pair.to_client();
  CHECK(pair.client.state() == State::closed);
  CHECK(received(pair.client) == "last words");
}

TEST_CASE("the client says goodbye") {
  ServerSide server;
  const ClientSide side;
  TlsPair pair(server, side);
  REQUIRE(pair.run() == State::established);
  pair.client.close();
  pair.run();
  CHECK(pair.server.state() == State::closed);
}

TEST_CASE("garbage fails the handshake, and a forged record the session") {
  ServerSide server;
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
    pair.server.write(octets("answer"));
    pair.server.outgoing().mutable_bytes().back() ^= 1;
    pair.to_client();
    CHECK(pair.client.state() == State::failed);
    CHECK(received(pair.client).empty());
    CHECK_FALSE(pair.client.outgoing().empty());  // the alert
  }
  SUBCASE("nothing more is read after a failure") {
    TlsPair pair(server, side);
    REQUIRE(pair.run() == State::established);
    pair.server.write(octets("first"));
    pair.server.outgoing().mutable_bytes().back() ^= 1;
    pair.server.write(octets("second"));
    pair.to_client();
    CHECK(received(pair.client).empty());
  }
}

}  // namespace
}  // namespace dotrelay::test
