// What a later TLS session to the same server can resume from, and its form in memory that processes of this program
// share. Resumption skips the check of the certificate, so a ticket carries what was checked and until when that holds.
#pragma once

#include "base/bytes.hpp"
#include "tls/tls_client_context.hpp"

#include <cstdint>
#include <memory>
#include <optional>

namespace dotrelay {

/// Used once (RFC 8446 C.4). Only valid for a context with the same name, authorities and pins as the one that the
/// session was made with.
class TlsTicket {
 public:
  struct State;
  explicit TlsTicket(std::unique_ptr<State> state);
  TlsTicket(TlsTicket&&) noexcept;
  TlsTicket& operator=(TlsTicket&&) noexcept;
  ~TlsTicket();

  /// For how long after a server was authenticated its sessions may be resumed, through however many resumptions: then
  /// its certificate is looked at again, which may have been replaced or its CA no longer trusted.
  static constexpr std::int64_t kMaxAgeSeconds = 86400;

  /// False once a certificate that was checked has expired or the check is too old, and after the clock was set back
  /// behind the check. Seconds since 1970.
  [[nodiscard]] bool usable_at(std::int64_t seconds) const;

  /// Writes the ticket, a secret, to the front of `buffer`. Returns its size, or 0 when the buffer is too small.
  [[nodiscard]] std::size_t serialize(MutableBytes buffer) const;

  /// Reads what serialize() wrote. Nothing when the octets are damaged, belong to another build of the library, or to a
  /// context that trusts others or expects another name.
  static std::optional<TlsTicket> parse(Bytes octets, const TlsClientContext& context);

 private:
  friend class TlsSession;
  std::unique_ptr<State> state_;
};

}  // namespace dotrelay
