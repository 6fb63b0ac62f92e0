#include "tls_connection.hpp"

#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace faults {

namespace {

int select_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered, unsigned size,
                void*) {
  static constexpr unsigned char dot[] = {3, 'd', 'o', 't'};
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, dot, sizeof dot, offered, size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_NOACK;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

SSL_CTX* make_tls_context(const char* chain_file, const char* key_file) {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  if (context == nullptr || SSL_CTX_use_certificate_chain_file(context, chain_file) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1) {
    ERR_print_errors_fp(stderr);
    std::exit(1);
  }
  static constexpr unsigned char session_context[] = "faults";
  SSL_CTX_set_session_id_context(context, session_context, sizeof session_context);
  SSL_CTX_set_alpn_select_cb(context, select_alpn, nullptr);
  return context;
}

TlsConnection::TlsConnection(SSL_CTX* context, int descriptor)
    : session_(SSL_new(context)), descriptor_(descriptor), records_(BIO_new(BIO_s_mem())) {
  SSL_set_bio(session_, BIO_new_socket(descriptor, BIO_NOCLOSE), records_);
  SSL_set_accept_state(session_);
}

TlsConnection::~TlsConnection() {
  SSL_free(session_);
  close(descriptor_);
}

bool TlsConnection::later(int result) {
  const bool again = SSL_get_error(session_, result) == SSL_ERROR_WANT_READ;
  if (!again) closed_ = true;
  ERR_clear_error();
  return again;
}

void TlsConnection::on_event() {
  if (!ready_) {
    const int result = SSL_do_handshake(session_);
    flush();
    if (result != 1) {
      later(result);
      return;
    }
    ready_ = true;
  }
  flush();
  received_.erase(0, position_);
  position_ = 0;
  while (!closed_) {
    char buffer[16384];
    const int size = SSL_read(session_, buffer, sizeof buffer);
    if (size <= 0) {
      later(size);
      return;
    }
    received_.append(buffer, static_cast<std::size_t>(size));
  }
}

bool TlsConnection::next_message(std::string& message) {
  const auto* octets = reinterpret_cast<const unsigned char*>(received_.data());
  const std::size_t left = received_.size() - position_;
  if (left < 2) return false;
  const auto size = static_cast<std::size_t>(octets[position_] << 8 | octets[position_ + 1]);
  if (left < 2 + size) return false;
  message.assign(received_, position_ + 2, size);
  position_ += 2 + size;
  return true;
}

void TlsConnection::send(const std::string& frame) {
  // Into memory: all of it, in several records when it is longer than one.
  if (!closed_) SSL_write(session_, frame.data(), static_cast<int>(frame.size()));
}

void TlsConnection::flush() {
  if (const std::size_t fresh = BIO_ctrl_pending(records_); fresh > 0) {
    const std::size_t before = unsent_.size();
    unsent_.resize(before + fresh);
    BIO_read(records_, unsent_.data() + before, static_cast<int>(fresh));
  }
  while (sent_ < unsent_.size() && !closed_) {
    const ssize_t size = ::send(descriptor_, unsent_.data() + sent_, unsent_.size() - sent_, MSG_NOSIGNAL);
    if (size < 0 && errno != EAGAIN && errno != EINTR) closed_ = true;
    if (size < 0) break;
    sent_ += static_cast<std::size_t>(size);
  }
  // What was sent is forgotten now and then: moving megabytes for each record would be slow.
  if (2 * sent_ < unsent_.size()) return;
  unsent_.erase(0, sent_);
  sent_ = 0;
}

void TlsConnection::close_in_order() {
  SSL_shutdown(session_);
  flush();
  closed_ = true;
}

}  // namespace faults
