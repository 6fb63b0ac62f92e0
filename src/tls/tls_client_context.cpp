// See tls_client_context.hpp.
#include "tls/tls_client_context.hpp"

#include "base/address.hpp"
#include "tls/certificate.hpp"
#include "tls/tls_internal.hpp"

#include <cstdlib>
#include <mbedtls/sha256.h>
#include <psa/crypto.h>
#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace dotrelay {
namespace {

bool has_aes_instructions() {
#if defined(__x86_64__) || defined(__i386__)
  return __builtin_cpu_supports("aes") != 0;
#elif defined(__aarch64__)
  return (getauxval(AT_HWCAP) & HWCAP_AES) != 0;
#else
  return false;
#endif
}

// ECDHE and AEAD only; the same suites in two orders. A record costs half as much with AES instructions used, and
// without them ChaCha20 is several times faster than AES in software.
constexpr int kSuitesWithAes[] = {MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
                                  MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
                                  MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
                                  MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
                                  MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
                                  MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
                                  MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
                                  MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
                                  MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
                                  0};
constexpr int kSuitesWithoutAes[] = {MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
                                     MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
                                     MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
                                     MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
                                     MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
                                     MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
                                     MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
                                     MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
                                     MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
                                     0};

// The first is the one a key share is sent for: X25519, which every public resolver takes.
constexpr std::uint16_t kGroups[] = {MBEDTLS_SSL_IANA_TLS_GROUP_X25519, MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
                                     MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, MBEDTLS_SSL_IANA_TLS_GROUP_NONE};

const char* kAlpn[] = {"dot", nullptr};  // RFC 7858, IANA "TLS ALPN Protocol IDs"

int psa_random(void*, unsigned char* output, std::size_t size) {
  return psa_generate_random(output, size) == PSA_SUCCESS ? 0 : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

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
  mbedtls_ssl_config_init(&config);
  mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
  mbedtls_ssl_conf_min_tls_version(&config, MBEDTLS_SSL_VERSION_TLS1_2);
  mbedtls_ssl_conf_max_tls_version(&config, MBEDTLS_SSL_VERSION_TLS1_3);
  mbedtls_ssl_conf_rng(&config, psa_random, nullptr);
  // TlsSession stops after the server's certificates and lets CertificateJudge decide before the handshake goes on.
  mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_NONE);
  mbedtls_ssl_conf_ciphersuites(&config, has_aes_instructions() ? kSuitesWithAes : kSuitesWithoutAes);
  mbedtls_ssl_conf_groups(&config, kGroups);
  mbedtls_ssl_conf_alpn_protocols(&config, kAlpn);
  // Pure PSK is offered by default even where it is not compiled in; it would also give up forward secrecy.
  mbedtls_ssl_conf_tls13_key_exchange_modes(&config, tickets ? MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL |
                                                                   MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_EPHEMERAL
                                                             : MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL);
  mbedtls_ssl_conf_session_tickets(
      &config, tickets ? MBEDTLS_SSL_SESSION_TICKETS_ENABLED : MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
  mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(&config,
                                                           MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
}

}  // namespace

Sha256 sha256(Bytes octets) {
  Sha256 digest;
  if (mbedtls_sha256(octets.data(), octets.size(), digest.data(), 0) != 0) std::abort();  // fails in hardware only
  return digest;
}

bool start_tls_library() { return psa_crypto_init() == PSA_SUCCESS; }

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
