// What all TLS sessions to one upstream have in common: whom to trust, whom to expect, which ciphers to offer. RFC 7858
// (DNS over TLS), RFC 8310 (strict privacy), RFC 9525 (names in certificates).
#pragma once

#include "base/result.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace dotrelay {

/// Certification authorities, parsed once and shared.
class CaBundle {
 public:
  /// Certificates that left_out() names.
  static constexpr std::size_t kMaxNamed = 8;

  /// Reads a file of certificates in PEM, or one in DER. Those that the library cannot read are left out as long as one
  /// can be.
  static Result<std::unique_ptr<CaBundle>> load(const std::string& path);
  ~CaBundle();

  /// One line for each certificate that was left out: "FILE: certificate 2 (Some CA) is left out: ...".
  [[nodiscard]] const std::vector<std::string>& left_out() const { return left_out_; }

 private:
  friend class TlsClientContext;
  CaBundle();
  struct State;
  std::unique_ptr<State> state_;
  std::vector<std::string> left_out_;
  std::size_t left_out_count_ = 0;
};

/// The path of the system's bundle, or empty when there is none in any place that Linux distributions use.
std::string find_system_ca_bundle();

/// SHA-256 of a SubjectPublicKeyInfo.
using PublicKeyPin = std::array<std::uint8_t, 32>;

struct TlsClientSettings {
  std::string server_name;  ///< host name, or an IP literal: then IP SANs are checked and no SNI is sent (RFC 6066 3)
  const CaBundle* authorities = nullptr;  ///< nullptr: the pins alone authenticate. Outlives the context
  std::vector<PublicKeyPin> pins;         ///< with authorities: both must hold
};

class TlsClientContext {
 public:
  explicit TlsClientContext(TlsClientSettings settings);
  TlsClientContext(const TlsClientContext&) = delete;
  TlsClientContext& operator=(const TlsClientContext&) = delete;
  ~TlsClientContext();

  /// SHA-256 of the settings, the authorities' file included: equal for contexts that accept the same servers.
  [[nodiscard]] const std::array<std::uint8_t, 32>& fingerprint() const;

  struct State;  // the library's structures: tls/tls_internal.hpp
  [[nodiscard]] const State& state() const { return *state_; }

 private:
  friend class TlsSession;
  std::unique_ptr<State> state_;
};

}  // namespace dotrelay
