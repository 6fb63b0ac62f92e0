#include "upstream.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <psa/crypto.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

namespace floor_bench {
namespace {

int psa_random(void*, unsigned char* output, std::size_t size) { return psa_generate_random(output, size); }

// The relay's own order on a CPU with AES instructions.
constexpr int kSuites[] = {MBEDTLS_TLS1_3_AES_128_GCM_SHA256, MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256, 0};

}  // namespace

void Upstream::fail(const char* what, int error) {
  std::fprintf(stderr, "bench-floor: %s: -0x%x %s\n", what, static_cast<unsigned>(-error), std::strerror(errno));
  std::exit(1);
}

Upstream::Upstream(const std::string& address, std::uint16_t port, const char* ca_file, const char* name)
    : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)),
      incoming_(kBuffer),
      outgoing_(kBuffer + kBuffer / 8),
      unencrypted_(kBuffer),
      plain_(kBuffer) {
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  peer.sin_port = htons(port);
  inet_pton(AF_INET, address.c_str(), &peer.sin_addr);
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&peer), sizeof peer) != 0) fail("connect", 0);
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);

  if (psa_crypto_init() != PSA_SUCCESS) fail("psa_crypto_init", 0);
  mbedtls_x509_crt_init(&ca_);
  std::ifstream file(ca_file);
  const std::string pem((std::istreambuf_iterator<char>(file)), {});
  if (const int error =
          mbedtls_x509_crt_parse(&ca_, reinterpret_cast<const unsigned char*>(pem.c_str()), pem.size() + 1)) {
    fail(ca_file, error);
  }
  mbedtls_ssl_config_init(&config_);
  mbedtls_ssl_config_defaults(&config_, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                              MBEDTLS_SSL_PRESET_DEFAULT);
  mbedtls_ssl_conf_rng(&config_, psa_random, nullptr);
  mbedtls_ssl_conf_ca_chain(&config_, &ca_, nullptr);
  mbedtls_ssl_conf_ciphersuites(&config_, kSuites);
  static const char* alpn[] = {"dot", nullptr};
  mbedtls_ssl_conf_alpn_protocols(&config_, alpn);
  mbedtls_ssl_init(&ssl_);
  mbedtls_ssl_setup(&ssl_, &config_);
  mbedtls_ssl_set_hostname(&ssl_, name);
  mbedtls_ssl_set_bio(&ssl_, this, send, receive_from, nullptr);
  for (;;) {
    const int result = mbedtls_ssl_handshake(&ssl_);
    send_all();
    if (result == 0) break;
    if (result != MBEDTLS_ERR_SSL_WANT_READ) fail("handshake", result);
    receive();
  }
}

int Upstream::send(void* self, const unsigned char* octets, std::size_t size) {
  auto& upstream = *static_cast<Upstream*>(self);
  if (upstream.outgoing_.size() - upstream.outgoing_size_ < size) fail("too much to send", 0);
  std::memcpy(upstream.outgoing_.data() + upstream.outgoing_size_, octets, size);
  upstream.outgoing_size_ += size;
  return static_cast<int>(size);
}

int Upstream::receive_from(void* self, unsigned char* buffer, std::size_t size) {
  auto& upstream = *static_cast<Upstream*>(self);
  const std::size_t there = upstream.incoming_size_ - upstream.incoming_begin_;
  if (there == 0) return MBEDTLS_ERR_SSL_WANT_READ;
  size = std::min(size, there);
  std::memcpy(buffer, upstream.incoming_.data() + upstream.incoming_begin_, size);
  upstream.incoming_begin_ += size;
  return static_cast<int>(size);
}

void Upstream::receive() {
  if (incoming_begin_ == incoming_size_) incoming_begin_ = incoming_size_ = 0;
  // Before the first question the socket still blocks, which the handshake makes use of.
  const ssize_t size = recv(fd_, incoming_.data() + incoming_size_, std::size_t{64} * 1024, 0);
  if (size > 0) incoming_size_ += static_cast<std::size_t>(size);
  if (size == 0 || (size < 0 && errno != EAGAIN)) fail("the upstream has gone", 0);
}

std::uint8_t* Upstream::frame(std::size_t size) {
  if (unencrypted_.size() - unencrypted_size_ < size + 2) fail("too many questions in a turn", 0);
  std::uint8_t* const begin = unencrypted_.data() + unencrypted_size_;
  begin[0] = static_cast<std::uint8_t>(size >> 8);
  begin[1] = static_cast<std::uint8_t>(size);
  unencrypted_size_ += size + 2;
  return begin + 2;
}

void Upstream::flush() {
  for (std::size_t done = 0; done < unencrypted_size_;) {
    const int size = mbedtls_ssl_write(&ssl_, unencrypted_.data() + done, unencrypted_size_ - done);
    if (size <= 0) fail("ssl_write", size);
    done += static_cast<std::size_t>(size);
  }
  unencrypted_size_ = 0;
  if (outgoing_size_ > 0) send_all();
}

// Waits when the kernel takes no more: the load keeps few questions in flight, so it never does.
void Upstream::send_all() {
  for (std::size_t done = 0; done < outgoing_size_;) {
    const ssize_t size = ::send(fd_, outgoing_.data() + done, outgoing_size_ - done, MSG_NOSIGNAL);
    if (size > 0) done += static_cast<std::size_t>(size);
    if (size <= 0 && errno != EAGAIN) fail("send", 0);
  }
  outgoing_size_ = 0;
}

}  // namespace floor_bench
