// The ways from a server's certificate to a trust anchor, over the certificates that it sent, in whatever order it sent
// them (RFC 8446 4.4.2). Only names are compared: what a way is worth is CertificateJudge's business.
#pragma once

#include "tls/certificate.hpp"

#include <cstddef>
#include <optional>
#include <vector>

namespace dotrelay {

/// The server's certificate first, the anchor last. One alone: the server's certificate is itself an anchor.
using CertificatePath = std::vector<const Certificate*>;

class CertificatePaths {
 public:
  /// Certificates of the server that are considered; what follows them is not.
  static constexpr std::size_t kMaxSent = 16;
  /// The longest path, without server and anchor. A limit of the library.
  static constexpr std::size_t kMaxIntermediates = MBEDTLS_X509_MAX_INTERMEDIATE_CA;
  /// Comparisons of names, so that a hostile server costs a few milliseconds. A system has 150 roots, compared at each
  /// step.
  static constexpr std::size_t kMaxComparisons = 100'000;

  /// `sent`: as the library keeps them, the server's own first. `anchors` and `sent` outlive this object.
  CertificatePaths(const Certificate& sent, const std::vector<const Certificate*>& anchors);

  /// The next path, those that reach an anchor early first. Nothing when there is no other, or the limits are reached.
  std::optional<CertificatePath> next();

  /// Whether a path was given up because it had too many intermediates.
  [[nodiscard]] bool too_long() const { return too_long_; }

 private:
  struct Step {
    const Certificate* certificate;
    std::size_t candidate = 0;  ///< to look at next: the anchors, then what was sent
  };
  [[nodiscard]] bool on_path(const Certificate* certificate) const;
  [[nodiscard]] CertificatePath path_to(const Certificate* anchor) const;

  const std::vector<const Certificate*>& anchors_;
  std::vector<const Certificate*> sent_;  ///< without the server's own
  std::vector<Step> steps_;
  std::size_t comparisons_ = 0;
  bool itself_looked_at_ = false;
  bool too_long_ = false;
};

}  // namespace dotrelay
