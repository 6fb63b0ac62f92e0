// See network.hpp.
#include "network.hpp"

#include <cassert>

namespace dotrelay::simulation {
namespace {

/// Queries that a server's and the relay's buffers hold when it does not read.
constexpr unsigned kBuffered = 12;
/// When Linux sends a SYN again: RFC 6298 with an initial timeout of one second.
constexpr Duration kSyns[] = {seconds(0), seconds(1), seconds(3), seconds(7)};
/// See UnacknowledgedWrites.
constexpr Duration kSlack = milliseconds(60);
constexpr Duration kGrain = milliseconds(4);
constexpr Duration kOverdueLook = milliseconds(16);
/// How long a queue that is full keeps a packet.
constexpr Duration kBloat = milliseconds(500);

Duration share(Duration of, Random& random) { return of * random.below(1024) / 1024; }

class LineConnection final : public Connection {
 public:
  LineConnection(Network& network, Line& line) : network_(network), line_(line) {}
  ~LineConnection() override { network_.destroy(line_); }

  [[nodiscard]] State state() const override { return line_.visible_state; }
  bool send(Bytes message) override { return network_.send(line_, message); }
  std::optional<Bytes> next_message() override {
    std::optional<Octets> frame = network_.read(line_);
    if (!frame) return std::nullopt;
    current_ = std::move(*frame);
    return Bytes(current_);
  }
  [[nodiscard]] const CloseReason& close_reason() const override { return line_.reason; }
  [[nodiscard]] PathState path(TimePoint now, Duration delay) override { return network_.path(line_, now, delay); }
  [[nodiscard]] Duration handshake_silence(TimePoint) override { return {}; }
  [[nodiscard]] bool route_has_changed() const override { return line_.route_changed; }
  [[nodiscard]] std::string description() const override { return "line " + std::to_string(line_.number); }

