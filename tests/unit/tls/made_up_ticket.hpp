// A ticket for tests of what keeps tickets: it serves as well as a real one until it is used.
#pragma once

#include "tls/tls_internal.hpp"

#include <cstdint>
#include <memory>
#include <utility>

namespace dotrelay::test {

/// Of a TLS 1.2 session with an ID as long as they come. `usable_until`: seconds since 1970.
inline TlsTicket made_up_ticket(std::int64_t usable_until, const TlsClientContext& context) {
  auto state = std::make_unique<TlsTicket::State>();
  mbedtls_ssl_session_init(&state->session);
  state->session.MBEDTLS_PRIVATE(tls_version) = MBEDTLS_SSL_VERSION_TLS1_2;
  state->session.MBEDTLS_PRIVATE(id_len) = 32;
  state->usable_until = usable_until;
  state->fingerprint = context.fingerprint();
  return TlsTicket(std::move(state));
}

}  // namespace dotrelay::test
