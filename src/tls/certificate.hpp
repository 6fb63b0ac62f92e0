// What the relay reads of a parsed certificate beyond what the library judges: names, extensions, dates. RFC 5280.
#pragma once

#include "base/bytes.hpp"
#include "tls/name_constraints.hpp"

#include <cstdint>
#include <mbedtls/x509_crt.h>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dotrelay {

using Certificate = mbedtls_x509_crt;

inline Bytes octets_of(const mbedtls_x509_buf& buffer) { return {buffer.p, buffer.len}; }
inline Bytes octets_of_text(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// Seconds since 1970, also where time_t has 32 bits.
std::int64_t seconds_of(const mbedtls_x509_time& time);

/// Whether two names may be the same: whatever the library takes for the same is, and perhaps more.
bool may_be_same_name(const mbedtls_x509_name& left, const mbedtls_x509_name& right);

inline bool is_self_issued(const Certificate& certificate) {
  return may_be_same_name(certificate.subject, certificate.issuer);
}

/// The subjectAltName, as far as the library keeps it: all of it.
std::vector<GeneralName> alternative_names(const Certificate& certificate);

/// All names that constraints of a CA apply to: the subjectAltName, the subject, and the mail addresses in it.
std::vector<GeneralName> constrained_names(const Certificate& certificate);

/// RFC 9525: whether a dNSName of a certificate stands for this host. `*` only as the whole left-most label.
bool dns_name_matches(Bytes presented, Bytes host);

struct Extension {
  Bytes oid;
  bool critical = false;
  Bytes value;
};
/// In their order; nothing when they are malformed.
std::optional<std::vector<Extension>> extensions_of(const Certificate& certificate);

bool is_name_constraints(const Extension& extension);
/// Whether the relay or the library honours the extension, or may do without it. A certificate with a critical one that
/// is none of these must be refused (RFC 5280 4.2).
bool is_understood(const Extension& extension);

/// Parses a certificate in DER and appends it to the chain. Critical extensions that the library does not know are
/// accepted: they are for CertificateJudge. Returns the library's error, or 0.
int append_certificate(Certificate& chain, Bytes der);

/// Why the library cannot read a certificate, for `error` of append_certificate: "its key is of type Ed25519, which is
/// not supported".
std::string unreadable_words(Bytes der, int error);

/// The common name (else the organisation) of the subject of a certificate that need not be readable otherwise; may be
/// empty. The octets are the certificate's: for a person they must be made harmless.
std::string subject_text(Bytes der);

}  // namespace dotrelay
