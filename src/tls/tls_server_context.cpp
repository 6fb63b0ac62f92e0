// See tls_server_context.hpp.
#include "tls/tls_server_context.hpp"

#include "base/read_file.hpp"
#include "tls/tls_failure.hpp"
#include "tls/tls_internal.hpp"

#include <utility>

namespace dotrelay {
namespace {

constexpr std::size_t kMaxFileBytes = 64 * 1024;
constexpr std::uint32_t kTicketLifetimeSeconds = 3600;

/// The library takes PEM with the NUL behind it, which it counts.
const unsigned char* pem_octets(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.c_str());
}
std::size_t pem_size(const std::string& text) { return text.size() + 1; }

}  // namespace

TlsServerContext::TlsServerContext(TlsServerSettings settings) : state_(std::make_unique<State>()) {
  state_->settings = std::move(settings);
  mbedtls_x509_crt_init(&state_->certificates);
  mbedtls_pk_init(&state_->key);
  mbedtls_ssl_ticket_init(&state_->ticket_keys);
  begin_config(state_->config, MBEDTLS_SSL_IS_SERVER, state_->settings.tickets);
}

TlsServerContext::~TlsServerContext() {
  mbedtls_ssl_config_free(&state_->config);
  mbedtls_ssl_ticket_free(&state_->ticket_keys);
  mbedtls_pk_free(&state_->key);
  mbedtls_x509_crt_free(&state_->certificates);
}

Result<std::unique_ptr<TlsServerContext>> TlsServerContext::load(TlsServerSettings settings) {
  std::unique_ptr<TlsServerContext> context(new TlsServerContext(std::move(settings)));
  State& state = *context->state_;
  const TlsServerSettings& its = state.settings;
  const auto unreadable = [](const std::string& path, const std::string& reason) {
    return Error{"cannot read " + path + ": " + reason};
  };

  const Result<std::string> certificates = read_file(its.certificate_file, kMaxFileBytes);
  if (!certificates) return unreadable(its.certificate_file, certificates.error().message);
  if (mbedtls_x509_crt_parse(&state.certificates, pem_octets(*certificates), pem_size(*certificates)) != 0)
    return unreadable(its.certificate_file, "not all of it is certificates in PEM format that can be used");

  const Result<std::string> key = read_file(its.key_file, kMaxFileBytes);
  if (!key) return unreadable(its.key_file, key.error().message);
  if (const int error =
          mbedtls_pk_parse_key(&state.key, pem_octets(*key), pem_size(*key), nullptr, 0, tls_random, nullptr))
    return unreadable(its.key_file, tls_error_text(error));

  int error = mbedtls_ssl_conf_own_cert(&state.config, &state.certificates, &state.key);
  if (!its.tls_13) mbedtls_ssl_conf_max_tls_version(&state.config, MBEDTLS_SSL_VERSION_TLS1_2);
  if (!its.protocol.empty()) {
    state.protocols[0] = its.protocol.c_str();
    if (error == 0) error = mbedtls_ssl_conf_alpn_protocols(&state.config, state.protocols);
  }
  if (its.tickets) {
    if (error == 0) {
      error = mbedtls_ssl_ticket_setup(&state.ticket_keys, tls_random, nullptr, MBEDTLS_CIPHER_AES_256_GCM,
                                       kTicketLifetimeSeconds);
    }
    mbedtls_ssl_conf_session_tickets_cb(&state.config, mbedtls_ssl_ticket_write, mbedtls_ssl_ticket_parse,
                                        &state.ticket_keys);
  } else {
    mbedtls_ssl_conf_new_session_tickets(&state.config, 0);
  }
  if (error != 0) return Error{"TLS failed: " + tls_error_text(error)};
  return context;
}

}  // namespace dotrelay
