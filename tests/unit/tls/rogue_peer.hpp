// A peer that breaks the protocol, or does what TlsSession never does: through the library's own structures.
#pragma once

#include "tls/tls_internal.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <doctest/doctest.h>

// Of the library's own headers: how a peer says what its functions would not.
extern "C" int mbedtls_ssl_write_record(mbedtls_ssl_context* ssl, int force_flush);

namespace dotrelay::test {

/// A record without content.
inline void send_empty_record(TlsSession& peer) { REQUIRE(mbedtls_ssl_write(&library_context(peer), nullptr, 0) == 0); }

/// Octets of handshake messages, in records of up to 4,000.
inline void send_handshake(TlsSession& peer, Bytes octets) {
  mbedtls_ssl_context& ssl = library_context(peer);
  while (!octets.empty()) {
    const Bytes part = octets.first(std::min<std::size_t>(octets.size(), 4000));
    ssl.MBEDTLS_PRIVATE(out_msgtype) = MBEDTLS_SSL_MSG_HANDSHAKE;
    ssl.MBEDTLS_PRIVATE(out_msglen) = part.size();
    std::memcpy(ssl.MBEDTLS_PRIVATE(out_msg), part.data(), part.size());
    REQUIRE(mbedtls_ssl_write_record(&ssl, 1) == 0);
    octets = octets.subspan(part.size());
  }
}

inline void send_fatal_alert(TlsSession& peer, std::uint8_t alert) {
  REQUIRE(mbedtls_ssl_send_alert_message(&library_context(peer), MBEDTLS_SSL_ALERT_LEVEL_FATAL, alert) == 0);
}

}  // namespace dotrelay::test
