// See tls_failure.hpp.
#include "tls/tls_failure.hpp"

#include "tls/certificate.hpp"

#include <array>
#include <mbedtls/error.h>
#include <string_view>

namespace dotrelay {
namespace {

struct AlertName {
  std::uint8_t number;
  std::string_view name;
  std::string_view hint = {};  ///< what it means when a server sends it
};

// RFC 8446 6, RFC 7507, RFC 7301 3.2 and the older ones of RFC 5246 7.2.
constexpr AlertName kAlerts[] = {
    {10, "unexpected_message"},
    {20, "bad_record_mac"},
    {21, "decryption_failed"},
    {22, "record_overflow"},
    {30, "decompression_failure"},
    {40, "handshake_failure", "nothing that it offers is accepted"},
    {41, "no_certificate"},
    {42, "bad_certificate"},
    {43, "unsupported_certificate"},
    {44, "certificate_revoked"},
    {45, "certificate_expired"},
    {46, "certificate_unknown"},
    {47, "illegal_parameter"},
    {48, "unknown_ca"},
    {49, "access_denied"},
    {50, "decode_error"},
    {51, "decrypt_error"},
    {60, "export_restriction"},
    {70, "protocol_version", "it speaks neither TLS 1.2 nor 1.3"},
    {71, "insufficient_security"},
    {80, "internal_error"},
    {86, "inappropriate_fallback"},
    {90, "user_canceled"},
    {100, "no_renegotiation"},
    {109, "missing_extension"},
    {110, "unsupported_extension"},
    {111, "certificate_unobtainable"},
    {112, "unrecognized_name", "it does not know the tls_name"},
    {113, "bad_certificate_status_response"},
    {114, "bad_certificate_hash_value"},
    {115, "unknown_psk_identity"},
    {116, "certificate_required", "it asks for a client certificate"},
    {120, "no_application_protocol", "it does not speak DNS over TLS"},
    {121, "ech_required"},
};

/// Whether the library has a whole Certificate message before it. Of a message in parts it keeps in_msglen short.
bool holds_certificate_message(const mbedtls_ssl_context& ssl) {
  return ssl.MBEDTLS_PRIVATE(in_msg) != nullptr && ssl.MBEDTLS_PRIVATE(in_msgtype) == MBEDTLS_SSL_MSG_HANDSHAKE &&
         ssl.MBEDTLS_PRIVATE(in_hslen) > 4 && ssl.MBEDTLS_PRIVATE(in_msglen) >= ssl.MBEDTLS_PRIVATE(in_hslen) &&
         ssl.MBEDTLS_PRIVATE(in_msg)[0] == MBEDTLS_SSL_HS_CERTIFICATE;
}

std::uint32_t u24(ByteReader& reader) {
  const std::uint32_t high = reader.u8();
  return high << 16 | reader.u16();
}

/// Whether the session is a server's: then its peer is a client.
bool is_server(const mbedtls_ssl_context& ssl) {
  return mbedtls_ssl_conf_get_endpoint(mbedtls_ssl_context_get_config(&ssl)) == MBEDTLS_SSL_IS_SERVER;
}

std::string the_peer(const mbedtls_ssl_context& ssl) { return is_server(ssl) ? "the client" : "the server"; }

}  // namespace

std::vector<Bytes> certificates_of_message(const mbedtls_ssl_context& ssl) {
  const bool is_13 = mbedtls_ssl_get_version_number(&ssl) == MBEDTLS_SSL_VERSION_TLS1_3;
  std::vector<Bytes> certificates;
  const auto* const message = ssl.MBEDTLS_PRIVATE(in_msg);
  const std::size_t size = ssl.MBEDTLS_PRIVATE(in_hslen);
  if (!holds_certificate_message(ssl)) return certificates;
  ByteReader reader(Bytes(message, size), 4);
  if (is_13) reader.take(reader.u8());  // certificate_request_context
  u24(reader);                          // the size of the list, which the library has checked
  while (reader.remaining() > 0) {
    const Bytes certificate = reader.take(u24(reader));
    if (is_13) reader.take(reader.u16());  // extensions
    if (reader.failed()) break;
    certificates.push_back(certificate);
  }
  return certificates;
}

std::string certificate_message_words(const mbedtls_ssl_context& ssl, int error) {
  if (ssl.MBEDTLS_PRIVATE(in_hslen) > MBEDTLS_SSL_IN_CONTENT_LEN) return "its certificates have more than 16 KB";
  if (!holds_certificate_message(ssl)) return {};
  const std::vector<Bytes> certificates = certificates_of_message(ssl);
  if (certificates.empty()) return "the server sends no certificate that can be read";
  for (const Bytes der : certificates) {
    Certificate certificate;
    mbedtls_x509_crt_init(&certificate);
    // As the library does it by itself, where the build leaves it no choice: it says more of critical extensions.
    int reason = mbedtls_x509_crt_parse_der(&certificate, der.data(), der.size());
    mbedtls_x509_crt_free(&certificate);
    if (reason != 0) return "certificate cannot be used: " + unreadable_words(der, reason);
  }
  return "certificate cannot be used: " + tls_error_text(error);
}

std::string alert_words(const mbedtls_ssl_context& ssl, int error) {
  if (error != MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE || ssl.MBEDTLS_PRIVATE(in_msgtype) != MBEDTLS_SSL_MSG_ALERT ||
      ssl.MBEDTLS_PRIVATE(in_msg) == nullptr) {
    return {};
  }
  const std::uint8_t number = ssl.MBEDTLS_PRIVATE(in_msg)[1];
  for (const AlertName& alert : kAlerts) {
    if (alert.number != number) continue;
    std::string text = the_peer(ssl) + " refuses: " + std::string(alert.name);
    if (!alert.hint.empty() && !is_server(ssl)) text.append(" (").append(alert.hint).append(")");
    return text;
  }
  return the_peer(ssl) + " refuses: TLS alert " + std::to_string(number);
}

bool has_large_ticket(const mbedtls_ssl_context& ssl) {
  // The library fails while it collects the parts of the message. Of those after the handshake only tickets are long.
  return !is_server(ssl) && mbedtls_ssl_get_version_number(&ssl) == MBEDTLS_SSL_VERSION_TLS1_3 &&
         ssl.MBEDTLS_PRIVATE(in_msgtype) == MBEDTLS_SSL_MSG_HANDSHAKE &&
         ssl.MBEDTLS_PRIVATE(in_hslen) > MBEDTLS_SSL_IN_CONTENT_LEN;
}

std::string unsupported_words(const mbedtls_ssl_context& ssl) {
  constexpr std::uint8_t kKeyUpdate = 24;  // RFC 8446 4.6.3
  if (has_large_ticket(ssl)) return "the server sends a ticket of more than 16 KB";
  if (mbedtls_ssl_get_version_number(&ssl) != MBEDTLS_SSL_VERSION_TLS1_3 || ssl.MBEDTLS_PRIVATE(in_msg) == nullptr ||
      ssl.MBEDTLS_PRIVATE(in_msgtype) != MBEDTLS_SSL_MSG_HANDSHAKE || ssl.MBEDTLS_PRIVATE(in_hslen) != 5 ||
      ssl.MBEDTLS_PRIVATE(in_msg)[0] != kKeyUpdate) {
    return {};
  }
  return the_peer(ssl) + " renews its keys (KeyUpdate), which is not supported";
}

std::string tls_error_text(int error) {
  char text[160];
  mbedtls_strerror(error, text, sizeof text);
  // "SSL - A fatal alert message was received from our peer": the module's name means nothing to an operator.
  std::string_view words = text;
  if (const std::size_t dash = words.find(" - "); dash != std::string_view::npos) words.remove_prefix(dash + 3);
  return std::string(words);
}

}  // namespace dotrelay
