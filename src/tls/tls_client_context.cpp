// See tls_client_context.hpp.
#include "tls/tls_client_context.hpp"

#include "base/address.hpp"
#include "tls/certificate.hpp"
#include "tls/tls_internal.hpp"

namespace dotrelay {
namespace {

const char* kAlpn[] = {"dot", nullptr};  // RFC 7858, IANA "TLS ALPN Protocol IDs"

/// Each part is preceded by its size, so that no two settings read alike.
Sha256 fingerprint_of(const TlsClientSettings& settings, const Sha256* authorities) {
  std::vector<std::uint8_t> text;
  const auto add = [&text](Bytes part) {
    const auto size = static_cast<std::uint32_t>(part.size());
    for (const int shift : {24, 16, 8, 0}) text.push_back(static_cast<std::uint8_t>(size >> shift));
    text.insert(text.end(), part.begin(), part.end());
  };
  add(octets_of_text(settings.server_name));
  add(authorities != nullptr ? Bytes(*authorities) : Bytes());
  for (const PublicKeyPin& pin : settings.pins) add(pin);
  return sha256(text);
}

/// Without tickets the server is not told either that it may send some (RFC 8446 4.2.9).
void set_up(mbedtls_ssl_config& config, bool tickets) {
  begin_config(config, MBEDTLS_SSL_IS_CLIENT, tickets);
  mbedtls_ssl_conf_alpn_protocols(&config, kAlpn);
  mbedtls_ssl_conf_session_tickets(
      &config, tickets ? MBEDTLS_SSL_SESSION_TICKETS_ENABLED : MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
  mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(&config,
                                                           MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
}

}  // namespace

TlsClientContext::TlsClientContext(TlsClientSettings settings) : state_(std::make_unique<State>()) {
  state_->settings = std::move(settings);
  if (const Result<IpAddress> address = parse_ip_address(state_->settings.server_name)) {
    const Bytes octets = address->bytes();
    state_->ip_address.assign(octets.begin(), octets.end());
  }
  const CaBundle* const authorities = state_->settings.authorities;
  state_->fingerprint =
      fingerprint_of(state_->settings, authorities != nullptr ? &authorities->state_->digest : nullptr);
  if (authorities != nullptr) {
    for (const mbedtls_x509_crt* next = &authorities->state_->chain; next != nullptr; next = next->next)
      state_->anchors.push_back(next);
  }
  set_up(state_->config, true);
  set_up(state_->config_without_tickets, false);
}

const Sha256& TlsClientContext::fingerprint() const { return state_->fingerprint; }

TlsClientContext::~TlsClientContext() {
  mbedtls_ssl_config_free(&state_->config);
  mbedtls_ssl_config_free(&state_->config_without_tickets);
}

}  // namespace dotrelay
