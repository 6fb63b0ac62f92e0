// The pin of a certificate.
#pragma once

#include "base/read_file.hpp"
#include "tls/certificates.hpp"
#include "tls/tls_internal.hpp"

#include <doctest/doctest.h>
#include <string>

namespace dotrelay::test {

/// Of the first certificate in a file of CertificateStore.
inline PublicKeyPin pin_of(const std::string& file) {
  const Result<std::string> text = read_file(Certificates::get().path(file), 65536);
  REQUIRE(text);
  mbedtls_x509_crt certificate;
  mbedtls_x509_crt_init(&certificate);
  const auto* const octets = reinterpret_cast<const unsigned char*>(text->c_str());
  REQUIRE(mbedtls_x509_crt_parse(&certificate, octets, text->size() + 1) == 0);
  const PublicKeyPin pin = sha256({certificate.pk_raw.p, certificate.pk_raw.len});
  mbedtls_x509_crt_free(&certificate);
  return pin;
}

}  // namespace dotrelay::test
