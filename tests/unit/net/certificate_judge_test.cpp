// Whom the client believes: names, dates, authorities and pins, and the words that tell the operator what is wrong.
#include "tls_pair.hpp"

namespace dotrelay::test {
namespace {

using State = TlsSession::State;

/// "ok", or the words of the authentication failure; both versions must agree.
std::string verdict(const std::string& certificate, const ClientSide& side, const std::string& key = {}) {
  std::string words;
  for (const bool tls_13 : {true, false}) {
    TlsServer server({.certificate = certificate, .tls_13 = tls_13, .key = key});
    TlsPair pair(server, side);
    const State state = pair.run();
    std::string now = "ok";
    if (state != State::established) {
      REQUIRE(state == State::failed);
      CHECK(pair.client.failure().kind == TlsSession::FailureKind::authentication);
      now = pair.client.failure().text;
      CHECK_FALSE(pair.server_done);
    }
    if (!words.empty()) CHECK(now == words);
    words = now;
  }
  return words;
}

bool begins(const std::string& text, std::string_view start) { return text.starts_with(start); }

TEST_CASE("with an authority: name, dates and issuer must be right") {
  const ClientSide side;
  CHECK(verdict("good", side) == "ok");
  CHECK(verdict("wrong-name", side) == "certificate is not for upstream.test");
  CHECK(verdict("unknown-ca-leaf", side) == "certificate from an unknown CA");
  CHECK(verdict("self-signed", side) == "certificate from an unknown CA");
  CHECK(begins(verdict("expired", side), "certificate expired (this machine's date: "));
  CHECK(begins(verdict("not-yet-valid", side), "certificate not yet valid (this machine's date: "));
  CHECK(verdict("rogue", side) == "certificate from an unknown CA");
}

TEST_CASE("SHA-1: an authority may have signed its own certificate with it, which nobody checks, but no other one") {
  CHECK(verdict("below-old-root", ClientSide("upstream.test", "old-root-ca.pem")) == "ok");
  CHECK(verdict("weakly-signed", ClientSide())
            .ends_with("certificate not acceptable (weak key, signature or wrong key usage)"));
}

TEST_CASE("wildcards cover one label") {
  CHECK(verdict("wildcard", ClientSide("a.wild.test")) == "ok");
  CHECK(verdict("wildcard", ClientSide("a.b.wild.test")) != "ok");
  CHECK(verdict("wildcard", ClientSide("wild.test")) != "ok");
}

TEST_CASE("an IP literal is checked against the IP SANs and never sent as SNI") {
  for (const char* address : {"127.0.0.1", "::1"}) {
    TlsServer server({.certificate = "ip-san"});
    const ClientSide side(address);
    TlsPair pair(server, side);
    CHECK(pair.run() == State::established);
    CHECK(server.asked_name.empty());
  }
  CHECK(verdict("ip-san", ClientSide("127.0.0.2")) == "certificate is not for 127.0.0.2");
  CHECK(verdict("good", ClientSide("127.0.0.1")) == "certificate is not for 127.0.0.1");
}

TEST_CASE("a pin of the server's key alone is proof, whatever else the certificate says") {
  CHECK(verdict("self-signed", ClientSide("upstream.test", "", {pin_of("self-signed.chain")})) == "ok");
  CHECK(verdict("self-signed-wrong-name", ClientSide("upstream.test", "", {pin_of("self-signed-wrong-name.chain")})) ==
        "ok");
  CHECK(verdict("expired", ClientSide("upstream.test", "", {pin_of("expired.chain")})) == "ok");
  CHECK(verdict("good", ClientSide("upstream.test", "", {pin_of("self-signed.chain"), pin_of("good.chain")})) == "ok");
  CHECK(verdict("good", ClientSide("upstream.test", "", {pin_of("self-signed.chain")})) == "no pin matches");
}

TEST_CASE("with an authority and a pin both must hold") {
  CHECK(verdict("good", ClientSide("upstream.test", "test-ca.pem", {pin_of("good.chain")})) == "ok");
  CHECK(verdict("good", ClientSide("upstream.test", "test-ca.pem", {pin_of("rsa.chain")})) == "no pin matches");
  CHECK(verdict("self-signed", ClientSide("upstream.test", "test-ca.pem", {pin_of("self-signed.chain")})) ==
        "certificate from an unknown CA");
  CHECK(verdict("wrong-name", ClientSide("upstream.test", "test-ca.pem", {pin_of("wrong-name.chain")})) ==
        "certificate is not for upstream.test");
}

TEST_CASE("a pinned intermediate vouches for what it signed, and for nothing else") {
  const PublicKeyPin pin = pin_of("intermediate-ca.pem");
  CHECK(verdict("intermediate-leaf", ClientSide("upstream.test", "", {pin})) == "ok");
  CHECK(verdict("intermediate-leaf", ClientSide("upstream.test", "test-ca.pem", {pin})) == "ok");
  CHECK(verdict("intermediate-leaf", ClientSide("other.test", "", {pin})) == "certificate is not for other.test");
  // Certificates are public: anyone can send the genuine intermediate behind a leaf of his own.
  CHECK(verdict("borrowed", ClientSide("upstream.test", "", {pin}), "rogue") == "no pin matches");
}

TEST_CASE("a bundle without certificates is an error that names the file") {
  const auto missing = CaBundle::load("/nonexistent/ca.pem");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().message.find("/nonexistent/ca.pem") != std::string::npos);
  const std::string key = Certificates::get().path("good.key");
  const auto no_certificate = CaBundle::load(key);
  REQUIRE_FALSE(no_certificate);
  CHECK(no_certificate.error().message == key + " holds no certificate in PEM format");
}

}  // namespace
}  // namespace dotrelay::test
