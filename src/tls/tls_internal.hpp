// What the TLS files of this folder share with each other: the library's structures. Nobody else includes it.
#pragma once

#include "tls/tls_client_context.hpp"
#include "tls/tls_session.hpp"
#include "tls/tls_ticket.hpp"

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
  mbedtls_ssl_config config_without_tickets;     ///< the same, for servers whose tickets the library cannot read
  std::vector<const mbedtls_x509_crt*> anchors;  ///< the authorities; none when the pins alone authenticate
};

struct TlsTicket::State {
  mbedtls_ssl_session session;
  Sha256 fingerprint{};           ///< of the context that checked the server
  std::int64_t usable_until = 0;  ///< seconds since 1970, from when the server was authenticated
};

}  // namespace dotrelay
