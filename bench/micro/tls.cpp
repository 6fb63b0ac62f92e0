// What TLS costs once a connection is made: records out and in, with both ends in memory. The certificates are those of
// the tests, made when the first of these benchmarks begins.
#include "measuring.hpp"
#include "samples.hpp"
#include "tls/tls_pair.hpp"

#include <algorithm>
#include <vector>

namespace dotrelay::bench {
namespace {

/// Both ends of an established session. What one of them says stays with it until it is carried over.
struct Established {
  Established() { check(pair.run() == TlsSession::State::established, "the handshake succeeds"); }

  test::ServerSide server{{.tickets = false}};
  test::ClientSide client;
  test::TlsPair pair{server, client};
};

/// Queries leave in one write at the end of a turn. The library makes records of at most 4,096 octets of them.
void encrypt(benchmark::State& state) {
  const auto messages = static_cast<std::size_t>(state.range(0));
  const Octets octets = frames(messages, kUpstreamQuery);
  Established session;
  TlsSession& client = session.pair.client;
  TlsSession& server = session.pair.server;
  client.write(octets);
  session.pair.to_server();
  check(std::ranges::equal(server.plaintext().bytes(), octets), "the server reads what the client writes");
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
  Established session;
  TlsSession& client = session.pair.client;
  TlsSession& server = session.pair.server;
  std::vector<Octets> reads(kReads);
  for (auto _ : state) {
    for (Octets& read : reads) {
      for (std::size_t i = 0; i < records; ++i) server.write(octets);
      const Bytes said = server.outgoing().bytes();
      read.assign(said.begin(), said.end());
      server.outgoing().clear();
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
