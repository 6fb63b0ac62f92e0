// What CertificateJudge says: to the operator in words, to the server in an alert. See certificate_judge.hpp.
#include "tls/certificate_judge.hpp"

#include <ctime>
#include <mbedtls/ssl.h>

namespace dotrelay {
namespace {

struct Row {
  Finding finding;
  std::uint8_t alert;
  const char* words;  ///< short: EDE texts and the shared memory have room for 127 octets
};

// In the order of importance: of several findings the first makes the alert.
constexpr Row kRows[] = {
    {Finding::unreadable, MBEDTLS_SSL_ALERT_MSG_BAD_CERT, "certificate cannot be used"},
    {Finding::unknown_ca, MBEDTLS_SSL_ALERT_MSG_UNKNOWN_CA, "certificate from an unknown CA"},
    {Finding::expired, MBEDTLS_SSL_ALERT_MSG_CERT_EXPIRED, "certificate expired"},
    {Finding::not_yet_valid, MBEDTLS_SSL_ALERT_MSG_CERT_EXPIRED, "certificate not yet valid"},
    {Finding::wrong_name, MBEDTLS_SSL_ALERT_MSG_BAD_CERT, "certificate is not for "},
    {Finding::no_pin, MBEDTLS_SSL_ALERT_MSG_CERT_UNKNOWN, "no pin matches"},
    {Finding::server_purpose, MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_CERT, "certificate may not serve (extended key usage)"},
    {Finding::server_key_usage, MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_CERT, "certificate may not sign (key usage)"},
    {Finding::not_a_ca, MBEDTLS_SSL_ALERT_MSG_BAD_CERT, "its issuer is no CA (basic constraints, key usage)"},
    {Finding::ca_purpose, MBEDTLS_SSL_ALERT_MSG_BAD_CERT, "its CA may not issue for servers (extended key usage)"},
    {Finding::path_length, MBEDTLS_SSL_ALERT_MSG_BAD_CERT, "its CA may not have CAs below it (path length)"},
    {Finding::name_constraints, MBEDTLS_SSL_ALERT_MSG_BAD_CERT, "its CA may not issue for it (name constraints)"},
    {Finding::unreadable_constraints, MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_CERT,
     "its CA has name constraints that cannot be enforced"},
    {Finding::critical_extension, MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_CERT, "unknown critical extension "},
    {Finding::weak_signature, MBEDTLS_SSL_ALERT_MSG_BAD_CERT, "a signature of the certificates is too weak (SHA-1)"},
    {Finding::weak_key, MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_CERT, "a key of the certificates is not acceptable"},
    {Finding::too_many_intermediates, MBEDTLS_SSL_ALERT_MSG_BAD_CERT, "more than "},
    {Finding::too_much_work, MBEDTLS_SSL_ALERT_MSG_BAD_CERT, "certificates that take too much work"},
};

std::string today() {
  const std::time_t now = std::time(nullptr);
  tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d", &utc);
  return text;
}

}  // namespace

std::string CertificateJudge::words() const {
  std::string text;
  for (const Row& row : kRows) {
    if (!findings_.has(row.finding)) continue;
    text.append(text.empty() ? "" : ", ").append(row.words);
    switch (row.finding) {
      case Finding::expired:
      case Finding::not_yet_valid:
        text += " (this machine's date: " + today() + ")";
        break;
      case Finding::wrong_name:
        text += context_.settings.server_name;
        break;
      case Finding::critical_extension:
        text += critical_extension_;
        break;
      case Finding::too_many_intermediates:
        text += std::to_string(CertificatePaths::kMaxIntermediates) + " intermediate certificates";
        break;
      case Finding::unknown_ca:
        if (!unreadable_.empty()) text += " (of one that was sent: " + unreadable_ + ")";
        break;
      case Finding::unreadable:
        text += ": " + unreadable_;
        break;
      default:
        break;
    }
  }
  return text;
}

std::uint8_t CertificateJudge::alert() const {
  for (const Row& row : kRows) {
    if (findings_.has(row.finding)) return row.alert;
  }
  return MBEDTLS_SSL_ALERT_MSG_CERT_UNKNOWN;
}

}  // namespace dotrelay
