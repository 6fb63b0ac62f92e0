// The judge over the chains of tests/support/certificate_matrix.py, each of which OpenSSL has also judged; and what the
// judge does with chains that are made to cost much.
#include "certificates.hpp"
#include "tls/certificate_judge.hpp"
#include "tls/der.hpp"
#include "tls/tls_library.hpp"

#include <doctest/doctest.h>
#include <fstream>
#include <map>
#include <mbedtls/pem.h>
#include <sstream>

namespace dotrelay::test {
namespace {

using Octets = std::vector<std::uint8_t>;

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  REQUIRE(file);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The certificates of a PEM file in DER.
std::vector<Octets> certificates_in(const std::string& path) {
  constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
  const std::string text = read_text(path);
  std::vector<Octets> certificates;
  for (std::size_t at = text.find(kBegin); at != std::string::npos; at = text.find(kBegin, at + 1)) {
    mbedtls_pem_context pem;
    mbedtls_pem_init(&pem);
    std::size_t used = 0;
    REQUIRE(mbedtls_pem_read_buffer(&pem, kBegin.data(), "-----END CERTIFICATE-----",
                                    reinterpret_cast<const unsigned char*>(text.c_str() + at), nullptr, 0, &used) == 0);
    std::size_t size = 0;
    const unsigned char* const octets = mbedtls_pem_get_buffer(&pem, &size);
    certificates.emplace_back(octets, octets + size);
    mbedtls_pem_free(&pem);
  }
  return certificates;
}

/// A chain as the handshake hands it to the judge.
struct SentChain {
  explicit SentChain(std::vector<Octets> certificates) : octets(std::move(certificates)) {
    mbedtls_x509_crt_init(&chain);
    for (const Octets& certificate : octets) {
      message.emplace_back(certificate);
      append_certificate(chain, certificate);
    }
  }
  SentChain(const SentChain&) = delete;
  SentChain& operator=(const SentChain&) = delete;
  ~SentChain() { mbedtls_x509_crt_free(&chain); }

