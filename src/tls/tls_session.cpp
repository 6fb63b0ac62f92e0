// See tls_session.hpp. The order of calls on the library follows its documented return codes: every error but
// WANT_READ, WANT_WRITE and RECEIVED_NEW_SESSION_TICKET is final.
#include "tls/tls_session.hpp"

#include "tls/certificate_judge.hpp"
#include "tls/tls_failure.hpp"
#include "tls/tls_internal.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <ctime>
#include <mbedtls/ecp.h>
#include <mbedtls/rsa.h>
#include <utility>

namespace dotrelay {
namespace {

/// What one call of the library can decrypt: a whole record (RFC 8446 5.1).
constexpr std::size_t kMaxRecord = 16384;

/// Records without content in a row: they cost work and bring nothing.
constexpr std::uint32_t kMaxEmptyRecords = 1000;

/// What the library takes of a NewSessionTicket (RFC 8446 4.6.1): a lifetime of up to seven days, and a nonce that fits
/// its key derivation. It ends the session over others, which need only be ignored.
constexpr std::uint32_t kMaxTicketLifetime = 604'800;
constexpr std::size_t kMaxTicketNonce = 32;

/// Whether a step failed because the signature over the handshake is not by the certificate's key.
bool is_bad_proof(int error, int at) {
  if (at == MBEDTLS_SSL_CERTIFICATE_VERIFY) return error == MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE;
  return at == MBEDTLS_SSL_SERVER_KEY_EXCHANGE &&
         (error == MBEDTLS_ERR_RSA_VERIFY_FAILED || error == MBEDTLS_ERR_RSA_INVALID_PADDING ||
          error == MBEDTLS_ERR_ECP_VERIFY_FAILED || error == MBEDTLS_ERR_PK_SIG_LEN_MISMATCH);
}

/// The library's way out and in.
int give_records(void* session, const unsigned char* octets, std::size_t size) {
  static_cast<TlsSession*>(session)->outgoing().append({octets, size});
  return static_cast<int>(size);
}

int take_records(void* session, unsigned char* buffer, std::size_t size) {
  ByteQueue& incoming = static_cast<TlsSession*>(session)->incoming();
  if (incoming.empty()) return MBEDTLS_ERR_SSL_WANT_READ;
  size = std::min(size, incoming.size());
  std::memcpy(buffer, incoming.bytes().data(), size);
  incoming.consume(size);
  return static_cast<int>(size);
}

/// What a client knows of its server.
struct Server {
  explicit Server(const TlsClientContext::State& its_context) : context(its_context), judge(its_context) {}

  const TlsClientContext::State& context;
  CertificateJudge judge;
  std::optional<TlsTicket> offered;  ///< what is to be resumed; nothing once that has been tried
  std::int64_t expiry = 0;           ///< of what was verified, now or in the session that was resumed
};

}  // namespace

struct TlsSession::Engine {
  Engine() { mbedtls_ssl_init(&ssl); }
  ~Engine() { mbedtls_ssl_free(&ssl); }

  /// Whether the server has given the session a ticket that is not the one offered: a TLS 1.2 session that was resumed
  /// without a new one still has the old, which must not be used again.
  [[nodiscard]] bool ticket_is_new(const mbedtls_ssl_session& session) const {
    if (server->judge.accepted() || !server->offered) return true;
    const mbedtls_ssl_session& before = server->offered->state_->session;
    const auto octets = [](const mbedtls_ssl_session& of) {
      return Bytes(of.MBEDTLS_PRIVATE(ticket), of.MBEDTLS_PRIVATE(ticket_len));
    };
    return !octets(session).empty() && !equal(octets(session), octets(before));
  }

  /// Of the NewSessionTicket that the library has before it.
  [[nodiscard]] bool ticket_is_readable() const {
    ByteReader reader(Bytes(ssl.MBEDTLS_PRIVATE(in_msg), ssl.MBEDTLS_PRIVATE(in_hslen)), 4);
    const std::uint32_t lifetime = reader.u32();
    reader.u32();  // ticket_age_add
    return lifetime <= kMaxTicketLifetime && reader.u8() <= kMaxTicketNonce;
  }
  /// The library goes on behind the message.
  void ignore_ticket() {
    ssl.MBEDTLS_PRIVATE(keep_current_message) = 0;
    ssl.MBEDTLS_PRIVATE(state) = MBEDTLS_SSL_HANDSHAKE_OVER;
  }

