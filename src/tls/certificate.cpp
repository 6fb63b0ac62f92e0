// See certificate.hpp.
#include "tls/certificate.hpp"

#include "tls/der.hpp"

#include <algorithm>
#include <chrono>
#include <mbedtls/oid.h>
#include <string_view>

namespace dotrelay {
namespace {

/// id-ce (RFC 5280 4.2) and the last arc.
bool is_id_ce(Bytes oid, std::uint8_t arc) {
  return oid.size() == 3 && oid[0] == 0x55 && oid[1] == 0x1d && oid[2] == arc;
}

constexpr std::uint8_t kNameConstraints = 30;

Bytes without_trailing_dot(Bytes name) {
  return !name.empty() && name.back() == '.' ? name.first(name.size() - 1) : name;
}

/// What a certificate says before its extensions (RFC 5280 4.1).
struct Outline {
  Bytes signature_algorithm;  ///< OBJECT IDENTIFIER
  Bytes subject;              ///< content of the Name
  Bytes key_algorithm;        ///< OBJECT IDENTIFIER
  Bytes key_curve;            ///< OBJECT IDENTIFIER, or empty
};

std::optional<Outline> outline_of(Bytes certificate) {
  constexpr std::uint8_t kVersion = der::context + der::constructed + 0;
  const std::optional<Bytes> outer = der::Reader(certificate).next(der::sequence);
  const std::optional<Bytes> body = outer ? der::Reader(*outer).next(der::sequence) : std::nullopt;
  if (!body) return std::nullopt;
  der::Reader parts(*body);
  if (parts.next_tag() == kVersion) parts.next();
  const std::optional<Bytes> serial = parts.next(der::integer);
  const std::optional<Bytes> signature = parts.next(der::sequence);
  const std::optional<Bytes> issuer = parts.next(der::sequence);
  const std::optional<Bytes> validity = parts.next(der::sequence);
  const std::optional<Bytes> subject = parts.next(der::sequence);
  const std::optional<Bytes> key = parts.next(der::sequence);
  if (!serial || !signature || !issuer || !validity || !subject || !key) return std::nullopt;
  Outline outline;
  outline.signature_algorithm = der::Reader(*signature).next(der::object_identifier).value_or(Bytes());
  outline.subject = *subject;
  const std::optional<Bytes> algorithm = der::Reader(*key).next(der::sequence);
  if (!algorithm) return std::nullopt;
  der::Reader algorithm_parts(*algorithm);
  outline.key_algorithm = algorithm_parts.next(der::object_identifier).value_or(Bytes());
  outline.key_curve = algorithm_parts.next(der::object_identifier).value_or(Bytes());
  return outline;
}

/// The usual name of an algorithm or curve that the library may not have; its number when it is none of these.
std::string algorithm_name(Bytes oid) {
  constexpr struct {
    std::string_view number;
    std::string_view name;
  } kNames[] = {
      {"1.2.840.113549.1.1.2", "MD2"},
      {"1.2.840.113549.1.1.4", "MD5"},
      {"1.2.840.113549.1.1.14", "SHA-224"},
      {"1.2.840.10045.4.3.1", "SHA-224"},
      {"1.2.840.113549.1.1.10", "RSASSA-PSS"},
      {"1.2.840.10040.4.1", "DSA"},
      {"1.2.840.10040.4.3", "DSA"},
      {"1.3.101.112", "Ed25519"},
      {"1.3.101.113", "Ed448"},
      {"1.2.840.10045.3.1.1", "P-192"},
      {"1.3.132.0.33", "P-224"},
      {"1.3.132.0.34", "P-384"},
      {"1.3.132.0.35", "P-521"},
      {"1.3.132.0.10", "secp256k1"},
      {"1.3.36.3.3.2.8.1.1.7", "brainpoolP256r1"},
      {"1.3.36.3.3.2.8.1.1.11", "brainpoolP384r1"},
      {"1.3.36.3.3.2.8.1.1.13", "brainpoolP512r1"},
      {"2.16.840.1.101.3.4.3.17", "ML-DSA-44"},
      {"2.16.840.1.101.3.4.3.18", "ML-DSA-65"},
      {"2.16.840.1.101.3.4.3.19", "ML-DSA-87"},
  };
  const std::string number = der::dotted(oid);
  for (const auto& known : kNames) {
    if (number == known.number) return std::string(known.name);
  }
  return number.empty() ? "an unknown type" : number;
}

int accept_extension(void*, const Certificate*, const mbedtls_x509_buf*, int, const unsigned char*,
                     const unsigned char*) {
  return 0;
}

}  // namespace

// Not by timegm(): where time_t has 32 bits it knows no time after 2038.
std::int64_t seconds_of(const mbedtls_x509_time& time) {
  using namespace std::chrono;
  const sys_days date = year(time.year) / time.mon / time.day;
  return std::int64_t{date.time_since_epoch().count()} * 86400 + time.hour * 3600 + time.min * 60 + time.sec;
}

bool may_be_same_name(const mbedtls_x509_name& left, const mbedtls_x509_name& right) {
  const mbedtls_x509_name* a = &left;
  const mbedtls_x509_name* b = &right;
  for (; a != nullptr && b != nullptr; a = a->next, b = b->next) {
    if (!equal(octets_of(a->oid), octets_of(b->oid))) return false;
    if (!equal_ignoring_case(octets_of(a->val), octets_of(b->val))) return false;
  }
  return a == nullptr && b == nullptr;
}

std::vector<GeneralName> alternative_names(const Certificate& certificate) {
  std::vector<GeneralName> names;
  if (mbedtls_x509_crt_has_ext_type(&certificate, MBEDTLS_X509_EXT_SUBJECT_ALT_NAME) == 0) return names;
  for (const mbedtls_x509_sequence* name = &certificate.subject_alt_names; name != nullptr; name = name->next) {
    if (name->buf.p == nullptr) continue;
    names.push_back({static_cast<NameForm>(name->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK), octets_of(name->buf)});
  }
  return names;
}

std::vector<GeneralName> constrained_names(const Certificate& certificate) {
  std::vector<GeneralName> names = alternative_names(certificate);
  if (certificate.subject.oid.p == nullptr) return names;  // an empty subject is no name
  names.push_back({NameForm::directory, octets_of(certificate.subject_raw)});
  for (const mbedtls_x509_name* part = &certificate.subject; part != nullptr; part = part->next) {
    if (MBEDTLS_OID_CMP(MBEDTLS_OID_PKCS9_EMAIL, &part->oid) == 0)
      names.push_back({NameForm::rfc822, octets_of(part->val)});
  }
  return names;
}

bool dns_name_matches(Bytes presented, Bytes host) {
  presented = without_trailing_dot(presented);
  host = without_trailing_dot(host);
  if (presented.empty() || host.empty()) return false;
  if (presented.size() < 3 || presented[0] != '*' || presented[1] != '.') return equal_ignoring_case(presented, host);
  const auto dot = std::ranges::find(host, '.');
  if (dot == host.begin() || dot == host.end()) return false;
  return equal_ignoring_case(presented.subspan(1), Bytes(dot, host.end()));
}

std::optional<std::vector<Extension>> extensions_of(const Certificate& certificate) {
  std::vector<Extension> extensions;
  if (certificate.v3_ext.len == 0) return extensions;
  const std::optional<Bytes> list = der::Reader(octets_of(certificate.v3_ext)).next(der::sequence);
  if (!list) return std::nullopt;
  der::Reader reader(*list);
  while (!reader.at_end()) {
    const std::optional<Bytes> content = reader.next(der::sequence);
    if (!content) return std::nullopt;
    der::Reader parts(*content);
    const std::optional<Bytes> oid = parts.next(der::object_identifier);
    const std::optional<Bytes> critical = parts.next(der::boolean);
    const std::optional<Bytes> value = parts.next(der::octet_string);
    if (!oid || !value || !parts.at_end()) return std::nullopt;
    extensions.push_back(
        {*oid, critical && std::ranges::any_of(*critical, [](auto octet) { return octet != 0; }), *value});
  }
  return extensions;
}

bool is_name_constraints(const Extension& extension) { return is_id_ce(extension.oid, kNameConstraints); }

bool is_understood(const Extension& extension) {
  // Subject and authority key identifier, key usage, subjectAltName, issuerAltName, basic constraints, extended key
  // usage. Policies, their mappings and inhibitAnyPolicy only matter to those that ask for a policy, which the relay
  // does not; policyConstraints can ask for one and is not among them.
  for (const std::uint8_t arc : {14, 15, 17, 18, 19, int{kNameConstraints}, 32, 33, 35, 37, 54}) {
    if (is_id_ce(extension.oid, arc)) return true;
  }
  constexpr std::string_view kNetscapeCertType = MBEDTLS_OID_NS_CERT_TYPE;
  return equal(extension.oid, octets_of_text(kNetscapeCertType));
}

int append_certificate(Certificate& chain, Bytes der) {
  return mbedtls_x509_crt_parse_der_with_ext_cb(&chain, der.data(), der.size(), 1, accept_extension, nullptr);
}

std::string unreadable_words(Bytes der, int error) {
  const std::optional<Outline> outline = outline_of(der);
  const int module_error = -(-error & 0xff80);  // without what the modules below have to say
  if (outline) {
    if (module_error == MBEDTLS_ERR_X509_UNKNOWN_SIG_ALG) {
      return "it is signed with " + algorithm_name(outline->signature_algorithm) + ", which is not supported";
    }
    const bool curve = !outline->key_curve.empty();
    if (module_error == MBEDTLS_ERR_PK_UNKNOWN_PK_ALG || module_error == MBEDTLS_ERR_PK_UNKNOWN_NAMED_CURVE ||
        module_error == MBEDTLS_ERR_PK_FEATURE_UNAVAILABLE) {
      return "its key is of type " + algorithm_name(curve ? outline->key_curve : outline->key_algorithm) +
             ", which is not supported";
    }
    if (error == MBEDTLS_ERR_X509_INVALID_EXTENSIONS + MBEDTLS_ERR_ASN1_UNEXPECTED_TAG ||
        error == MBEDTLS_ERR_X509_FEATURE_UNAVAILABLE) {
      return "it has a critical extension that is not supported";
    }
  }
  return "it is malformed";
}

std::string subject_text(Bytes der) {
  constexpr std::uint8_t kCommonName[] = {0x55, 0x04, 0x03};
  constexpr std::uint8_t kOrganisation[] = {0x55, 0x04, 0x0a};
  const std::optional<Outline> outline = outline_of(der);
  if (!outline) return {};
  std::string organisation;
  der::Reader rdns(outline->subject);
  while (const std::optional<Bytes> rdn = rdns.next(der::set)) {
    const std::optional<Bytes> attribute = der::Reader(*rdn).next(der::sequence);
    if (!attribute) break;
    der::Reader parts(*attribute);
    const std::optional<Bytes> type = parts.next(der::object_identifier);
    const std::optional<der::Element> value = parts.next();
    if (!type || !value) break;
    const std::string text(value->content.begin(), value->content.end());
    if (equal(*type, kCommonName)) return text;
    if (equal(*type, kOrganisation)) organisation = text;
  }
  return organisation;
}

}  // namespace dotrelay
