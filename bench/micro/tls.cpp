// What TLS costs once a connection is made: records out and in, with both ends in memory. The certificates are those of
// the tests, made when the first of these benchmarks begins.
#include "measuring.hpp"
#include "samples.hpp"
#include "tls/certificates.hpp"
#include "tls/tls_library.hpp"
#include "tls/tls_session.hpp"

#include <cstring>
#include <fstream>
#include <iterator>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>
#include <psa/crypto.h>
#include <string>
#include <vector>

namespace dotrelay::bench {
namespace {

int system_random(void*, unsigned char* buffer, std::size_t size) {
  return psa_generate_random(buffer, size) == PSA_SUCCESS ? 0 : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

std::string read(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// As the library wants PEM: with the terminating NUL.
const unsigned char* octets(const std::string& text) { return reinterpret_cast<const unsigned char*>(text.c_str()); }

/// Both ends of an established session. What one of them says stays with it until it is carried over.
class TlsPair {
 public:
  TlsPair() {
    check(start_tls_library(), "the TLS library starts");
    const test::Certificates& files = test::Certificates::get();
    mbedtls_x509_crt_init(&chain_);
    mbedtls_pk_init(&key_);
    mbedtls_ssl_config_init(&config_);
    mbedtls_ssl_init(&server_);
    const std::string chain = read(files.path("good.chain"));
    const std::string key = read(files.path("good.key"));
    check(mbedtls_x509_crt_parse(&chain_, octets(chain), chain.size() + 1) == 0, "the chain is read");
    check(mbedtls_pk_parse_key(&key_, octets(key), key.size() + 1, nullptr, 0, system_random, nullptr) == 0,
          "the key is read");
    mbedtls_ssl_config_defaults(&config_, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
                                MBEDTLS_SSL_PRESET_DEFAULT);
    mbedtls_ssl_conf_rng(&config_, system_random, nullptr);
    mbedtls_ssl_conf_authmode(&config_, MBEDTLS_SSL_VERIFY_NONE);
    mbedtls_ssl_conf_new_session_tickets(&config_, 0);
    check(mbedtls_ssl_conf_own_cert(&config_, &chain_, &key_) == 0, "the server has a certificate");
    check(mbedtls_ssl_setup(&server_, &config_) == 0, "the server is set up");
    mbedtls_ssl_set_bio(&server_, this, send, receive, nullptr);

    auto authorities = CaBundle::load(files.path("test-ca.pem"));
    check(static_cast<bool>(authorities), "the authorities are read");
    authorities_ = std::move(*authorities);
    context_.emplace(TlsClientSettings{.server_name = "upstream.test", .authorities = authorities_.get(), .pins = {}});
    session_.emplace(*context_, std::nullopt);
    for (int turn = 0; turn < 10; ++turn) {
      session_->advance();
      if (mbedtls_ssl_is_handshake_over(&server_) == 0) mbedtls_ssl_handshake(&server_);
      session_->incoming().append(from_server.bytes());
      from_server.clear();
    }
    check(session_->state() == TlsSession::State::established && mbedtls_ssl_is_handshake_over(&server_) != 0,
          "the handshake succeeds");
  }
  TlsPair(const TlsPair&) = delete;
  TlsPair& operator=(const TlsPair&) = delete;
  ~TlsPair() {
    mbedtls_ssl_free(&server_);
    mbedtls_ssl_config_free(&config_);
    mbedtls_pk_free(&key_);
    mbedtls_x509_crt_free(&chain_);
  }

  TlsSession& client() { return *session_; }

  void server_writes(Bytes octets) {
    while (!octets.empty()) {
      const int count = mbedtls_ssl_write(&server_, octets.data(), octets.size());
      check(count > 0, "the server encrypts");
      octets = octets.subspan(static_cast<std::size_t>(count));
    }
  }

  /// What the client has said so far.
  Octets server_reads() {
    Octets octets;
    for (;;) {
      std::uint8_t buffer[16384];
      const int count = mbedtls_ssl_read(&server_, buffer, sizeof buffer);
      if (count <= 0) return octets;
      octets.insert(octets.end(), buffer, buffer + count);
    }
  }

  ByteQueue from_server;  ///< records that the client has not got yet

 private:
  static int send(void* self, const unsigned char* data, std::size_t size) {
    static_cast<TlsPair*>(self)->from_server.append({data, size});
    return static_cast<int>(size);
  }
  static int receive(void* self, unsigned char* buffer, std::size_t size) {
    ByteQueue& queue = static_cast<TlsPair*>(self)->session_->outgoing();
    if (queue.empty()) return MBEDTLS_ERR_SSL_WANT_READ;
    size = std::min(size, queue.size());
    std::memcpy(buffer, queue.bytes().data(), size);
    queue.consume(size);
    return static_cast<int>(size);
  }

  mbedtls_x509_crt chain_;
  mbedtls_pk_context key_;
  mbedtls_ssl_config config_;
  mbedtls_ssl_context server_;
  std::unique_ptr<CaBundle> authorities_;
  std::optional<TlsClientContext> context_;
  std::optional<TlsSession> session_;
};

/// Queries leave in one write at the end of a turn. The library makes records of at most 4,096 octets of them.
void encrypt(benchmark::State& state) {
  const auto messages = static_cast<std::size_t>(state.range(0));
  const Octets octets = frames(messages, kUpstreamQuery);
  TlsPair pair;
  TlsSession& client = pair.client();
  client.write(octets);
  check(pair.server_reads() == octets, "the server reads what the client writes");
  for (auto _ : state) {
    client.write(octets);
    benchmark::DoNotOptimize(client.outgoing().bytes().data());
    client.outgoing().clear();
  }
  check(client.state() == TlsSession::State::established, "everything was encrypted");
  count_items(state, messages);
  state.SetLabel(client.description());
}

/// One read of the socket brings `records` records of `answers` answers each, of `size` octets.
void decrypt(benchmark::State& state) {
  const auto records = static_cast<std::size_t>(state.range(0));
  const auto answers = static_cast<std::size_t>(state.range(1));
  const Octets octets = frames(answers, static_cast<std::size_t>(state.range(2)));
  constexpr std::size_t kReads = 32;  // each time that the clock is asked
  TlsPair pair;
  TlsSession& client = pair.client();
  std::vector<Octets> reads(kReads);
  for (auto _ : state) {
    for (Octets& read : reads) {
      for (std::size_t i = 0; i < records; ++i) pair.server_writes(octets);
      const Bytes said = pair.from_server.bytes();
      read.assign(said.begin(), said.end());
      pair.from_server.clear();
    }
    std::size_t decrypted = 0;
    const double begin = computed_seconds();
    for (const Octets& read : reads) {
      client.incoming().append(read);
      client.advance();
      decrypted += client.plaintext().size();
      benchmark::DoNotOptimize(client.plaintext().bytes().data());
      client.plaintext().clear();
    }
    state.SetIterationTime(computed_seconds() - begin);
    check(decrypted == kReads * records * octets.size(), "the client reads all that the server writes");
  }
  count_items(state, kReads * records * answers);
  state.SetLabel(client.description());
}

BENCHMARK(encrypt)->Name("tls/encrypt")->ArgName("queries")->Arg(1)->Arg(kBurst);
BENCHMARK(decrypt)
    ->Name("tls/decrypt")
    ->ArgNames({"records", "answers", "octets"})
    ->Args({1, 1, kPaddedAnswer})
    ->Args({1, 1, 126})
    ->Args({1, kBurst, 126})
    ->Args({kBurst, 1, kPaddedAnswer})
    ->UseManualTime();

}  // namespace
}  // namespace dotrelay::bench