  mbedtls_ssl_context ssl;
  std::optional<Server> server;  ///< nothing in the session of a server
};

TlsSession::TlsSession(const TlsClientContext& context, std::optional<TlsTicket> ticket, bool wants_tickets)
    : engine_(std::make_unique<Engine>()) {
  mbedtls_ssl_context& ssl = engine_->ssl;
  Server& server = engine_->server.emplace(*context.state_);
  int error =
      mbedtls_ssl_setup(&ssl, wants_tickets ? &context.state_->config : &context.state_->config_without_tickets);
  if (error == 0) {
    // For the SNI alone, which has no IP addresses: CertificateJudge compares names.
    const bool is_address = !context.state_->ip_address.empty();
    error = mbedtls_ssl_set_hostname(&ssl, is_address ? nullptr : context.state_->settings.server_name.c_str());
  }
  if (error != 0) {
    fail(error, MBEDTLS_SSL_HELLO_REQUEST);
    return;
  }
  mbedtls_ssl_set_bio(&ssl, this, give_records, take_records, nullptr);
  if (ticket && ticket->state_->fingerprint == context.state_->fingerprint &&
      mbedtls_ssl_set_session(&ssl, &ticket->state_->session) == 0) {
    server.expiry = ticket->state_->usable_until;
    server.offered = std::move(ticket);
  }
}

TlsSession::TlsSession(const TlsServerContext& context) : engine_(std::make_unique<Engine>()) {
  mbedtls_ssl_context& ssl = engine_->ssl;
  if (const int error = mbedtls_ssl_setup(&ssl, &context.state().config)) {
    fail(error, MBEDTLS_SSL_HELLO_REQUEST);
    return;
  }
  mbedtls_ssl_set_bio(&ssl, this, give_records, take_records, nullptr);
}

TlsSession::~TlsSession() = default;

void TlsSession::advance() {
  if (state_ == State::handshaking) handshake();
  if (state_ == State::established) decrypt();
}

// The library's own loop, in which a client stops after the server's certificates: the library verifies nothing by
// itself.
void TlsSession::handshake() {
  mbedtls_ssl_context& ssl = engine_->ssl;
  while (mbedtls_ssl_is_handshake_over(&ssl) == 0) {
    const int at = ssl.MBEDTLS_PRIVATE(state);
    const int result = mbedtls_ssl_handshake_step(&ssl);
    if (result == MBEDTLS_ERR_SSL_WANT_READ) return;
    if (result != 0) return fail(result, at);
    const bool certificates_read =
        engine_->server && at == MBEDTLS_SSL_SERVER_CERTIFICATE && ssl.MBEDTLS_PRIVATE(state) != at;
    if (certificates_read && !judge_server()) return;
  }
  state_ = State::established;
  if (engine_->server) conclude_client_handshake();
}

void TlsSession::conclude_client_handshake() {
  Server& server = *engine_->server;
  // No certificate is sent in a resumption, which only follows when a ticket was offered.
  if (!server.judge.accepted() && !server.offered) return refuse("the server sends no certificate");
  if (server.judge.accepted()) {
    server.expiry = std::min(server.judge.expiry(), std::int64_t{std::time(nullptr)} + TlsTicket::kMaxAgeSeconds);
  }
  // In TLS 1.2 the ticket is part of the handshake; in 1.3 it comes later.
  if (mbedtls_ssl_get_version_number(&engine_->ssl) == MBEDTLS_SSL_VERSION_TLS1_2) keep_ticket();
  server.offered.reset();
}

/// Ends the session, with the alert that says why, when the server's certificates are not good.
bool TlsSession::judge_server() {
  mbedtls_ssl_context& ssl = engine_->ssl;
  CertificateJudge& judge = engine_->server->judge;
  const mbedtls_ssl_session* const session = ssl.MBEDTLS_PRIVATE(session_negotiate);
  const mbedtls_x509_crt* const sent = session != nullptr ? session->MBEDTLS_PRIVATE(peer_cert) : nullptr;
  if (sent != nullptr && judge.accept(*sent, certificates_of_message(ssl))) return true;
  mbedtls_ssl_send_alert_message(&ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL, judge.alert());
  refuse(judge.words());
  return false;
}

void TlsSession::refuse(std::string words) {
  state_ = State::failed;
  failure_ = {FailureKind::authentication, words.empty() ? "certificate not acceptable" : std::move(words)};
}

// Drains everything: plaintext left in the library or records left in the queue would wait for the next packet.
void TlsSession::decrypt() {
  for (;;) {
    const MutableBytes room = plaintext_.extend(kMaxRecord);
    const int result = mbedtls_ssl_read(&engine_->ssl, room.data(), room.size());
    plaintext_.trim(kMaxRecord - static_cast<std::size_t>(std::max(0, result)));
    if (result > 0) {
      empty_records_ = 0;
      continue;
    }
    switch (result) {
      case MBEDTLS_ERR_SSL_WANT_READ:
        // The library returns once before it reads a ticket that it has already taken from the queue.
        if (engine_->ssl.MBEDTLS_PRIVATE(state) == MBEDTLS_SSL_TLS1_3_NEW_SESSION_TICKET) {
          if (!engine_->ticket_is_readable()) engine_->ignore_ticket();
          continue;
        }
        if (incoming_.empty()) return;
        continue;
      case MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET:
        keep_ticket();
        continue;
      case 0:  // two records without content, which TLS allows (RFC 8446 5.1); of four in a row the library would fail
        engine_->ssl.MBEDTLS_PRIVATE(nb_zero) = 0;
        empty_records_ += 2;
        if (empty_records_ >= kMaxEmptyRecords) {
          state_ = State::failed;
          failure_ = {FailureKind::other, "TLS failed: too many empty records"};
          return;
        }
        continue;
      case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
        state_ = State::closed;
        return;
      default:
        return fail(result, MBEDTLS_SSL_HANDSHAKE_OVER);
    }
  }
}

void TlsSession::keep_ticket() {
  auto ticket = std::make_unique<TlsTicket::State>();
  mbedtls_ssl_session_init(&ticket->session);
  TlsTicket owner(std::move(ticket));
  if (mbedtls_ssl_get_session(&engine_->ssl, &owner.state_->session) != 0) return;
  if (!engine_->ticket_is_new(owner.state_->session)) return;
  owner.state_->fingerprint = engine_->server->context.fingerprint;
  owner.state_->usable_until = engine_->server->expiry;
  tickets_.push_back(std::move(owner));
}

void TlsSession::write(Bytes octets) {
  assert(state_ == State::established);
  while (!octets.empty()) {
    const int result = mbedtls_ssl_write(&engine_->ssl, octets.data(), octets.size());
    if (result <= 0) return fail(result, MBEDTLS_SSL_HANDSHAKE_OVER);
    octets = octets.subspan(static_cast<std::size_t>(result));
  }
}

void TlsSession::close() {
  if (state_ == State::established) mbedtls_ssl_close_notify(&engine_->ssl);
}

/// `at`: the state of the handshake in which the library failed.
void TlsSession::fail(int error, int at) {
  state_ = State::failed;
  const mbedtls_ssl_context& ssl = engine_->ssl;
  if (std::string words = alert_words(ssl, error); !words.empty()) {
    failure_ = {FailureKind::other, std::move(words)};
    return;
  }
  const bool is_client = engine_->server.has_value();
  if (is_client && at == MBEDTLS_SSL_SERVER_CERTIFICATE) {
    if (std::string words = certificate_message_words(ssl, error); !words.empty()) return refuse(std::move(words));
  }
  if (at == MBEDTLS_SSL_HANDSHAKE_OVER) {
    if (std::string words = unsupported_words(ssl); !words.empty()) {
      failure_ = {FailureKind::unsupported, std::move(words)};
      return;
    }
  }
  if (is_client && is_bad_proof(error, at))
    return refuse("the server does not prove that it has its certificate's key");
  failure_ = {FailureKind::other, "TLS failed: " + tls_error_text(error)};
}

bool TlsSession::failed_by_ticket() const {
  return state_ == State::failed && failure_.kind == FailureKind::unsupported && has_large_ticket(engine_->ssl);
}

std::vector<TlsTicket> TlsSession::take_tickets() { return std::exchange(tickets_, {}); }

bool TlsSession::resumed() const { return engine_->server && !engine_->server->judge.accepted(); }

std::string TlsSession::description() const {
  const bool is_13 = mbedtls_ssl_get_version_number(&engine_->ssl) == MBEDTLS_SSL_VERSION_TLS1_3;
  return std::string(is_13 ? "TLS 1.3, " : "TLS 1.2, ") + mbedtls_ssl_get_ciphersuite(&engine_->ssl) +
         (resumed() ? ", resumed" : "");
}

mbedtls_ssl_context& library_context(TlsSession& session) { return session.engine_->ssl; }

}  // namespace dotrelay
