// A DNS-over-TLS server on loopback, on the loop of the test: it does what the test tells it with each connection.
#pragma once

#include "dns/framing.hpp"
#include "net/loop.hpp"
#include "net/loopback.hpp"
#include "net/tcp_stream.hpp"
#include "tls/tls_pair.hpp"

#include <doctest/doctest.h>
#include <list>
#include <optional>
#include <sys/socket.h>
#include <utility>
#include <vector>

namespace dotrelay::test {

using Octets = std::vector<std::uint8_t>;

class DotServer : private PollListener {
 public:
  /// What it does with a connection.
  enum class Manner : std::uint8_t {
    serves,
    closes_on_hello,  ///< as soon as the client has said anything
    says_garbage,     ///< no TLS
  };

  DotServer(Loop& loop, const ServerSide& side)
      : loop_(loop), side_(side), listener_(listener(loopback(), Protocol::tcp)) {
    poller_.emplace(loop, listener_.get(), static_cast<PollListener&>(*this));
    poller_->watch(true, false);
  }

  [[nodiscard]] Endpoint endpoint() const { return bound_to(listener_); }

  /// To all clients whose sessions are established, as one frame in a record.
  void answer(const Octets& message) {
    for (Client& client : clients_) client.answer(message);
  }
  /// Says goodbye on all connections and closes them.
  void close_all() {
    for (Client& client : clients_) client.say_goodbye();
    clients_.clear();
  }
  void stop_listening() {
    poller_.reset();
    listener_.reset();
  }

  Manner next = Manner::serves;  ///< with the next one, and then it serves
  std::size_t accepted = 0;
  std::size_t established = 0;
  std::vector<Octets> queries;  ///< in the order in which they came
  std::size_t records = 0;      ///< reads that brought queries

 private:
  class Client : private PollListener {
   public:
    Client(DotServer& server, UniqueFd fd)
        : server_(server),
          manner_(std::exchange(server.next, Manner::serves)),
          stream_(server.loop_, std::move(fd), *this),
          session_(server.side_.context()) {
      stream_.watch(true, false);
    }

    void answer(const Octets& message) {
      if (session_.state() != TlsSession::State::established) return;
      Octets frame;
      const auto prefix = dns::frame_prefix(message.size());
      frame.insert(frame.end(), prefix.begin(), prefix.end());
      frame.insert(frame.end(), message.begin(), message.end());
      session_.write(frame);
      stream_.write(session_.outgoing());
    }
    void say_goodbye() {
      session_.close();
      stream_.write(session_.outgoing());
    }

   private:
    void on_poll(bool, bool) noexcept override {
      const MutableBytes buffer = server_.loop_.scratch();
      const TcpStream::ReadResult result = stream_.read(buffer);
      if (result.status == TcpStream::ReadStatus::nothing_yet) return;
      if (result.status != TcpStream::ReadStatus::data || manner_ == Manner::closes_on_hello)
        return server_.forget(*this);
      if (manner_ == Manner::says_garbage) {
        ByteQueue garbage;
        garbage.append(Octets(64, 'x'));
        stream_.write(garbage);
        return;
      }
      const TlsSession::State before_that = session_.state();
      session_.incoming().append(buffer.first(result.size));
      session_.advance();
      server_.established += session_.state() == TlsSession::State::established && before_that != session_.state();
      stream_.write(session_.outgoing());
      const std::size_t before = server_.queries.size();
      while (const auto message = dns::first_frame(session_.plaintext().bytes())) {
        server_.queries.emplace_back(message->begin(), message->end());
        session_.plaintext().consume(dns::kFramePrefix + message->size());
      }
      server_.records += server_.queries.size() != before;
    }

    DotServer& server_;
    const Manner manner_;
    TcpStream stream_;
    TlsSession session_;
  };

  void on_poll(bool, bool) noexcept override {
    UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) return;
    ++accepted;
    clients_.emplace_back(*this, std::move(fd));
  }
  void forget(const Client& gone) {
    clients_.remove_if([&](const Client& client) { return &client == &gone; });
  }

  Loop& loop_;
  const ServerSide& side_;
  UniqueFd listener_;
  std::optional<Poller> poller_;
  std::list<Client> clients_;
};

}  // namespace dotrelay::test