  std::vector<Octets> octets;
  std::vector<Bytes> message;
  Certificate chain;
};

std::string verdict(const std::string& chain_file, const std::string& ca_file, const std::string& host) {
  auto authorities = CaBundle::load(ca_file);
  REQUIRE(authorities);
  const TlsClientContext context({.server_name = host, .authorities = authorities->get(), .pins = {}});
  const SentChain sent(certificates_in(chain_file));
  CertificateJudge judge(context.state());
  if (judge.accept(sent.chain, sent.message)) {
    CHECK(judge.words().empty());
    CHECK(judge.accepted());
    return "good";
  }
  CHECK_FALSE(judge.words().empty());
  CHECK_FALSE(judge.accepted());
  return judge.words();
}

struct Case {
  std::string chain, ca, host, verdict;
};

const std::map<std::string, Case>& cases() {
  static const std::map<std::string, Case> all = [] {
    REQUIRE(start_tls_library());
    std::map<std::string, Case> read;
    std::istringstream lines(read_text(Certificates::get().path("cases.tsv")));
    for (std::string line; std::getline(lines, line);) {
      std::istringstream parts(line);
      std::string name;
      Case one;
      std::getline(parts, name, '\t');
      std::getline(parts, one.chain, '\t');
      std::getline(parts, one.ca, '\t');
      std::getline(parts, one.host, '\t');
      std::getline(parts, one.verdict, '\t');
      read[name] = one;
    }
    return read;
  }();
  return all;
}

std::string verdict_of(const std::string& name) {
  const Case& one = cases().at(name);
  return verdict(one.chain, one.ca, one.host);
}

TEST_CASE("every chain of the matrix is accepted or refused as it must be") {
  CHECK(cases().size() > 80);
  for (const auto& [name, one] : cases()) {
    CAPTURE(name);
    const std::string words = verdict(one.chain, one.ca, one.host);
    CAPTURE(words);
    CHECK((words == "good") == (one.verdict == "good"));
  }
}

TEST_CASE("the words say what is wrong") {
  CHECK(verdict_of("CA for client") == "its CA may not issue for servers (extended key usage)");
  CHECK(verdict_of("root for mail") == "its CA may not issue for servers (extended key usage)");
  CHECK(verdict_of("server for client") == "certificate may not serve (extended key usage)");
  CHECK(verdict_of("server that may not sign") == "certificate may not sign (key usage)");
  CHECK(verdict_of("URI of the name") == "certificate is not for upstream.test");
  CHECK(verdict_of("permitted, another, not critical") == "its CA may not issue for it (name constraints)");
  CHECK(verdict_of("mask with a hole, critical") == "its CA has name constraints that cannot be enforced");
  CHECK(verdict_of("mail that is there, critical") == "its CA has name constraints that cannot be enforced");
  CHECK(verdict_of("unknown critical extension") == "unknown critical extension 1.3.6.1.4.1.55555.1");
  CHECK(verdict_of("unknown critical extension of a CA") == "unknown critical extension 1.3.6.1.4.1.55555.1");
  CHECK(verdict_of("policies asked for") == "unknown critical extension 2.5.29.36");
  CHECK(verdict_of("CA without keyCertSign") == "its issuer is no CA (basic constraints, key usage)");
  CHECK(verdict_of("path length exceeded") == "its CA may not have CAs below it (path length)");
  CHECK(verdict_of("one is missing") == "certificate from an unknown CA");
  CHECK(verdict_of("expired alone").starts_with("certificate expired (this machine's date: "));
  CHECK(verdict_of("nine intermediates") ==
        "more than " + std::to_string(CertificatePaths::kMaxIntermediates) + " intermediate certificates");
}

TEST_CASE("the alert is the one of RFC 8446 6.2") {
  const auto alert_of = [](const std::string& name) {
    const Case& one = cases().at(name);
    auto authorities = CaBundle::load(one.ca);
    REQUIRE(authorities);
    const TlsClientContext context({.server_name = one.host, .authorities = authorities->get(), .pins = {}});
    const SentChain sent(certificates_in(one.chain));
    CertificateJudge judge(context.state());
    CHECK_FALSE(judge.accept(sent.chain, sent.message));
    return int{judge.alert()};
  };
  CHECK(alert_of("one is missing") == MBEDTLS_SSL_ALERT_MSG_UNKNOWN_CA);
  CHECK(alert_of("expired alone") == MBEDTLS_SSL_ALERT_MSG_CERT_EXPIRED);
  CHECK(alert_of("URI of the name") == MBEDTLS_SSL_ALERT_MSG_BAD_CERT);
  CHECK(alert_of("unknown critical extension") == MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_CERT);
}

TEST_CASE("a pinned key of the server's own is enough, whatever its certificate is for") {
  const SentChain sent(certificates_in(Certificates::get().path("self-signed-client.chain")));
  PublicKeyPin pin = sha256({sent.chain.pk_raw.p, sent.chain.pk_raw.len});
  const TlsClientContext pinned({.server_name = "other.test", .authorities = nullptr, .pins = {pin}});
  CertificateJudge judge(pinned.state());
  CHECK(judge.accept(sent.chain, sent.message));
  pin[0] ^= 1;
  const TlsClientContext another({.server_name = "other.test", .authorities = nullptr, .pins = {pin}});
  CertificateJudge second(another.state());
  CHECK_FALSE(second.accept(sent.chain, sent.message));
  CHECK(second.words() == "no pin matches");
}

TEST_CASE("the server's own certificate is the first of the message, and no other stands for it") {
  const Case& one = cases().at("in order");
  auto authorities = CaBundle::load(one.ca);
  REQUIRE(authorities);
  const TlsClientContext context({.server_name = one.host, .authorities = authorities->get(), .pins = {}});
  const SentChain sent(certificates_in(one.chain));
  CertificateJudge judge(context.state());
  CHECK_FALSE(judge.accept(*sent.chain.next, sent.message));
  CHECK(judge.words() == "certificate cannot be used: it is malformed");
  CHECK_FALSE(judge.accept(sent.chain, {}));
  CHECK(judge.accept(sent.chain, sent.message));
}

TEST_CASE("many certificates of one name cost a bounded number of signatures and comparisons") {
  // Sixteen of a CA with the name of the issuer, none of which leads anywhere: 16! ways.
  const Case& one = cases().at("expired and valid");
  std::vector<Octets> chain = certificates_in(one.chain);
  const Octets loop = certificates_in(cases().at("with root and a stranger between").chain)[1];
  chain = {certificates_in(cases().at("of a stranger").chain)[0]};
  for (int i = 0; i < 40; ++i) chain.push_back(certificates_in(cases().at("of a stranger").chain)[1]);
  auto authorities = CaBundle::load(one.ca);
  REQUIRE(authorities);
  const TlsClientContext context({.server_name = one.host, .authorities = authorities->get(), .pins = {}});
  const SentChain sent(chain);
  CertificatePaths paths(sent.chain, context.state().anchors);
  int found = 0;
  while (paths.next()) ++found;
  CHECK(found == 0);
  CertificateJudge judge(context.state());
  CHECK_FALSE(judge.accept(sent.chain, sent.message));
  // And ways that all lead to the root, with a signature that is not its own.
  const SentChain many({certificates_in(cases().at("reversed").chain)[0], loop, loop, loop, loop, loop, loop});
  CertificateJudge second(context.state());
  CHECK_FALSE(second.accept(many.chain, many.message));
}

}  // namespace
}  // namespace dotrelay::test
