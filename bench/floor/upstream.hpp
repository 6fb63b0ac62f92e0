// The floor's one TLS connection to the upstream: what is collected in a turn leaves in as few records and one send().
#pragma once

#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace floor_bench {

class Upstream {
 public:
  static constexpr std::size_t kBuffer = 1 << 20;

  // Connects and shakes hands; ends the program when that fails.
  Upstream(const std::string& address, std::uint16_t port, const char* ca_file, const char* name);
  Upstream(const Upstream&) = delete;
  Upstream& operator=(const Upstream&) = delete;

  int fd() const { return fd_; }

  // Room for a frame of at most `size` octets, which is then sent with the others of this turn.
  std::uint8_t* frame(std::size_t size);

  // Encrypts and sends what was collected.
  void flush();

  // Reads what is there and calls visit(message, size) for each frame.
  template <class Visit>
  void read(Visit visit) {
    receive();
    for (;;) {
      const int size = mbedtls_ssl_read(&ssl_, plain_.data() + plain_size_, plain_.size() - plain_size_);
      if (size == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) continue;
      if (size <= 0) {
        if (incoming_begin_ == incoming_size_) break;
        if (size == MBEDTLS_ERR_SSL_WANT_READ) continue;
        fail("ssl_read", size);
      }
      plain_size_ += static_cast<std::size_t>(size);
      std::size_t at = 0;
      while (plain_size_ - at >= 2) {
        const std::size_t length = static_cast<std::size_t>(plain_[at]) << 8 | plain_[at + 1];
        if (plain_size_ - at - 2 < length) break;
        visit(&plain_[at + 2], length);
        at += 2 + length;
      }
      if (at != 0)
        std::copy(plain_.begin() + static_cast<std::ptrdiff_t>(at),
                  plain_.begin() + static_cast<std::ptrdiff_t>(plain_size_), plain_.begin());
      plain_size_ -= at;
    }
  }

 private:
  static int send(void* self, const unsigned char* octets, std::size_t size);
  static int receive_from(void* self, unsigned char* buffer, std::size_t size);
  [[noreturn]] static void fail(const char* what, int error);
  void receive();
  void send_all();

  int fd_;
  mbedtls_ssl_context ssl_;
  mbedtls_ssl_config config_;
  mbedtls_x509_crt ca_;
  std::vector<std::uint8_t> incoming_, outgoing_, unencrypted_, plain_;
  std::size_t incoming_begin_ = 0, incoming_size_ = 0, outgoing_size_ = 0, unencrypted_size_ = 0, plain_size_ = 0;
};

}  // namespace floor_bench
