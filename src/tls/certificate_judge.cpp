// See certificate_judge.hpp.
#include "tls/certificate_judge.hpp"

#include "tls/der.hpp"

#include <algorithm>
#include <mbedtls/oid.h>
#include <mbedtls/rsa.h>
#include <psa/crypto.h>

namespace dotrelay {
namespace {

/// The longest public exponent of an RSA key. All in use have 17 bits; a long one makes each signature cost as much as
/// a thousand.
constexpr std::size_t kMaxExponentBits = 64;

PublicKeyPin public_key_pin(const Certificate& certificate) {
  PublicKeyPin pin{};
  std::size_t size = 0;
  // pk_raw is the DER of the whole SubjectPublicKeyInfo, which is what RFC 7858 pins.
  psa_hash_compute(PSA_ALG_SHA_256, certificate.pk_raw.p, certificate.pk_raw.len, pin.data(), pin.size(), &size);
  return pin;
}

Findings dates_of(const Certificate& certificate) {
  Findings findings;
  if (mbedtls_x509_time_is_past(&certificate.valid_to) != 0) findings.add(Finding::expired);
  if (mbedtls_x509_time_is_future(&certificate.valid_from) != 0) findings.add(Finding::not_yet_valid);
  return findings;
}

/// An absent extended key usage allows everything; so does anyExtendedKeyUsage.
bool may_serve(const Certificate& certificate) {
  return mbedtls_x509_crt_check_extended_key_usage(&certificate, MBEDTLS_OID_SERVER_AUTH,
                                                   MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)) == 0;
}

bool is_ssl_server(const Certificate& certificate) {
  return mbedtls_x509_crt_has_ext_type(&certificate, MBEDTLS_X509_EXT_NS_CERT_TYPE) == 0 ||
         (certificate.MBEDTLS_PRIVATE(ns_cert_type) & MBEDTLS_X509_NS_CERT_TYPE_SSL_SERVER) != 0;
}

bool has_long_exponent(const Certificate& certificate) {
  if (mbedtls_pk_get_type(&certificate.pk) != MBEDTLS_PK_RSA) return false;
  mbedtls_mpi exponent;
  mbedtls_mpi_init(&exponent);
  const bool is_read =
      mbedtls_rsa_export(mbedtls_pk_rsa(certificate.pk), nullptr, nullptr, nullptr, nullptr, &exponent) == 0;
  const bool is_long = !is_read || mbedtls_mpi_bitlen(&exponent) > kMaxExponentBits;
  mbedtls_mpi_free(&exponent);
  return is_long;
}

/// Lets the library verify exactly this path: it only sees the certificates of it, in their order, and one anchor.
Findings verify(const CertificatePath& path) {
  // The library follows `next`. The copies share what the certificates own and are not freed.
  std::vector<Certificate> chain;
  chain.reserve(path.size());
  for (const Certificate* certificate : path) chain.push_back(*certificate);
  Certificate anchor = chain.back();
  anchor.next = nullptr;
  if (chain.size() > 1) chain.pop_back();
  for (std::size_t i = 0; i < chain.size(); ++i) chain[i].next = i + 1 < chain.size() ? &chain[i + 1] : nullptr;
  std::uint32_t flags = UINT32_MAX;
  const int error = mbedtls_x509_crt_verify_with_profile(&chain[0], &anchor, nullptr, &mbedtls_x509_crt_profile_default,
                                                         nullptr, &flags, nullptr, nullptr);
  if (error == 0 && flags == 0) return {};
  if (error != MBEDTLS_ERR_X509_CERT_VERIFY_FAILED) return {Finding::unknown_ca};
  Findings findings;
  if ((flags & MBEDTLS_X509_BADCERT_EXPIRED) != 0) findings.add(Finding::expired);
  if ((flags & MBEDTLS_X509_BADCERT_FUTURE) != 0) findings.add(Finding::not_yet_valid);
  if ((flags & MBEDTLS_X509_BADCERT_BAD_MD) != 0) findings.add(Finding::weak_signature);
  if ((flags & (MBEDTLS_X509_BADCERT_BAD_KEY | MBEDTLS_X509_BADCERT_BAD_PK)) != 0) findings.add(Finding::weak_key);
  if ((flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0 || findings.none()) findings.add(Finding::unknown_ca);
  return findings;
}

}  // namespace

bool CertificateJudge::accept(const Certificate& sent, const std::vector<Bytes>& message) {
  findings_ = {};
  // The library may leave certificates out; never the server's own.
  if (message.empty() || sent.version == 0 || !equal(octets_of(sent.raw), message[0])) {
    findings_.add(Finding::unreadable);
    unreadable_ = "it is malformed";
    return false;
  }
  const bool pins_alone = context_.settings.authorities == nullptr;
  if (pins_alone && is_pinned(sent)) {
    // The server's own pinned key is proof enough, whatever else its certificate says (RFC 7858 4.2).
    accepted_ = true;
    return true;
  }
  try_paths(sent);
  if (findings_.has(Finding::unknown_ca)) explain_what_is_missing(sent, message);
  return accepted_;
}

bool CertificateJudge::is_pinned(const Certificate& certificate) const {
  const std::vector<PublicKeyPin>& pins = context_.settings.pins;
  return !pins.empty() && std::ranges::find(pins, public_key_pin(certificate)) != pins.end();
}

/// The authorities; with pins alone what the server sent and is pinned: it vouches for what it signed.
std::vector<const Certificate*> CertificateJudge::anchors(const Certificate& sent) const {
  if (context_.settings.authorities != nullptr) return context_.anchors;
  std::vector<const Certificate*> anchors;
  for (const Certificate* next = sent.next; next != nullptr && anchors.size() < CertificatePaths::kMaxSent;
       next = next->next) {
    if (is_pinned(*next)) anchors.push_back(next);
  }
  return anchors;
}

void CertificateJudge::try_paths(const Certificate& sent) {
  const std::vector<const Certificate*> anchors = this->anchors(sent);
  const bool pins_alone = context_.settings.authorities == nullptr;
  CertificatePaths paths(sent, anchors);
  std::size_t found = 0;
  while (const std::optional<CertificatePath> path = paths.next()) {
    if (found == kMaxPaths) return findings_.add(Finding::too_much_work);
    Findings findings = look_at(*path);
    if (findings.none()) {
      const std::size_t signatures = path->size();
      if (signatures > signatures_left_) {
        findings_.add(Finding::too_much_work);
        return;
      }
      signatures_left_ -= signatures;
      findings = verify(*path);
    }
    if (findings.none()) {
      for (const Certificate* certificate : *path) expiry_ = std::min(expiry_, seconds_of(certificate->valid_to));
      findings_ = {};
      accepted_ = true;
      return;
    }
    // The words are those of the first path: what comes later is a detour.
    if (found++ == 0) findings_ = findings;
    if (comparisons_left_ == 0) return;
  }
  if (found > 0) return;
  if (paths.too_long()) return findings_.add(Finding::too_many_intermediates);
  if (pins_alone) return findings_.add(Finding::no_pin);
  findings_ = look_at_server(sent);
  findings_.add(Finding::unknown_ca);
}

/// All that costs no signature.
Findings CertificateJudge::look_at(const CertificatePath& path) {
  Findings findings = look_at_server(*path[0]);
  for (std::size_t i = 1; i < path.size(); ++i) findings.add(look_at_ca(*path[i], path, i));
  if (!context_.settings.pins.empty() &&
      std::ranges::none_of(path, [&](const Certificate* certificate) { return is_pinned(*certificate); })) {
    findings.add(Finding::no_pin);
  }
  return findings;
}

Findings CertificateJudge::look_at_server(const Certificate& server) {
  Findings findings = dates_of(server);
  findings.add(look_at_extensions(server));
  if (!is_for_server_name(server)) findings.add(Finding::wrong_name);
  if (!may_serve(server) || !is_ssl_server(server)) findings.add(Finding::server_purpose);
  // All that the relay offers has the server sign; of RSA key exchange it knows nothing.
  if (mbedtls_x509_crt_check_key_usage(&server, MBEDTLS_X509_KU_DIGITAL_SIGNATURE) != 0) {
    findings.add(Finding::server_key_usage);
  }
  if (has_long_exponent(server)) findings.add(Finding::weak_key);
  return findings;
}

Findings CertificateJudge::look_at_ca(const Certificate& ca, const CertificatePath& path, std::size_t index) {
  Findings findings = dates_of(ca);
  findings.add(look_at_extensions(ca));
  findings.add(look_at_constraints(path, index));
  // Anchors from before version 3 had no way to say that they are CAs.
  const bool says_nothing = index + 1 == path.size() && ca.version < 3;
  if (!says_nothing && (mbedtls_x509_crt_get_ca_istrue(&ca) != 1 ||
                        mbedtls_x509_crt_check_key_usage(&ca, MBEDTLS_X509_KU_KEY_CERT_SIGN) != 0)) {
    findings.add(Finding::not_a_ca);
  }
  if (!may_serve(ca)) findings.add(Finding::ca_purpose);
  // The library keeps one more than the certificate says, and 0 when it says nothing. Self-issued certificates do not
  // count (RFC 5280 4.2.1.9).
  const int max_path = ca.MBEDTLS_PRIVATE(max_pathlen);
  const auto below = std::count_if(path.begin() + 1, path.begin() + static_cast<std::ptrdiff_t>(index),
                                   [](const Certificate* certificate) { return !is_self_issued(*certificate); });
  if (max_path > 0 && below > max_path - 1) findings.add(Finding::path_length);
  if (has_long_exponent(ca)) findings.add(Finding::weak_key);
  return findings;
}

Findings CertificateJudge::look_at_extensions(const Certificate& certificate) {
  const auto extensions = extensions_of(certificate);
  if (!extensions) return {Finding::unreadable};
  for (const Extension& extension : *extensions) {
    if (!extension.critical || is_understood(extension)) continue;
    critical_extension_ = der::dotted(extension.oid);
    return {Finding::critical_extension};
  }
  return {};
}

/// The name constraints of the CA at `index` against all names below it, and against the name that is asked for: a
/// wildcard may stand for a name that is excluded.
Findings CertificateJudge::look_at_constraints(const CertificatePath& path, std::size_t index) {
  const auto extensions = extensions_of(*path[index]);
  if (!extensions) return {Finding::unreadable};
  Findings findings;
  bool seen = false;
  for (const Extension& extension : *extensions) {
    if (!is_name_constraints(extension)) continue;
    const std::optional<NameConstraints> constraints = NameConstraints::parse(extension.value);
    if (!constraints || seen) return {Finding::unreadable_constraints};
    seen = true;
    std::vector<GeneralName> names;
    if (const Bytes address = context_.ip_address; !address.empty()) {
      names.push_back({NameForm::ip, address});
    } else {
      names.push_back({NameForm::dns, octets_of_text(context_.settings.server_name)});
    }
    for (std::size_t i = 0; i < index; ++i) {
      if (i > 0 && is_self_issued(*path[i])) continue;
      const std::vector<GeneralName> more = constrained_names(*path[i]);
      names.insert(names.end(), more.begin(), more.end());
    }
    for (const GeneralName& name : names) {
      if (constraints->size() > comparisons_left_) {
        comparisons_left_ = 0;
        return {Finding::too_much_work};
      }
      comparisons_left_ -= constraints->size();
      const NameConstraints::Verdict verdict = constraints->judge(name);
      if (verdict == NameConstraints::Verdict::forbidden) findings.add(Finding::name_constraints);
      if (verdict == NameConstraints::Verdict::unknown && extension.critical) {
        findings.add(Finding::unreadable_constraints);
      }
    }
  }
  return findings;
}

/// RFC 9525 6: only the subjectAltName counts, and in it only dNSName for a host, iPAddress for an address.
bool CertificateJudge::is_for_server_name(const Certificate& server) const {
  const Bytes address = context_.ip_address;
  const Bytes host = octets_of_text(context_.settings.server_name);
  return std::ranges::any_of(alternative_names(server), [&](const GeneralName& name) {
    if (!address.empty()) return name.form == NameForm::ip && equal(name.content, address);
    return name.form == NameForm::dns && dns_name_matches(name.content, host);
  });
}

/// A path may have ended because the library could not read a certificate that belongs to it.
void CertificateJudge::explain_what_is_missing(const Certificate& sent, const std::vector<Bytes>& message) {
  std::size_t parsed = 0;
  for (const Certificate* next = &sent; next != nullptr; next = next->next) ++parsed;
  if (parsed == message.size()) return;
  for (const Bytes der : message) {
    Certificate certificate;
    mbedtls_x509_crt_init(&certificate);
    const int error = append_certificate(certificate, der);
    mbedtls_x509_crt_free(&certificate);
    if (error == 0) continue;
    unreadable_ = unreadable_words(der, error);
    return;
  }
}

}  // namespace dotrelay
