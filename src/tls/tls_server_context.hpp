// What all TLS sessions of one server have in common: its certificate and key, and the keys of its tickets. RFC 7858
// (DNS over TLS). Exists only where the TLS library is built with its server side, which the relay does not need.
#pragma once

#include "base/result.hpp"

#include <memory>
#include <string>

namespace dotrelay {

struct TlsServerSettings {
  std::string certificate_file;  ///< PEM: the server's own certificate first, then those that lead to its CA
  std::string key_file;          ///< PEM, not encrypted. That it is the certificate's is not checked
  bool tickets = true;           ///< whether sessions can be resumed
  bool tls_13 = true;            ///< false: TLS 1.2 only
  std::string protocol = "dot";  ///< refuses clients that offer others only (RFC 7301); empty: none is looked at
};

class TlsServerContext {
 public:
  /// Reads both files. The error names the one that cannot be used.
  static Result<std::unique_ptr<TlsServerContext>> load(TlsServerSettings settings);
  TlsServerContext(const TlsServerContext&) = delete;
  TlsServerContext& operator=(const TlsServerContext&) = delete;
  ~TlsServerContext();

  struct State;  // the library's structures: tls/tls_internal.hpp
  [[nodiscard]] const State& state() const { return *state_; }

 private:
  explicit TlsServerContext(TlsServerSettings settings);
  std::unique_ptr<State> state_;
};

}  // namespace dotrelay
