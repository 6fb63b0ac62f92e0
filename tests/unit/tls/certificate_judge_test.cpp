// Whom the client believes: names, dates, authorities and pins, and the words that tell the operator what is wrong.
#include "hello_extension.hpp"
#include "pin_of.hpp"
#include "tls/certificate.hpp"
#include "tls/tls_internal.hpp"
#include "tls_pair.hpp"

#include <cstring>
#include <doctest/doctest.h>
#include <fstream>
#include <iterator>
#include <mbedtls/pem.h>
#include <mbedtls/ssl.h>

namespace dotrelay::test {
namespace {

using State = TlsSession::State;

/// "ok", or the words of the authentication failure; both versions must agree.
std::string verdict(const std::string& certificate, const ClientSide& side, const std::string& key = {}) {
  std::string words;
  for (const bool tls_13 : {true, false}) {
    ServerSide server({.certificate = certificate, .tls_13 = tls_13, .key = key});
    TlsPair pair(server, side);
    const State state = pair.run();
    std::string now = "ok";
    if (state != State::established) {
      REQUIRE(state == State::failed);
      CHECK(pair.client.failure().kind == TlsSession::FailureKind::authentication);
      now = pair.client.failure().text;
      // The alert ends the server's session in any case: its handshake must not have been over before.
      CHECK(mbedtls_ssl_is_handshake_over(&library_context(pair.server)) == 0);
    }
    if (!words.empty()) CHECK(now == words);
    words = now;
  }
  return words;
}

/// Of the first certificate in a file.
std::string unreadable_words_of(const std::string& file) {
  std::ifstream opened(Certificates::get().path(file));
  const std::string text(std::istreambuf_iterator<char>(opened), {});
  mbedtls_pem_context pem;
  mbedtls_pem_init(&pem);
  std::size_t used = 0;
  REQUIRE(mbedtls_pem_read_buffer(&pem, "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----",
                                  reinterpret_cast<const unsigned char*>(text.c_str()), nullptr, 0, &used) == 0);
  std::size_t size = 0;
  const unsigned char* const der = mbedtls_pem_get_buffer(&pem, &size);
  mbedtls_x509_crt certificate;
  mbedtls_x509_crt_init(&certificate);
  const int error = append_certificate(certificate, {der, size});
  CHECK(error != 0);
  std::string words = unreadable_words({der, size}, error);
  mbedtls_x509_crt_free(&certificate);
  mbedtls_pem_free(&pem);
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
  CHECK(verdict("weakly-signed", ClientSide()) == "a signature of the certificates is too weak (SHA-1)");
}

TEST_CASE("wildcards cover one label") {
  CHECK(verdict("wildcard", ClientSide("a.wild.test")) == "ok");
  CHECK(verdict("wildcard", ClientSide("a.b.wild.test")) != "ok");
  CHECK(verdict("wildcard", ClientSide("wild.test")) != "ok");
}

TEST_CASE("an IP literal is checked against the IP SANs and never sent as SNI") {
  for (const char* address : {"127.0.0.1", "::1"}) {
    ServerSide server({.certificate = "ip-san"});
    const ClientSide side(address);
    TlsPair pair(server, side);
    pair.client.advance();
    CHECK(hello_extension(pair.client.outgoing().bytes(), kAlpn));  // it can be read
    CHECK_FALSE(hello_extension(pair.client.outgoing().bytes(), kServerName));
    CHECK(pair.run() == State::established);
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

TEST_CASE("why a certificate cannot be read") {
  CHECK(unreadable_words_of("ed-leaf.matrix-pem") == "its key is of type Ed25519, which is not supported");
  CHECK(unreadable_words_of("ed-signed-leaf.matrix-pem") == "it is signed with Ed25519, which is not supported");
}

TEST_CASE("of a bundle what cannot be read is named, and the rest is used") {
  const auto file = [](const std::string& name, std::initializer_list<const char*> parts) {
    const std::string path = Certificates::get().path(name);
    std::ofstream out(path);
    for (const char* part : parts) {
      if (std::strchr(part, '\n') != nullptr) {
        out << part;
      } else {
        out << std::ifstream(Certificates::get().path(part)).rdbuf();
      }
    }
    return path;
  };
  constexpr const char* kDamaged = "-----BEGIN CERTIFICATE-----\nMIIB!\n-----END CERTIFICATE-----\n";
  const std::string mixed = file("mixed.pem", {"test-ca.pem", "ed-root.matrix-pem", kDamaged, "root.matrix-pem"});
  const auto bundle = CaBundle::load(mixed);
  REQUIRE(bundle);
  REQUIRE((*bundle)->left_out().size() == 2);
  CHECK((*bundle)->left_out()[0] ==
        mixed + ": certificate 2 (ed-root) is left out: it is signed with Ed25519, which is not supported");
  CHECK((*bundle)->left_out()[1] == mixed + ": certificate 3 is left out: its PEM block is damaged");
  CHECK(verdict("good", ClientSide("upstream.test", "mixed.pem")) == "ok");

  const std::string none = file("none.pem", {"ed-root.matrix-pem", kDamaged});
  const auto unusable = CaBundle::load(none);
  REQUIRE_FALSE(unusable);
  CHECK(unusable.error().message ==
        none +
            " holds no certificate that can be used: the first of 2 (ed-root) is left out: it is signed with "
            "Ed25519, which is not supported");
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
