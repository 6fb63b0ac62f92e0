// Why a TLS session failed, in words for the operator. The library says most of it in one number, where several causes
// share one.
#pragma once

#include "base/bytes.hpp"

#include <cstdint>
#include <mbedtls/ssl.h>
#include <string>
#include <vector>

namespace dotrelay {

/// The certificates in the Certificate message that the library has read last (RFC 8446 4.4.2, RFC 5246 7.4.2), each in
/// DER. Valid until the library reads on. What is malformed ends the list; none when it was another message.
std::vector<Bytes> certificates_of_message(const mbedtls_ssl_context& ssl);

/// Why the library could not read the server's certificates: `error` came from its step for the Certificate message.
/// Empty when the failure has nothing to do with them.
std::string certificate_message_words(const mbedtls_ssl_context& ssl, int error);

/// The fatal alert that the peer has sent, when `error` says that there is one; else empty: "the server refuses:
/// certificate_required (it asks for a client certificate)".
std::string alert_words(const mbedtls_ssl_context& ssl, int error);

/// What the peer did after the handshake that TLS 1.3 allows and the library cannot; empty when it is not that.
std::string unsupported_words(const mbedtls_ssl_context& ssl);
/// Whether it was a NewSessionTicket of more than 16 KB.
bool has_large_ticket(const mbedtls_ssl_context& ssl);

/// The library's own words for an error.
std::string tls_error_text(int error);

}  // namespace dotrelay
