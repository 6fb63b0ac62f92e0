// What the TLS files of this folder share with each other: the library's structures. Beside them only their own tests
// include it.
#pragma once

#include "tls/tls_client_context.hpp"
#include "tls/tls_server_context.hpp"
#include "tls/tls_session.hpp"
#include "tls/tls_ticket.hpp"

#include <array>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/x509_crt.h>
#include <optional>

namespace dotrelay {

using Sha256 = std::array<std::uint8_t, 32>;
Sha256 sha256(Bytes octets);

/// The system's randomness, as the library's functions take it.
int tls_random(void*, unsigned char* output, std::size_t size);

/// What both roles offer and accept: versions, cipher suites, groups, and resumption with forward secrecy or none.
/// `role` is MBEDTLS_SSL_IS_CLIENT or MBEDTLS_SSL_IS_SERVER.
void begin_config(mbedtls_ssl_config& config, int role, bool tickets);

/// The library's structure of a session: through it tests make a peer break the protocol.
mbedtls_ssl_context& library_context(TlsSession& session);

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

struct TlsServerContext::State {
  TlsServerSettings settings;
  const char* protocols[2] = {nullptr, nullptr};  ///< settings.protocol, in a list that ends with nullptr
  mbedtls_x509_crt certificates;
  mbedtls_pk_context key;
  mbedtls_ssl_ticket_context ticket_keys;
  mbedtls_ssl_config config;
};

struct TlsTicket::State {
  mbedtls_ssl_session session;
  Sha256 fingerprint{};           ///< of the context that checked the server
  std::int64_t usable_until = 0;  ///< seconds since 1970, from when the server was authenticated
};

}  // namespace dotrelay
