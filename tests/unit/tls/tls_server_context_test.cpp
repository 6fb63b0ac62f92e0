// What a server needs of its files, and the error that names the one it cannot use.
#include "tls_pair.hpp"

#include <doctest/doctest.h>

namespace dotrelay::test {
namespace {

std::string error_of(const std::string& certificate_file, const std::string& key_file) {
  need_tls_library();
  const auto context = TlsServerContext::load({.certificate_file = certificate_file, .key_file = key_file});
  return context ? "" : context.error().message;
}

TEST_CASE("both files are read, and an error names the one that cannot be used") {
  const std::string certificate = Certificates::get().path("good.chain");
  const std::string key = Certificates::get().path("good.key");
  CHECK(error_of(certificate, key).empty());
  CHECK(error_of("/nonexistent/server.pem", key).starts_with("cannot read /nonexistent/server.pem: "));
  CHECK(error_of(certificate, "/nonexistent/server.key").starts_with("cannot read /nonexistent/server.key: "));
  CHECK(error_of(key, key) == "cannot read " + key + ": not all of it is certificates in PEM format that can be used");
  CHECK(error_of(certificate, certificate).starts_with("cannot read " + certificate + ": "));
}

}  // namespace
}  // namespace dotrelay::test
