// One TLS connection of the upstream: handshake, DNS frames in, octets out. It owns the descriptor and the session.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <string>

namespace faults {

// A server's context with ALPN "dot" and session tickets; ends the program when the files are unusable.
SSL_CTX* make_tls_context(const char* chain_file, const char* key_file);

class TlsConnection {
 public:
  TlsConnection(SSL_CTX* context, int descriptor);
  TlsConnection(const TlsConnection&) = delete;
  TlsConnection& operator=(const TlsConnection&) = delete;
  ~TlsConnection();

  // Goes on with the handshake or reads what is there, and sends what could not be sent before.
  void on_event();
  bool next_message(std::string& message);
  // A frame: a record of its own, as resolvers send them (some forwarders lose answers that share one). It leaves with
  // flush().
  void send(const std::string& frame);
  void flush();
  // close_notify, then FIN. Nothing else may be called after it.
  void close_in_order();

  int descriptor() const { return descriptor_; }
  bool ready() const { return ready_; }
  bool closed() const { return closed_; }
  bool resumed() const { return SSL_session_reused(session_) == 1; }
  bool wants_write() const { return !unsent_.empty(); }
  std::int64_t active() const { return active_ns_; }
  void set_active(std::int64_t now_ns) { active_ns_ = now_ns; }

  std::uint32_t watched = 0;  // what epoll was asked for

 private:
  // Whether the operation only has to be repeated later; otherwise the connection is closed.
  bool later(int result);

  SSL* session_;
  int descriptor_;
  BIO* records_;  // encrypted, to be sent
  bool ready_ = false, closed_ = false;
  std::int64_t active_ns_ = 0;
  std::string received_, unsent_;
  std::size_t position_ = 0;  // of what was read, in received_
  std::size_t sent_ = 0;      // of what was sent, in unsent_
};

}  // namespace faults
