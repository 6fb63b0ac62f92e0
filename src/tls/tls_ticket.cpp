// See tls_ticket.hpp. The form: SHA-256 of all that follows, the context's fingerprint, the end of use (big-endian),
// the library's own form of a session.
#include "tls/tls_ticket.hpp"

#include "tls/tls_internal.hpp"

#include <algorithm>

namespace dotrelay {
namespace {

constexpr std::size_t kDigestSize = std::tuple_size_v<Sha256>;
constexpr std::size_t kFingerprintAt = kDigestSize;
constexpr std::size_t kUsableUntilAt = kFingerprintAt + kDigestSize;
constexpr std::size_t kSessionAt = kUsableUntilAt + 8;

}  // namespace

TlsTicket::TlsTicket(std::unique_ptr<State> state) : state_(std::move(state)) {}
TlsTicket::TlsTicket(TlsTicket&&) noexcept = default;
TlsTicket& TlsTicket::operator=(TlsTicket&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}
TlsTicket::~TlsTicket() {
  if (state_) mbedtls_ssl_session_free(&state_->session);
}

bool TlsTicket::usable_at(std::int64_t seconds) const {
  return seconds < state_->usable_until && state_->usable_until - seconds <= kMaxAgeSeconds;
}

std::size_t TlsTicket::serialize(MutableBytes buffer) const {
  if (buffer.size() <= kSessionAt) return 0;
  const MutableBytes session = buffer.subspan(kSessionAt);
  std::size_t session_size = 0;
  if (mbedtls_ssl_session_save(&state_->session, session.data(), session.size(), &session_size) != 0) return 0;
  std::ranges::copy(state_->fingerprint, buffer.begin() + kFingerprintAt);
  const auto until = static_cast<std::uint64_t>(state_->usable_until);
  for (std::size_t i = 0; i < 8; ++i) buffer[kUsableUntilAt + i] = static_cast<std::uint8_t>(until >> (56 - 8 * i));
  const std::size_t size = kSessionAt + session_size;
  std::ranges::copy(sha256(buffer.first(size).subspan(kFingerprintAt)), buffer.begin());
  return size;
}

std::optional<TlsTicket> TlsTicket::parse(Bytes octets, const TlsClientContext& context) {
  if (octets.size() <= kSessionAt) return std::nullopt;
  // The library believes some lengths in its form: only whole octets that this program wrote reach it.
  if (!equal(octets.first(kDigestSize), sha256(octets.subspan(kFingerprintAt)))) return std::nullopt;
  if (!equal(octets.subspan(kFingerprintAt, kDigestSize), context.fingerprint())) return std::nullopt;
  auto state = std::make_unique<State>();
  mbedtls_ssl_session_init(&state->session);
  state->fingerprint = context.fingerprint();
  std::uint64_t until = 0;
  for (const std::uint8_t octet : octets.subspan(kUsableUntilAt, 8)) until = until << 8 | octet;
  state->usable_until = static_cast<std::int64_t>(until);
  const Bytes session = octets.subspan(kSessionAt);
  TlsTicket ticket(std::move(state));
  if (mbedtls_ssl_session_load(&ticket.state_->session, session.data(), session.size()) != 0) return std::nullopt;
  if (mbedtls_ssl_session_get_id_len(&ticket.state_->session) > 32) return std::nullopt;  // which it does not check
  return ticket;
}

}  // namespace dotrelay
