// CaBundle: a PEM file, certificate by certificate, so that one that cannot be read is named. See
// tls_client_context.hpp.
#include "base/printable.hpp"
#include "base/read_file.hpp"
#include "tls/certificate.hpp"
#include "tls/tls_internal.hpp"

#include <mbedtls/pem.h>
#include <optional>
#include <string_view>
#include <unistd.h>

namespace dotrelay {
namespace {

/// Larger than any bundle a system ships (Debian: 220 KB), small enough for any gateway.
constexpr std::size_t kMaxBundleBytes = 4 * 1024 * 1024;

constexpr const char* kBegin = "-----BEGIN CERTIFICATE-----";
constexpr const char* kEnd = "-----END CERTIFICATE-----";

/// Appends one certificate. Returns why it could not be read, or nothing.
std::optional<std::string> append(Certificate& chain, Bytes der) {
  const int error = append_certificate(chain, der);
  if (error == 0) return std::nullopt;
  const std::string subject = printable(subject_text(der)).substr(0, 64);
  return (subject.empty() ? "" : "(" + subject + ") ") + "is left out: " + unreadable_words(der, error);
}

/// The same of the PEM block at the front of `text`, which is terminated by a NUL.
std::optional<std::string> append_pem(Certificate& chain, const char* text) {
  mbedtls_pem_context pem;
  mbedtls_pem_init(&pem);
  std::size_t used = 0;
  std::optional<std::string> problem = "is left out: its PEM block is damaged";
  if (mbedtls_pem_read_buffer(&pem, kBegin, kEnd, reinterpret_cast<const unsigned char*>(text), nullptr, 0, &used) ==
      0) {
    std::size_t size = 0;
    const unsigned char* const octets = mbedtls_pem_get_buffer(&pem, &size);
    problem = append(chain, {octets, size});
  }
  mbedtls_pem_free(&pem);
  return problem;
}

}  // namespace

CaBundle::CaBundle() : state_(std::make_unique<State>()) { mbedtls_x509_crt_init(&state_->chain); }
CaBundle::~CaBundle() { mbedtls_x509_crt_free(&state_->chain); }

Result<std::unique_ptr<CaBundle>> CaBundle::load(const std::string& path) {
  const Result<std::string> content = read_file(path, kMaxBundleBytes);
  if (!content) return Error{"cannot read " + path + ": " + content.error().message};
  std::unique_ptr<CaBundle> bundle(new CaBundle);
  State& state = *bundle->state_;
  state.digest = sha256(octets_of_text(*content));
  std::size_t blocks = 0;
  std::string first_problem;
  const auto note = [&](const std::optional<std::string>& problem) {
    ++blocks;
    if (!problem) return;
    if (first_problem.empty()) first_problem = *problem;
    if (++bundle->left_out_count_ <= kMaxNamed) {
      bundle->left_out_.push_back(path + ": certificate " + std::to_string(blocks) + " " + *problem);
    }
  };
  for (std::size_t at = content->find(kBegin); at != std::string::npos; at = content->find(kBegin, at + 1)) {
    note(append_pem(state.chain, content->c_str() + at));
  }
  // The file may be one certificate in DER.
  if (blocks == 0 && content->starts_with('\x30')) note(append(state.chain, octets_of_text(*content)));
  if (blocks == 0) return Error{path + " holds no certificate in PEM format"};
  if (state.chain.raw.p == nullptr) {
    return Error{path + " holds no certificate that can be used: the first of " + std::to_string(blocks) + " " +
                 first_problem};
  }
  if (bundle->left_out_count_ > kMaxNamed) {
    bundle->left_out_.push_back(path + ": " + std::to_string(bundle->left_out_count_ - kMaxNamed) +
                                " more certificates are left out");
  }
  return bundle;
}

std::string find_system_ca_bundle() {
  for (const char* path : {"/etc/ssl/certs/ca-certificates.crt",  // Debian, Alpine, Arch, OpenWrt
                           "/etc/pki/tls/certs/ca-bundle.crt",    // Fedora, Red Hat
                           "/etc/ssl/ca-bundle.pem",              // openSUSE
                           "/etc/ssl/cert.pem"}) {                // Alpine without ca-certificates
    if (access(path, R_OK) == 0) return path;
  }
  return {};
}

}  // namespace dotrelay
