// One TLS session, of a client or of a server, without any I/O: records go in and out through two byte queues,
// plaintext comes out through a third and goes in through write(). So a client and a server can meet in memory in a
// test.
#pragma once

#include "base/byte_queue.hpp"
#include "tls/tls_client_context.hpp"
#include "tls/tls_ticket.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

struct mbedtls_ssl_context;

namespace dotrelay {

class TlsServerContext;

class TlsSession {
 public:
  enum class State : std::uint8_t {
    handshaking,
    established,
    closed,  ///< the peer has sent close_notify
    failed,
  };

  enum class FailureKind : std::uint8_t {
    authentication,
    unsupported,  ///< after the handshake, the peer did what TLS allows and the library cannot; see failure().text
    other,
  };
  struct Failure {
    FailureKind kind = FailureKind::other;
    std::string text;
  };

  /// A client's session. `context` outlives it. A ticket of a context that trusts others or expects another name is not
  /// used. The server is not asked for tickets when none are wanted.
  TlsSession(const TlsClientContext& context, std::optional<TlsTicket> ticket, bool wants_tickets = true);
  /// A server's session. `context` outlives it.
  explicit TlsSession(const TlsServerContext& context);
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;
  ~TlsSession();

  [[nodiscard]] State state() const { return state_; }

  /// Records from the peer: append, then call advance().
  ByteQueue& incoming() { return incoming_; }
  /// Records for the peer: send and consume.
  ByteQueue& outgoing() { return outgoing_; }

  /// Goes as far as what has come in allows: the handshake, then decryption, which appends to plaintext().
  void advance();

  /// Decrypted octets: consume what was used.
  ByteQueue& plaintext() { return plaintext_; }

  /// Encrypts all of `octets` to outgoing(). Only when established.
  void write(Bytes octets);

  /// Says goodbye to the peer (close_notify) when established.
  void close();

  /// Only when failed.
  [[nodiscard]] const Failure& failure() const { return failure_; }

  /// The tickets that have come since the last call; a server gets none.
  std::vector<TlsTicket> take_tickets();

  /// Whether the session failed because of a ticket that was too large for the library.
  [[nodiscard]] bool failed_by_ticket() const;

  /// Whether a client's handshake resumed an earlier session. Only when established.
  [[nodiscard]] bool resumed() const;
  /// "TLS 1.3, TLS1-3-AES-128-GCM-SHA256". Only when established.
  [[nodiscard]] std::string description() const;

 private:
  struct Engine;
  friend mbedtls_ssl_context& library_context(TlsSession& session);

  [[gnu::cold]] void handshake();
  [[gnu::cold]] void conclude_client_handshake();
  void decrypt();
  [[gnu::cold]] void keep_ticket();
  [[gnu::cold]] bool judge_server();
  [[gnu::cold]] void refuse(std::string words);
  [[gnu::cold]] void fail(int error, int at);

  std::unique_ptr<Engine> engine_;
  State state_ = State::handshaking;
  Failure failure_;
  ByteQueue incoming_;
  ByteQueue outgoing_;
  ByteQueue plaintext_;
  std::vector<TlsTicket> tickets_;
  std::uint32_t empty_records_ = 0;  ///< in a row
};

}  // namespace dotrelay
