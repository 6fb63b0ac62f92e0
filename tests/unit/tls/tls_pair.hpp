// A TLS client of the relay and an Mbed TLS server that meet in memory: no sockets, no threads, one octet at a time if
// the test likes.
#pragma once

#include "certificates.hpp"
#include "tls/tls_internal.hpp"
#include "tls/tls_library.hpp"
#include "tls/tls_session.hpp"

#include <algorithm>
#include <cstring>
#include <doctest/doctest.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ticket.h>
#include <psa/crypto.h>

// Of the library's own headers: how a server says what its functions would not.
extern "C" int mbedtls_ssl_write_record(mbedtls_ssl_context* ssl, int force_flush);

namespace dotrelay::test {

inline int system_random(void*, unsigned char* buffer, std::size_t size) {
  return psa_generate_random(buffer, size) == PSA_SUCCESS ? 0 : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

struct ServerOptions {
  std::string certificate = "good";
  bool tls_13 = true;
  bool tickets = true;
  const char* alpn = "dot";
  std::string key = {};  ///< the name of the key's file, when it is not the certificate's
};

/// What a server keeps between connections: certificate and ticket keys.
class TlsServer {
 public:
  explicit TlsServer(const ServerOptions& options = {}) {
    static const bool started = start_tls_library();
    REQUIRE(started);
    const Certificates& files = Certificates::get();
    mbedtls_x509_crt_init(&chain_);
    mbedtls_pk_init(&key_);
    mbedtls_ssl_config_init(&config_);
    mbedtls_ssl_ticket_init(&tickets_);
    const std::string chain = read(files.path(options.certificate + ".chain"));
    const std::string key = read(files.path((options.key.empty() ? options.certificate : options.key) + ".key"));
    REQUIRE(mbedtls_x509_crt_parse(&chain_, octets(chain), chain.size() + 1) == 0);
    REQUIRE(mbedtls_pk_parse_key(&key_, octets(key), key.size() + 1, nullptr, 0, system_random, nullptr) == 0);
    mbedtls_ssl_config_defaults(&config_, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
                                MBEDTLS_SSL_PRESET_DEFAULT);
    mbedtls_ssl_conf_rng(&config_, system_random, nullptr);
    mbedtls_ssl_conf_authmode(&config_, MBEDTLS_SSL_VERIFY_NONE);
    REQUIRE(mbedtls_ssl_conf_own_cert(&config_, &chain_, &key_) == 0);
    mbedtls_ssl_conf_max_tls_version(&config_,
                                     options.tls_13 ? MBEDTLS_SSL_VERSION_TLS1_3 : MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_tls13_key_exchange_modes(&config_, MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_ALL);
    alpn_[0] = options.alpn;
    if (options.alpn != nullptr) mbedtls_ssl_conf_alpn_protocols(&config_, alpn_);
    mbedtls_ssl_conf_sni(&config_, remember_name, this);
    if (options.tickets) {
      REQUIRE(mbedtls_ssl_ticket_setup(&tickets_, system_random, nullptr, MBEDTLS_CIPHER_AES_256_GCM, 3600) == 0);
      mbedtls_ssl_conf_session_tickets_cb(&config_, mbedtls_ssl_ticket_write, mbedtls_ssl_ticket_parse, &tickets_);
    } else {
      mbedtls_ssl_conf_new_session_tickets(&config_, 0);
    }
  }
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;
  ~TlsServer() {
    mbedtls_ssl_ticket_free(&tickets_);
    mbedtls_ssl_config_free(&config_);
    mbedtls_pk_free(&key_);
    mbedtls_x509_crt_free(&chain_);
  }

  [[nodiscard]] const mbedtls_ssl_config& config() const { return config_; }

  std::string asked_name;  ///< the SNI of the latest handshake, or empty

 private:
  static std::string read(const std::string& path) {
    std::FILE* const file = std::fopen(path.c_str(), "r");
    REQUIRE(file != nullptr);
    std::string text(65536, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), file));
    std::fclose(file);
    return text;
  }
  static const unsigned char* octets(const std::string& text) {
    return reinterpret_cast<const unsigned char*>(text.c_str());
  }
  static int remember_name(void* self, mbedtls_ssl_context*, const unsigned char* name, std::size_t size) {
    static_cast<TlsServer*>(self)->asked_name.assign(reinterpret_cast<const char*>(name), size);
    return 0;
  }

  mbedtls_x509_crt chain_;
  mbedtls_pk_context key_;
  mbedtls_ssl_config config_;
  mbedtls_ssl_ticket_context tickets_;
  const char* alpn_[2] = {nullptr, nullptr};
};

/// Client settings for a server of CertificateStore.
class ClientSide {
 public:
  explicit ClientSide(std::string server_name = "upstream.test", const std::string& ca = "test-ca.pem",
                      std::vector<PublicKeyPin> pins = {}) {
    REQUIRE(start_tls_library());
    if (!ca.empty()) {
      auto loaded = CaBundle::load(Certificates::get().path(ca));
      REQUIRE(loaded);
      bundle_ = std::move(*loaded);
    }
    context_.emplace(TlsClientSettings{
        .server_name = std::move(server_name), .authorities = bundle_.get(), .pins = std::move(pins)});
  }
  [[nodiscard]] const TlsClientContext& context() const { return *context_; }

