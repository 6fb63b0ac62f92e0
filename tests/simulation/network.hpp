// The network between the relay's workers and the upstream hosts, with TCP's habits and none of its octets: messages
// arrive in order, losses become delays, acknowledgements come or do not. It implements the forwarder's Dialer and
// Connection; what a server does with a query is in server.hpp.
#pragma once

#include "checker.hpp"
#include "plan.hpp"
#include "relay/connection.hpp"
#include "timeline.hpp"
#include "transcript.hpp"
#include "wire.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <string>

namespace dotrelay::simulation {

/// One dial and what became of it, as the world knows it. It outlives the forwarder's connection.
struct Line {
  std::size_t number = 0;
  std::size_t worker = 0;
  std::size_t upstream = 0;
  std::size_t address = 0;
  const HostPlan* host = nullptr;
  ConnectionHandle handle;

  // The relay's end. The relay is told of a change in the same moment in which it can see it.
  Connection::State state = Connection::State::connecting;
  Connection::State visible_state = Connection::State::connecting;
  CloseReason reason;
  std::deque<Octets> inbox;  ///< frames that the relay has not read yet
  bool known_ready = false;  ///< the relay has been told
  bool notifying = false;    ///< it is about to be told something
  bool gone = false;         ///< it has destroyed the connection
  bool route_changed = false;
  Reserved reserved;

  // The way.
  TimePoint dead_since = kNever;  ///< nothing arrives from then on, in either direction
  TimePoint last_out;             ///< arrival of the latest message, so that none overtakes another
  TimePoint last_in;
  struct Unacknowledged {
    TimePoint sent_at;
    TimePoint arrives;
    TimePoint acknowledged_at;
    bool lost = false;  ///< at least once on its way
  };
  std::deque<Unacknowledged> unacknowledged;
  TimePoint last_acknowledgement;
  bool overdue = false;  ///< the oldest of them was, at the latest look

  // The server's end.
  std::vector<Octets> queries;
  bool forgotten = false;  ///< the server has restarted: it resets what it gets
  bool closed = false;     ///< by the server
  unsigned unread = 0;     ///< queries sent while it does not read
  unsigned open = 0;       ///< queries that it works on
  unsigned answered = 0;
  TimePoint last_activity;

  bool tcp_connected = false;
};

class Network {
 public:
  /// `notify` tells a worker that a connection has news. The references outlive the network.
  Network(const Plan& plan, Timeline& timeline, Transcript& transcript, Checker& checker, Random& random,
          std::function<void(Line&)> notify);

  /// What the server at the other end does when the connection is made.
  std::function<void(Line&)> on_established;
  /// What it does when a query has arrived.
  std::function<void(Line&, std::size_t query)> on_query;

  /// Counts the changes of the machine's routes, all at once.
  std::uint32_t way = 1;

  std::unique_ptr<Connection> dial(std::size_t worker, std::size_t upstream, std::size_t address,
                                   ConnectionHandle handle);

  /// The server sends a frame now.
  void deliver(Line& line, Octets frame);

  /// The server, or its host, ends the connection now; the relay hears of it a way later.
  void end(Line& line, CloseKind kind, std::string text);

  /// All connections to a host that are or were alive.
  template <class Visit>
  void for_each_open(Visit visit) {
    for (Line& line : lines_) {
      if (!line.gone && line.state != Connection::State::closed) visit(line);
    }
  }

  // The relay's end of a line.
  bool send(Line& line, Bytes message);
  std::optional<Octets> read(Line& line);
  PathState path(Line& line, TimePoint now, Duration delay);
  void destroy(Line& line);

 private:
  [[nodiscard]] TimePoint arrival(const HostPlan& host, TimePoint sent);
  [[nodiscard]] Duration acknowledgement_delay(const HostPlan& host, TimePoint at);
  [[nodiscard]] bool dead(const Line& line) const { return line.dead_since <= timeline_.now(); }
  void begin_handshake(Line& line, TimePoint at);
  void begin_tls(Line& line);
  void finish_handshake(Line& line);
  void close(Line& line, CloseKind kind, std::string text);
  void tell(Line& line);

  const Plan& plan_;
  Timeline& timeline_;
  Transcript& transcript_;
  Checker& checker_;
  Random& random_;
  std::function<void(Line&)> notify_;
  std::deque<Line> lines_;  ///< entries do not move
};

}  // namespace dotrelay::simulation
