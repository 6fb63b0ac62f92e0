// See tls_session.hpp. The order of calls on the library follows its documented return codes: every error but
// WANT_READ, WANT_WRITE and RECEIVED_NEW_SESSION_TICKET is final.
#include "net/tls_session.hpp"

#include "net/tls_internal.hpp"

#include <cassert>
#include <cstring>

namespace dotrelay {
namespace {

/// What one call of the library can decrypt: a whole record (RFC 8446 5.1).
constexpr std::size_t kMaxRecord = 16384;

}  // namespace

struct TlsSession::Engine {
  explicit Engine(const TlsClientContext::State& its_context) : context(its_context), judge(its_context) {
    mbedtls_ssl_init(&ssl);
  }
  ~Engine() { mbedtls_ssl_free(&ssl); }

  static int send(void* session, const unsigned char* octets, std::size_t size) {
    static_cast<TlsSession*>(session)->outgoing_.append({octets, size});
    return static_cast<int>(size);
  }

  static int receive(void* session, unsigned char* buffer, std::size_t size) {
    ByteQueue& incoming = static_cast<TlsSession*>(session)->incoming_;
    if (incoming.empty()) return MBEDTLS_ERR_SSL_WANT_READ;
    size = std::min(size, incoming.size());
    std::memcpy(buffer, incoming.bytes().data(), size);
    incoming.consume(size);
    return static_cast<int>(size);
  }

  /// Whether the server has given the session a ticket that is not the one offered: a TLS 1.2 session that was resumed
  /// without a new one still has the old, which must not be used again.
  [[nodiscard]] bool ticket_is_new(const mbedtls_ssl_session& session) const {
    if (verified || !offered) return true;
    const mbedtls_ssl_session& before = offered->state_->session;
    const auto octets = [](const mbedtls_ssl_session& of) {
      return Bytes(of.MBEDTLS_PRIVATE(ticket), of.MBEDTLS_PRIVATE(ticket_len));
    };
    return !octets(session).empty() && !equal(octets(session), octets(before));
  }

  const TlsClientContext::State& context;
  mbedtls_ssl_context ssl;
  CertificateJudge judge;
  std::optional<TlsTicket> offered;  ///< what is to be resumed; nothing once that has been tried
  bool verified = false;             ///< the certificates were looked at: not a resumption
  std::int64_t expiry = 0;           ///< of what was verified, now or in the session that was resumed
};

TlsSession::TlsSession(const TlsClientContext& context, std::optional<TlsTicket> ticket)
    : engine_(std::make_unique<Engine>(*context.state_)) {
  mbedtls_ssl_context& ssl = engine_->ssl;
  int error = mbedtls_ssl_setup(&ssl, &context.state_->config);
  if (error == 0) {
    // Without a name the library refuses to verify; NULL says that the judge checks it, which it does for IP addresses.
    const bool is_address = !context.state_->ip_address.empty();
    error = mbedtls_ssl_set_hostname(&ssl, is_address ? nullptr : context.state_->settings.server_name.c_str());
  }
  if (error != 0) {
    fail(error);
    return;
  }
  mbedtls_ssl_set_verify(&ssl, CertificateJudge::judge, &engine_->judge);
  mbedtls_ssl_set_bio(&ssl, this, Engine::send, Engine::receive, nullptr);
  if (ticket && ticket->state_->fingerprint == context.state_->fingerprint &&
      mbedtls_ssl_set_session(&ssl, &ticket->state_->session) == 0) {
    engine_->expiry = ticket->state_->usable_until;
    engine_->offered = std::move(ticket);
  }
}

TlsSession::~TlsSession() = default;

void TlsSession::advance() {
  if (state_ == State::handshaking) handshake();
  if (state_ == State::established) decrypt();
}

void TlsSession::handshake() {
  const int result = mbedtls_ssl_handshake(&engine_->ssl);
  if (result == MBEDTLS_ERR_SSL_WANT_READ) return;
  if (result != 0) return fail(result);
  state_ = State::established;
  engine_->verified = engine_->judge.expiry() != INT64_MAX;
  if (engine_->verified) engine_->expiry = engine_->judge.expiry();
  // In TLS 1.2 the ticket is part of the handshake; in 1.3 it comes later.
  if (mbedtls_ssl_get_version_number(&engine_->ssl) == MBEDTLS_SSL_VERSION_TLS1_2) keep_ticket();
  engine_->offered.reset();
}

// Drains everything: plaintext left in the library or records left in the queue would wait for the next packet.
void TlsSession::decrypt() {
  for (;;) {
    const MutableBytes room = plaintext_.extend(kMaxRecord);
    const int result = mbedtls_ssl_read(&engine_->ssl, room.data(), room.size());
    plaintext_.trim(kMaxRecord - static_cast<std::size_t>(std::max(0, result)));
    if (result > 0) continue;
    switch (result) {
      case MBEDTLS_ERR_SSL_WANT_READ:
        // The library may return once with a post-handshake message already taken from the queue.
        if (incoming_.empty()) {
          const int again = mbedtls_ssl_read(&engine_->ssl, nullptr, 0);
          if (again == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) {
            keep_ticket();
            continue;
          }
          if (again != MBEDTLS_ERR_SSL_WANT_READ) return fail(again);
          return;
        }
        continue;
      case MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET:
        keep_ticket();
        continue;
      case 0:
      case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
        state_ = State::closed;
        return;
      default:
        return fail(result);
    }
  }
}

void TlsSession::keep_ticket() {
  auto ticket = std::make_unique<TlsTicket::State>();
  mbedtls_ssl_session_init(&ticket->session);
  TlsTicket owner(std::move(ticket));
  if (mbedtls_ssl_get_session(&engine_->ssl, &owner.state_->session) != 0) return;
  if (!engine_->ticket_is_new(owner.state_->session)) return;
  owner.state_->fingerprint = engine_->context.fingerprint;
  owner.state_->usable_until = engine_->expiry;
  tickets_.push_back(std::move(owner));
}

void TlsSession::write(Bytes octets) {
  assert(state_ == State::established);
  while (!octets.empty()) {
    const int result = mbedtls_ssl_write(&engine_->ssl, octets.data(), octets.size());
    if (result <= 0) return fail(result);
    octets = octets.subspan(static_cast<std::size_t>(result));
  }
}

void TlsSession::close() {
  if (state_ == State::established) mbedtls_ssl_close_notify(&engine_->ssl);
}

void TlsSession::fail(int error) {
  state_ = State::failed;
  const std::string findings = engine_->judge.findings();
  if (error == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED || !findings.empty()) {
    failure_ = {FailureKind::authentication, findings.empty() ? "certificate not acceptable" : findings};
  } else {
    failure_ = {FailureKind::other, "TLS failed: " + tls_error_text(error)};
  }
}

std::vector<TlsTicket> TlsSession::take_tickets() { return std::exchange(tickets_, {}); }

bool TlsSession::resumed() const { return !engine_->verified; }

std::string TlsSession::description() const {
  const bool is_13 = mbedtls_ssl_get_version_number(&engine_->ssl) == MBEDTLS_SSL_VERSION_TLS1_3;
  return std::string(is_13 ? "TLS 1.3, " : "TLS 1.2, ") + mbedtls_ssl_get_ciphersuite(&engine_->ssl) +
         (resumed() ? ", resumed" : "");
}

}  // namespace dotrelay