 private:
  Network& network_;
  Line& line_;
  Octets current_;
};

}  // namespace

Network::Network(const Plan& plan, Timeline& timeline, Transcript& transcript, Checker& checker, Random& random,
                 std::function<void(Line&)> notify)
    : plan_(plan),
      timeline_(timeline),
      transcript_(transcript),
      checker_(checker),
      random_(random),
      notify_(std::move(notify)) {}

std::unique_ptr<Connection> Network::dial(std::size_t worker, std::size_t upstream, std::size_t address,
                                          ConnectionHandle handle) {
  const TimePoint now = timeline_.now();
  Line& line = lines_.emplace_back();
  line.number = lines_.size() - 1;
  line.worker = worker;
  line.upstream = upstream;
  line.address = address;
  line.handle = handle;
  line.host = &plan_.hosts[upstream][address];
  line.last_activity = now;
  transcript_.add(now, Happening::dials, worker, upstream, address, line.number);
  checker_.dials(worker, upstream, address, now);
  if (line.host->has(Fault::no_route, now)) {
    timeline_.after({}, [this, &line] { close(line, CloseKind::no_route, "no route to host"); });
    return std::make_unique<LineConnection>(*this, line);
  }
  for (const Duration syn : kSyns) {
    if (line.host->has(Fault::blackhole, now + syn)) continue;
    begin_handshake(line, now + syn);
    break;
  }
  return std::make_unique<LineConnection>(*this, line);
}

/// A SYN that arrives leaves at `at`.
void Network::begin_handshake(Line& line, TimePoint at) {
  const HostPlan& host = *line.host;
  if (host.has(Fault::refuse, at) || host.has(Fault::down, at)) {
    timeline_.at(arrival(host, arrival(host, at)),
                 [this, &line] { close(line, CloseKind::unreachable, "connection refused"); });
    return;
  }
  // TCP's round trip, and the first of TLS.
  TimePoint done = arrival(host, arrival(host, at));
  timeline_.at(done, [this, &line] { begin_tls(line); });
  done = arrival(host, arrival(host, done) + host.handshake_work);
  if (host.has(Fault::slow_dials, at)) done += milliseconds(100 + random_.below(4000));
  if (host.has(Fault::slow_handshakes, at)) done += milliseconds(500 + random_.below(2400));
  timeline_.at(done, [this, &line] { finish_handshake(line); });
}

void Network::begin_tls(Line& line) {
  if (line.gone || dead(line) || line.state != Connection::State::connecting) return;
  line.state = Connection::State::handshaking;
  line.tcp_connected = true;
  tell(line);
}

void Network::finish_handshake(Line& line) {
  const TimePoint now = timeline_.now();
  const HostPlan& host = *line.host;
  if (line.gone || dead(line) || line.state == Connection::State::closed) return;
  if (line.forgotten) return close(line, CloseKind::unreachable, "connection reset by peer");
  if (host.has(Fault::wrong_certificate, now)) return close(line, CloseKind::authentication, "certificate expired");
  if (host.has(Fault::broken_tls, now)) return close(line, CloseKind::tls, "handshake failure");
  if (host.places > 0) {
    std::size_t taken = 0;
    for_each_open([&](const Line& other) {
      if (other.host == line.host && other.state == Connection::State::ready) ++taken;
    });
    if (taken >= host.places && host.silent_when_full) return;
    if (taken >= host.places) return close(line, CloseKind::unreachable, "connection closed during the TLS handshake");
  }
  if (host.has(Fault::one_connection, now)) {
    bool served = false;
    for_each_open([&](const Line& other) {
      served =
          served || (other.host == line.host && other.worker == line.worker && other.state == Connection::State::ready);
    });
    if (served) return close(line, CloseKind::unreachable, "connection closed during the TLS handshake");
  }
  line.state = Connection::State::ready;
  line.last_activity = now;
  transcript_.add(now, Happening::is_ready, line.worker, line.number);
  on_established(line);
  tell(line);
}

/// When what is sent to or from the host at `sent` arrives, if it ever does.
TimePoint Network::arrival(const HostPlan& host, TimePoint sent) {
  TimePoint at = sent + host.round_trip / 2 + share(host.jitter, random_);
  if (host.has(Fault::bloat, sent)) at += kBloat;
  const double loss = host.has(Fault::lossy, sent) ? 0.2 : host.loss;
  for (Duration timeout = milliseconds(200); loss > 0 && random_.below(1000) < loss * 1000; timeout *= 2) at += timeout;
  if (host.has(Fault::blackhole, at)) {
    // A retransmission gets through some time after the end.
    const TimePoint end = host.end_of(Fault::blackhole, at);
    at = end + share(std::min<Duration>(end - sent, seconds(3)) + milliseconds(200), random_) + host.round_trip / 2;
  }
  if (host.coalesces) at = TimePoint((at.time_since_epoch() / kGrain + 1) * kGrain);
  return at;
}

bool Network::send(Line& line, Bytes message) {
  assert(line.visible_state == Connection::State::ready);
  const TimePoint now = timeline_.now();
  const HostPlan& host = *line.host;
  const bool stopped = host.has(Fault::stop_reading, now);
  if (stopped && line.unread >= kBuffered) {
    transcript_.add(now, Happening::takes_nothing, line.worker, line.number);
    return false;
  }
  const std::optional<Read> query = read_message(message);
  if (!query) {
    checker_.fail("upstream query", "what is no query was sent upstream", now);
    return true;
  }
  transcript_.add(now, Happening::sends, line.worker, line.number, query->question.number, query->question.type,
                  query->id);
  checker_.sends(line.number, line.worker, line.upstream, line.reserved, *query, now);
  line.queries.emplace_back(message.begin(), message.end());
  if (stopped) {
    ++line.unread;
  } else {
    line.unread = 0;
  }
  if (dead(line)) {
    line.unacknowledged.push_back({now, kNever, kNever});
    return true;
  }
  const TimePoint arrives = line.last_out = std::max(arrival(host, now), line.last_out);
  const TimePoint acknowledged = arrival(host, arrives + acknowledgement_delay(host, arrives));
  const bool lost = host.loss > 0 || host.has(Fault::lossy, now) || host.has(Fault::blackhole, now);
  line.unacknowledged.push_back({now, arrives, acknowledged, lost});
  timeline_.at(std::max(arrives, host.end_of(Fault::stop_reading, arrives)),
               [this, &line, index = line.queries.size() - 1] {
                 if (dead(line) || line.closed) return;
                 if (line.forgotten) return end(line, CloseKind::closed_by_peer, "connection reset by peer");
                 on_query(line, index);
               });
  return true;
}

/// What a server's TCP waits for something to send with the acknowledgement (RFC 1122 4.2.3.2).
Duration Network::acknowledgement_delay(const HostPlan& host, TimePoint at) {
  if (host.has(Fault::late_acknowledgements, at)) return milliseconds(60) + share(milliseconds(440), random_);
  return random_.below(4) == 0 ? share(milliseconds(40), random_) : Duration{};
}

void Network::deliver(Line& line, Octets frame) {
  if (dead(line)) return;
  line.last_in = std::max(arrival(*line.host, timeline_.now()), line.last_in);
  for (Line::Unacknowledged& sent : line.unacknowledged) {
    if (sent.arrives <= timeline_.now()) sent.acknowledged_at = std::min(sent.acknowledged_at, line.last_in);
  }
  timeline_.at(line.last_in, [this, &line, frame = std::move(frame)]() mutable {
    if (line.gone || dead(line) || line.state != Connection::State::ready) return;
    line.inbox.push_back(std::move(frame));
    tell(line);
  });
}

void Network::end(Line& line, CloseKind kind, std::string text) {
  if (std::exchange(line.closed, true) || dead(line)) return;
  line.last_in = std::max(arrival(*line.host, timeline_.now()), line.last_in);
  timeline_.at(line.last_in, [this, &line, kind, text = std::move(text)] {
    if (!dead(line)) close(line, kind, text);
  });
}

void Network::close(Line& line, CloseKind kind, std::string text) {
  if (line.gone || line.state == Connection::State::closed) return;
  // Before the handshake is done every end is a failed dial.
  if (line.state != Connection::State::ready && kind == CloseKind::closed_by_peer) kind = CloseKind::unreachable;
  line.state = Connection::State::closed;
  line.reason = {kind, std::move(text)};
  transcript_.add(timeline_.now(), Happening::ends, line.worker, line.number, static_cast<unsigned>(kind));
  tell(line);
}

void Network::tell(Line& line) {
  if (!std::exchange(line.notifying, true)) notify_(line);
}

std::optional<Octets> Network::read(Line& line) {
  if (line.inbox.empty()) return std::nullopt;
  Octets frame = std::move(line.inbox.front());
  line.inbox.pop_front();
  transcript_.add(timeline_.now(), Happening::reads, line.worker, line.number, frame.size());
  // What is read frees its ID, if it matches.
  if (frame.size() >= 2) {
    const auto found = line.reserved.find(load_u16(frame.data()));
    if (found != line.reserved.end() && is_meant_for(frame, found->second)) line.reserved.erase(found);
  }
  return frame;
}

PathState Network::path(Line& line, TimePoint now, Duration delay) {
  const Duration round_trip = line.host->round_trip;
  PathState path;
  if (line.tcp_connected) path.round_trip = round_trip + (line.host->has(Fault::bloat, now) ? 2 * kBloat : Duration{});
  while (!line.unacknowledged.empty()) {
    const Line::Unacknowledged& sent = line.unacknowledged.front();
    if (sent.acknowledged_at > now || sent.acknowledged_at > line.dead_since) break;
    line.last_acknowledgement = std::max(line.last_acknowledgement, sent.acknowledged_at);
    if (std::exchange(line.overdue, false) && !sent.lost)
      path.late = std::max<Duration>(line.last_acknowledgement - sent.sent_at - round_trip, kGrain);
    line.unacknowledged.pop_front();
  }
  if (!line.unacknowledged.empty()) {
    const Duration limit = round_trip + kSlack;
    const Duration silence = std::min(now - line.unacknowledged.front().sent_at, now - line.last_acknowledgement);
    line.overdue = silence > limit;
    path.silent = silence > limit + delay;
    path.look_again = line.overdue ? kOverdueLook : std::max(limit - silence, kGrain);
  }
  transcript_.add(now, Happening::looks, line.worker, line.number, path.silent ? 1 : 0);
  return path;
}

void Network::destroy(Line& line) {
  line.gone = true;
  transcript_.add(timeline_.now(), Happening::is_dropped, line.worker, line.number);
  checker_.destroyed(line.worker, line.upstream, line.address, line.known_ready, timeline_.now());
}

}  // namespace dotrelay::simulation
