// See tls_client_context.hpp.
#include "net/tls_client_context.hpp"

#include "base/address.hpp"
#include "base/read_file.hpp"
#include "net/tls_internal.hpp"

#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <mbedtls/sha256.h>
#include <psa/crypto.h>
#include <sys/stat.h>
#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace dotrelay {
namespace {

/// Larger than any bundle a system ships (Debian: 220 KB), small enough for any gateway.
constexpr std::size_t kMaxBundleBytes = 4 * 1024 * 1024;

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

Bytes octets_of(const std::string& text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

/// Each part is preceded by its size, so that no two settings read alike.
Sha256 fingerprint_of(const TlsClientSettings& settings, const Sha256* authorities) {
  std::vector<std::uint8_t> text;
  const auto add = [&text](Bytes part) {
    const auto size = static_cast<std::uint32_t>(part.size());
    for (const int shift : {24, 16, 8, 0}) text.push_back(static_cast<std::uint8_t>(size >> shift));
    text.insert(text.end(), part.begin(), part.end());
  };
  add(octets_of(settings.server_name));
  add(authorities != nullptr ? Bytes(*authorities) : Bytes());
  for (const PublicKeyPin& pin : settings.pins) add(pin);
  return sha256(text);
}

}  // namespace

Sha256 sha256(Bytes octets) {
  Sha256 digest;
  if (mbedtls_sha256(octets.data(), octets.size(), digest.data(), 0) != 0) std::abort();  // fails in hardware only
  return digest;
}

bool start_tls_library() { return psa_crypto_init() == PSA_SUCCESS; }

CaBundle::CaBundle() : state_(std::make_unique<State>()) { mbedtls_x509_crt_init(&state_->chain); }
CaBundle::~CaBundle() { mbedtls_x509_crt_free(&state_->chain); }

Result<std::unique_ptr<CaBundle>> CaBundle::load(const std::string& path) {
  const Result<std::string> content = read_file(path, kMaxBundleBytes);
  if (!content) return Error{"cannot read " + path + ": " + content.error().message};
  std::unique_ptr<CaBundle> bundle(new CaBundle);
  // The library wants the terminating NUL counted. A positive result counts certificates it could not read.
  mbedtls_x509_crt_parse(&bundle->state_->chain, reinterpret_cast<const unsigned char*>(content->c_str()),
                         content->size() + 1);
  bundle->state_->digest = sha256(octets_of(*content));
  if (bundle->state_->chain.raw.p == nullptr) return Error{path + " holds no certificate in PEM format"};
  return bundle;
}

std::string find_system_ca_bundle() {
  for (const char* path : {"/etc/ssl/certs/ca-certificates.crt",  // Debian, Alpine, Arch, OpenWrt
                           "/etc/pki/tls/certs/ca-bundle.crt",    // Fedora, Red Hat
                           "/etc/ssl/ca-bundle.pem",              // openSUSE
                           "/etc/ssl/cert.pem"}) {                // Alpine without ca-certificates
    if (access(path, R_OK) == 0) return path;
  }
  return {};
}

TlsClientContext::TlsClientContext(TlsClientSettings settings) : state_(std::make_unique<State>()) {
  state_->settings = std::move(settings);
  if (const Result<IpAddress> address = parse_ip_address(state_->settings.server_name)) {
    const Bytes octets = address->bytes();
    state_->ip_address.assign(octets.begin(), octets.end());
  }
  const CaBundle* const authorities = state_->settings.authorities;
  state_->fingerprint =
      fingerprint_of(state_->settings, authorities != nullptr ? &authorities->state_->digest : nullptr);
  mbedtls_x509_crt_init(&state_->nobody);
  mbedtls_ssl_config& config = state_->config;
  mbedtls_ssl_config_init(&config);
  mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
  mbedtls_ssl_conf_min_tls_version(&config, MBEDTLS_SSL_VERSION_TLS1_2);
  mbedtls_ssl_conf_max_tls_version(&config, MBEDTLS_SSL_VERSION_TLS1_3);
  mbedtls_ssl_conf_rng(&config, psa_random, nullptr);
  mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_REQUIRED);
  mbedtls_ssl_conf_ca_chain(&config, authorities != nullptr ? &authorities->state_->chain : &state_->nobody, nullptr);
  mbedtls_ssl_conf_ciphersuites(&config, has_aes_instructions() ? kSuitesWithAes : kSuitesWithoutAes);
  mbedtls_ssl_conf_groups(&config, kGroups);
  mbedtls_ssl_conf_alpn_protocols(&config, kAlpn);
  // Pure PSK is offered by default even where it is not compiled in; it would also give up forward secrecy.
  mbedtls_ssl_conf_tls13_key_exchange_modes(
      &config, MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL | MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_EPHEMERAL);
  mbedtls_ssl_conf_session_tickets(&config, MBEDTLS_SSL_SESSION_TICKETS_ENABLED);
  mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(&config,
                                                           MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
}

const Sha256& TlsClientContext::fingerprint() const { return state_->fingerprint; }

TlsClientContext::~TlsClientContext() {
  mbedtls_ssl_config_free(&state_->config);
  mbedtls_x509_crt_free(&state_->nobody);
}

}  // namespace dotrelay
