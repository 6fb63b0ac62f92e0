// See CertificateJudge in tls_internal.hpp: names, pins and the words for what is wrong.
#include "net/tls_internal.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <mbedtls/error.h>
#include <mbedtls/oid.h>
#include <psa/crypto.h>

namespace dotrelay {
namespace {

/// The library leaves this bit of its flags to callers.
constexpr std::uint32_t kNoPinMatches = MBEDTLS_X509_BADCERT_OTHER;
constexpr std::uint32_t kNotTrusted = MBEDTLS_X509_BADCERT_NOT_TRUSTED;

/// Seconds since 1970. Not by timegm(): where time_t has 32 bits it knows no time after 2038.
std::int64_t seconds_of(const mbedtls_x509_time& time) {
  using namespace std::chrono;
  const sys_days date = year(time.year) / time.mon / time.day;
  return std::int64_t{date.time_since_epoch().count()} * 86400 + time.hour * 3600 + time.min * 60 + time.sec;
}

PublicKeyPin public_key_pin(const mbedtls_x509_crt& certificate) {
  PublicKeyPin pin{};
  std::size_t size = 0;
  // pk_raw is the DER of the whole SubjectPublicKeyInfo, which is what RFC 7858 pins.
  psa_hash_compute(PSA_ALG_SHA_256, certificate.pk_raw.p, certificate.pk_raw.len, pin.data(), pin.size(), &size);
  return pin;
}

/// RFC 9525 6.2: the common name does not count.
bool has_alternative_names(const mbedtls_x509_crt& certificate) {
  return mbedtls_x509_crt_has_ext_type(&certificate, MBEDTLS_X509_EXT_SUBJECT_ALT_NAME) != 0;
}

bool has_ip_address(const mbedtls_x509_crt& certificate, Bytes address) {
  constexpr int kIpAddressTag = MBEDTLS_ASN1_CONTEXT_SPECIFIC | MBEDTLS_X509_SAN_IP_ADDRESS;
  if (!has_alternative_names(certificate)) return false;
  for (const mbedtls_x509_sequence* name = &certificate.subject_alt_names; name != nullptr; name = name->next) {
    if (name->buf.tag == kIpAddressTag && equal({name->buf.p, name->buf.len}, address)) return true;
  }
  return false;
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d", &utc);
  return text;
}

}  // namespace

int CertificateJudge::judge(void* self, mbedtls_x509_crt* certificate, int depth, std::uint32_t* flags) {
  static_cast<CertificateJudge*>(self)->see(*certificate, depth == 0, *flags);
  return 0;
}

void CertificateJudge::see(const mbedtls_x509_crt& certificate, bool is_server, std::uint32_t& flags) {
  expiry_ = std::min(expiry_, seconds_of(certificate.valid_to));
  const std::vector<PublicKeyPin>& pins = context_.settings.pins;
  const bool pinned = !pins.empty() && std::ranges::find(pins, public_key_pin(certificate)) != pins.end();
  if (pinned) (is_server ? server_pinned_ : chain_pinned_) = true;
  const bool pins_alone = context_.settings.authorities == nullptr;
  if (!is_server) {
    findings_ |= flags;
    // With pins alone trust begins at the pinned certificate, which nobody above needs to vouch for. Below it
    // NOT_TRUSTED stays: the library also says it of a certificate whose issuer has the right name and did not sign it.
    above_ = pinned ? flags & ~kNotTrusted : above_ | flags;
    // With pins alone the verdict falls at the server's certificate, which comes last.
    if (pins_alone) flags = 0;
    return;
  }
  if (context_.ip_address.empty() ? !has_alternative_names(certificate)
                                  : !has_ip_address(certificate, context_.ip_address)) {
    flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
  }
  flags = pins_alone ? verdict(flags) : flags;
  if (!pins_alone && !pins.empty() && !server_pinned_ && !chain_pinned_) flags |= kNoPinMatches;
  findings_ = pins_alone ? flags : findings_ | flags;
}

/// Without authorities: the server's own pinned key is proof enough, whatever else its certificate says (RFC 7858 4.2).
/// A pinned key further up only vouches for certificates that it signed: there the name and the dates must hold, too.
std::uint32_t CertificateJudge::verdict(std::uint32_t server_flags) const {
  if (server_pinned_) return 0;
  if (!chain_pinned_) return kNoPinMatches;
  return server_flags | above_;
}

std::string CertificateJudge::findings() const {
  std::string text;
  const auto list = [&text](const std::string& words) { text.append(text.empty() ? "" : ", ").append(words); };
  const std::uint32_t flags = findings_;
  if ((flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0) list("certificate from an unknown CA");
  if ((flags & MBEDTLS_X509_BADCERT_EXPIRED) != 0) list("certificate expired (this machine's date: " + today() + ")");
  if ((flags & MBEDTLS_X509_BADCERT_FUTURE) != 0) {
    list("certificate not yet valid (this machine's date: " + today() + ")");
  }
  if ((flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) != 0) list("certificate is not for " + context_.settings.server_name);
  if ((flags & kNoPinMatches) != 0) list("no pin matches");
  constexpr std::uint32_t kNamed = MBEDTLS_X509_BADCERT_NOT_TRUSTED | MBEDTLS_X509_BADCERT_EXPIRED |
                                   MBEDTLS_X509_BADCERT_FUTURE | MBEDTLS_X509_BADCERT_CN_MISMATCH | kNoPinMatches;
  if ((flags & ~kNamed) != 0) list("certificate not acceptable (weak key, signature or wrong key usage)");
  return text;
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
