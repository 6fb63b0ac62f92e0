// A client and a server that meet in memory: no sockets, no threads, one octet at a time if the test likes. What fails
// while they are set up throws.
#pragma once

#include "tls/certificates.hpp"
#include "tls/tls_client_context.hpp"
#include "tls/tls_library.hpp"
#include "tls/tls_server_context.hpp"
#include "tls/tls_session.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace dotrelay::test {

/// What is in `result`.
template <class T>
T value_of(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(*result);
}

inline void need_tls_library() {
  static const bool started = start_tls_library();
  if (!started) throw std::runtime_error("the TLS library does not start");
}

struct ServerOptions {
  std::string certificate = "good";
  bool tls_13 = true;
  bool tickets = true;
  std::string protocol = "dot";
  std::string key = {};  ///< the name of the key's file, when it is not the certificate's
};

/// A server with a certificate of CertificateStore.
class ServerSide {
 public:
  explicit ServerSide(const ServerOptions& options = {}) {
    need_tls_library();
    const Certificates& files = Certificates::get();
    const std::string& key = options.key.empty() ? options.certificate : options.key;
    context_ = value_of(TlsServerContext::load({.certificate_file = files.path(options.certificate + ".chain"),
                                                .key_file = files.path(key + ".key"),
                                                .tickets = options.tickets,
                                                .tls_13 = options.tls_13,
                                                .protocol = options.protocol}));
  }
  [[nodiscard]] const TlsServerContext& context() const { return *context_; }

 private:
  std::unique_ptr<TlsServerContext> context_;
};

/// Client settings for a server of CertificateStore.
class ClientSide {
 public:
  explicit ClientSide(std::string server_name = "upstream.test", const std::string& ca = "test-ca.pem",
                      std::vector<PublicKeyPin> pins = {}) {
    need_tls_library();
    if (!ca.empty()) bundle_ = value_of(CaBundle::load(Certificates::get().path(ca)));
    context_.emplace(TlsClientSettings{
        .server_name = std::move(server_name), .authorities = bundle_.get(), .pins = std::move(pins)});
  }
  [[nodiscard]] const TlsClientContext& context() const { return *context_; }

 private:
  std::unique_ptr<CaBundle> bundle_;
  std::optional<TlsClientContext> context_;
};

/// What a session writes waits in its outgoing() until it is carried over.
struct TlsPair {
  TlsPair(const ServerSide& server_side, const ClientSide& client_side, std::optional<TlsTicket> ticket = std::nullopt,
          bool wants_tickets = true)
      : client(client_side.context(), std::move(ticket), wants_tickets), server(server_side.context()) {}

  TlsSession client;
  TlsSession server;
  std::size_t chunk = SIZE_MAX;  ///< octets that arrive at a time

  /// Lets `to` have what `from` has said.
  void carry(TlsSession& from, TlsSession& to) const {
    while (!from.outgoing().empty()) {
      const std::size_t size = std::min(chunk, from.outgoing().size());
      to.incoming().append(from.outgoing().bytes().first(size));
      from.outgoing().consume(size);
      to.advance();
    }
  }
  void to_client() { carry(server, client); }
  void to_server() { carry(client, server); }

  /// Carries octets until neither side has more to say. Returns the client's state.
  TlsSession::State run() {
    client.advance();
    while (!client.outgoing().empty() || !server.outgoing().empty()) {
      to_server();
      to_client();
    }
    return client.state();
  }
};

}  // namespace dotrelay::test