 private:
  std::unique_ptr<CaBundle> bundle_;
  std::optional<TlsClientContext> context_;
};

/// The pin of the first certificate in a file.
inline PublicKeyPin pin_of(const std::string& file) {
  REQUIRE(start_tls_library());
  auto bundle = CaBundle::load(Certificates::get().path(file));
  REQUIRE(bundle);
  mbedtls_x509_crt certificate;
  mbedtls_x509_crt_init(&certificate);
  std::FILE* const opened = std::fopen(Certificates::get().path(file).c_str(), "r");
  REQUIRE(opened != nullptr);
  std::string text(65536, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), opened));
  std::fclose(opened);
  REQUIRE(mbedtls_x509_crt_parse(&certificate, reinterpret_cast<const unsigned char*>(text.c_str()), text.size() + 1) ==
          0);
  PublicKeyPin pin{};
  std::size_t size = 0;
  psa_hash_compute(PSA_ALG_SHA_256, certificate.pk_raw.p, certificate.pk_raw.len, pin.data(), pin.size(), &size);
  mbedtls_x509_crt_free(&certificate);
  return pin;
}

class TlsPair {
 public:
  TlsPair(const TlsServer& server, const ClientSide& side, std::optional<TlsTicket> ticket = std::nullopt,
          bool wants_tickets = true)
      : client(side.context(), std::move(ticket), wants_tickets) {
    mbedtls_ssl_init(&server_);
    REQUIRE(mbedtls_ssl_setup(&server_, &server.config()) == 0);
    mbedtls_ssl_set_bio(&server_, this, send, receive, nullptr);
  }
  TlsPair(const TlsPair&) = delete;
  TlsPair& operator=(const TlsPair&) = delete;
  ~TlsPair() { mbedtls_ssl_free(&server_); }

  TlsSession client;
  std::size_t chunk = SIZE_MAX;  ///< octets that reach the client at a time
  bool server_done = false;
  int server_error = 0;

  /// Moves octets until neither side has more to say. Returns the client's state.
  TlsSession::State run() {
    for (int turn = 0; turn < 40; ++turn) {
      client.advance();
      const Bytes out = client.outgoing().bytes();
      to_server_.append(out);
      client.outgoing().clear();
      serve();
      if (to_client_.empty() && to_server_.empty()) break;
      deliver();
    }
    return client.state();
  }

  void deliver() {
    while (!to_client_.empty()) {
      const std::size_t size = std::min(chunk, to_client_.size());
      client.incoming().append(to_client_.bytes().first(size));
      to_client_.consume(size);
      client.advance();
    }
  }

  /// The server says `octets`; they wait until run() or deliver().
  void server_writes(Bytes octets) {
    while (!octets.empty()) {
      const int count = mbedtls_ssl_write(&server_, octets.data(), octets.size());
      REQUIRE(count > 0);
      octets = octets.subspan(static_cast<std::size_t>(count));
    }
  }
  void server_writes_nothing() { REQUIRE(mbedtls_ssl_write(&server_, nullptr, 0) == 0); }
  /// Octets of handshake messages, in records of up to 4,000.
  void server_sends_handshake(Bytes octets) {
    while (!octets.empty()) {
      const Bytes part = octets.first(std::min<std::size_t>(octets.size(), 4000));
      server_.MBEDTLS_PRIVATE(out_msgtype) = MBEDTLS_SSL_MSG_HANDSHAKE;
      server_.MBEDTLS_PRIVATE(out_msglen) = part.size();
      std::memcpy(server_.MBEDTLS_PRIVATE(out_msg), part.data(), part.size());
      REQUIRE(mbedtls_ssl_write_record(&server_, 1) == 0);
      octets = octets.subspan(part.size());
    }
  }
  void server_sends_alert(std::uint8_t alert) {
    REQUIRE(mbedtls_ssl_send_alert_message(&server_, MBEDTLS_SSL_ALERT_LEVEL_FATAL, alert) == 0);
  }
  void server_says_goodbye() { mbedtls_ssl_close_notify(&server_); }

  mbedtls_ssl_context& server() { return server_; }
  ByteQueue& to_client() { return to_client_; }
  std::vector<std::uint8_t> server_read;

 private:
  void serve() {
    if (server_error != 0) return to_server_.clear();
    if (!server_done) {
      const int result = mbedtls_ssl_handshake(&server_);
      if (result == MBEDTLS_ERR_SSL_WANT_READ) return;
      server_error = result;
      if (result != 0) return;
      server_done = true;
    }
    for (;;) {
      std::uint8_t buffer[16384];
      const int count = mbedtls_ssl_read(&server_, buffer, sizeof buffer);
      if (count <= 0) {
        if (count != MBEDTLS_ERR_SSL_WANT_READ) server_error = count;
        return;
      }
      server_read.insert(server_read.end(), buffer, buffer + count);
    }
  }

  static int send(void* self, const unsigned char* data, std::size_t size) {
    static_cast<TlsPair*>(self)->to_client_.append({data, size});
    return static_cast<int>(size);
  }
  static int receive(void* self, unsigned char* buffer, std::size_t size) {
    ByteQueue& queue = static_cast<TlsPair*>(self)->to_server_;
    if (queue.empty()) return MBEDTLS_ERR_SSL_WANT_READ;
    size = std::min(size, queue.size());
    std::memcpy(buffer, queue.bytes().data(), size);
    queue.consume(size);
    return static_cast<int>(size);
  }

  mbedtls_ssl_context server_;
  ByteQueue to_client_;
  ByteQueue to_server_;
};

}  // namespace dotrelay::test
