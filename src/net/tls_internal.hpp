// What the TLS files of this folder share with each other: the library's structures. Nobody else includes it.
#pragma once

#include "net/tls_client_context.hpp"
#include "net/tls_session.hpp"
#include "net/tls_ticket.hpp"

#include <array>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>
#include <optional>

namespace dotrelay {

using Sha256 = std::array<std::uint8_t, 32>;
Sha256 sha256(Bytes octets);

struct CaBundle::State {
  mbedtls_x509_crt chain;
  Sha256 digest{};  ///< of the file's content
};

struct TlsClientContext::State {
  TlsClientSettings settings;
  Sha256 fingerprint{};                  ///< see TlsClientContext::fingerprint()
  std::vector<std::uint8_t> ip_address;  ///< of server_name, when it is an IP literal
  mbedtls_ssl_config config;
  mbedtls_x509_crt nobody;  ///< an empty chain of authorities
};

struct TlsTicket::State {
  mbedtls_ssl_session session;
  Sha256 fingerprint{};  ///< of the context that checked the server
  std::int64_t usable_until = 0;
};

/// Judges one chain of certificates while the library verifies it: mbedtls_ssl_set_verify() calls judge() for each
/// certificate, from the top of the chain down to the server's own.
class CertificateJudge {
 public:
  explicit CertificateJudge(const TlsClientContext::State& context) : context_(context) {}

  static int judge(void* self, mbedtls_x509_crt* certificate, int depth, std::uint32_t* flags);

  /// What is wrong with the chain in words; empty when nothing was found.
  [[nodiscard]] std::string findings() const;

  /// The seconds since 1970 at which the first certificate of the chain expires.
  [[nodiscard]] std::int64_t expiry() const { return expiry_; }

 private:
  void see(const mbedtls_x509_crt& certificate, bool is_server, std::uint32_t& flags);
  [[nodiscard]] std::uint32_t verdict(std::uint32_t server_flags) const;

  const TlsClientContext::State& context_;
  std::uint32_t findings_ = 0;
  std::uint32_t above_ = 0;  ///< what is wrong with the certificates above the server's
  bool server_pinned_ = false;
  bool chain_pinned_ = false;
  std::int64_t expiry_ = INT64_MAX;
};

std::string tls_error_text(int error);

}  // namespace dotrelay
