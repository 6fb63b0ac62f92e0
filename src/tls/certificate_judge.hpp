// Judges the certificates of one server: whether a path leads to a trust anchor, and each certificate of it is good for
// what it is used for. The library verifies signatures, dates and basic constraints of a path; the judge finds the
// paths and checks what the library does not (RFC 5280 6.1): names (RFC 9525), extended key usage of CAs, name
// constraints, critical extensions, pins (RFC 7858 4.2).
#pragma once

#include "tls/certificate_paths.hpp"
#include "tls/tls_client_context.hpp"
#include "tls/tls_internal.hpp"

#include <cstdint>
#include <initializer_list>
#include <string>

namespace dotrelay {

/// What can be wrong with a path, in the order of the words.
enum class Finding : std::uint8_t {
  unknown_ca,
  expired,
  not_yet_valid,
  wrong_name,
  no_pin,
  server_purpose,
  server_key_usage,
  not_a_ca,
  ca_purpose,
  path_length,
  name_constraints,
  unreadable_constraints,
  critical_extension,
  weak_signature,
  weak_key,
  too_many_intermediates,
  too_much_work,
  unreadable,
};

class Findings {
 public:
  constexpr Findings() = default;
  constexpr Findings(std::initializer_list<Finding> findings) {
    for (const Finding finding : findings) add(finding);
  }
  constexpr void add(Finding finding) { bits_ |= 1U << static_cast<unsigned>(finding); }
  constexpr void add(Findings more) { bits_ |= more.bits_; }
  [[nodiscard]] constexpr bool has(Finding finding) const { return (bits_ >> static_cast<unsigned>(finding) & 1) != 0; }
  [[nodiscard]] constexpr bool none() const { return bits_ == 0; }

 private:
  std::uint32_t bits_ = 0;
};

class CertificateJudge {
 public:
  /// Signatures that are checked for one server; a path has one for each certificate below the anchor.
  static constexpr std::size_t kMaxSignatures = 32;
  /// Paths that are looked at for one server, about 50 us each.
  static constexpr std::size_t kMaxPaths = 200;
  /// Comparisons of a name with a subtree of name constraints, about 20 ns each.
  static constexpr std::size_t kMaxConstraintComparisons = 100'000;

  explicit CertificateJudge(const TlsClientContext::State& context) : context_(context) {}

  /// `sent`: the certificates as the library parsed them. `message`: those of the server's Certificate message, each in
  /// DER, from which the library may have left some out.
  bool accept(const Certificate& sent, const std::vector<Bytes>& message);

  /// Whether accept() was called and returned true.
  [[nodiscard]] bool accepted() const { return accepted_; }

  /// What is wrong, in words; empty when nothing is.
  [[nodiscard]] std::string words() const;
  /// The alert that tells the server (RFC 8446 6.2).
  [[nodiscard]] std::uint8_t alert() const;

  /// The seconds since 1970 at which the first certificate of the path expires; INT64_MAX when a pin alone counts.
  [[nodiscard]] std::int64_t expiry() const { return expiry_; }

 private:
  [[nodiscard]] bool is_pinned(const Certificate& certificate) const;
  [[nodiscard]] std::vector<const Certificate*> anchors(const Certificate& sent) const;
  void try_paths(const Certificate& sent);
  [[nodiscard]] Findings look_at(const CertificatePath& path);
  [[nodiscard]] Findings look_at_server(const Certificate& server);
  [[nodiscard]] Findings look_at_ca(const Certificate& ca, const CertificatePath& path, std::size_t index);
  [[nodiscard]] Findings look_at_extensions(const Certificate& certificate);
  [[nodiscard]] Findings look_at_constraints(const CertificatePath& path, std::size_t index);
  [[nodiscard]] bool is_for_server_name(const Certificate& server) const;
  void explain_what_is_missing(const Certificate& sent, const std::vector<Bytes>& message);

  const TlsClientContext::State& context_;
  bool accepted_ = false;
  Findings findings_;
  std::string critical_extension_;  ///< the number of the latest that is unknown
  std::string unreadable_;          ///< what is wrong with a certificate that was left out
  std::size_t signatures_left_ = kMaxSignatures;
  std::size_t comparisons_left_ = kMaxConstraintComparisons;
  std::int64_t expiry_ = INT64_MAX;
};

}  // namespace dotrelay
