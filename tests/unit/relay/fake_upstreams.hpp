// Upstreams without a network: the dialer hands out connections that the test makes ready, answers, closes or leaves
// silent. Each dial leaves a Line that the test keeps when the forwarder has long destroyed its connection.
#pragma once

#include "dns/message_builder.hpp"
#include "relay/connection.hpp"

#include <algorithm>
#include <cassert>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace dotrelay::test {

/// A message as the fake upstream received it.
struct SentQuery {
  Octets message;

  [[nodiscard]] std::uint16_t id() const { return static_cast<std::uint16_t>(message[0] << 8 | message[1]); }
  [[nodiscard]] unsigned flags() const { return static_cast<unsigned>(message[2] << 8 | message[3]); }
  /// QNAME, QTYPE and QCLASS.
  [[nodiscard]] Octets question() const {
    std::size_t end = 12;
    while (message.at(end) != 0) end += message[end] + 1U;
    return {message.begin() + 12, message.begin() + static_cast<std::ptrdiff_t>(end) + 5};
  }
};

/// An answer with the ID and the question of `query`, and `records` behind it.
inline Octets answer_to(const SentQuery& query, unsigned rcode = 0, unsigned answers = 0, const Octets& records = {},
                        unsigned additionals = 0) {
  return u16(query.id()) + u16(0x8180 | rcode) + u16(1) + u16(answers) + u16(0) + u16(additionals) + query.question() +
         records;
}

/// RFC 1035 servers: the header alone.
inline Octets header_only(const SentQuery& query, unsigned rcode) {
  return u16(query.id()) + u16(0x8180 | rcode) + Octets(8, 0);
}

/// An OPT with one Extended DNS Error.
inline Octets error_opt(unsigned code) { return opt_record({}, edns_option(15, u16(code))); }

/// One side of a dial: what the test sees and what it decides.
struct Line {
  std::size_t upstream = 0;
  std::size_t address = 0;
  ConnectionHandle handle;
  Connection::State state = Connection::State::connecting;
  CloseReason reason;
  std::deque<Octets> inbox;                  ///< messages that the forwarder has not read yet
  std::vector<SentQuery> sent;               ///< what the forwarder has sent
  bool silent = false;                       ///< TCP has octets that nobody acknowledges
  Duration late{};                           ///< so late TCP has acknowledged since the latest look
  Duration round_trip{};                     ///< as TCP measures it
  Duration granted{};                        ///< for delayed acknowledgements, at the latest look
  std::uint16_t segment_limit = 0;           ///< that it was dialled with
  Duration handshake_silence{};              ///< how long the handshake has not gone on
  bool route_changed = false;                ///< the kernel would take another way now
  bool takes_queries = true;                 ///< false: too many octets wait already
  bool gone = false;                         ///< the forwarder has destroyed the connection
  std::map<std::uint16_t, Octets> reserved;  ///< IDs under which a question waits, or was given up, unanswered
  bool id_reused = false;                    ///< a query was sent under one of those
};

class FakeConnection final : public Connection {
 public:
  explicit FakeConnection(Line& line) : line_(line) {}
  ~FakeConnection() override { line_.gone = true; }

  [[nodiscard]] State state() const override { return line_.state; }
  bool send(Bytes message) override {
    assert(line_.state == State::ready);
    if (!line_.takes_queries) return false;
    const SentQuery& query = line_.sent.emplace_back(Octets(message.begin(), message.end()));
    if (!line_.reserved.emplace(query.id(), query.question()).second) line_.id_reused = true;
    return true;
  }
  std::optional<Bytes> next_message() override {
    if (line_.inbox.empty()) return std::nullopt;
    current_ = std::move(line_.inbox.front());
    line_.inbox.pop_front();
    free_id();
    return Bytes(current_);
  }
  [[nodiscard]] const CloseReason& close_reason() const override {
    assert(line_.state == State::closed);
    return line_.reason;
  }
  /// Silence counts for as long as it is longer than the delay that is granted.
  [[nodiscard]] PathState path(TimePoint, Duration delay) override {
    line_.granted = delay;
    return {line_.silent, line_.silent ? std::chrono::milliseconds(16) : Duration{}, std::exchange(line_.late, {}),
            line_.round_trip};
  }
  [[nodiscard]] Duration handshake_silence(TimePoint) override { return line_.handshake_silence; }
  [[nodiscard]] bool route_has_changed() const override { return line_.route_changed; }
  [[nodiscard]] std::string description() const override { return "fake"; }

 private:
  /// What the message that is read now frees, if it matches.
  void free_id() {
    if (current_.size() < 12) return;
    const auto found = line_.reserved.find(static_cast<std::uint16_t>(current_[0] << 8 | current_[1]));
    if (found == line_.reserved.end()) return;
    const bool headless = current_[4] == 0 && current_[5] == 0;
    const Octets& question = found->second;
    const bool same =
        current_.size() >= 12 + question.size() && std::equal(question.begin(), question.end(), current_.begin() + 12);
    if (headless || same) line_.reserved.erase(found);
  }

  Line& line_;
  Octets current_;
};

class FakeUpstreams final : public Dialer {
 public:
  std::unique_ptr<Connection> dial(std::size_t upstream, std::size_t address, ConnectionHandle handle,
                                   std::uint16_t segment_limit) override {
    Line& line = lines.emplace_back();
    line.segment_limit = segment_limit;
    line.upstream = upstream;
    line.address = address;
    line.handle = handle;
    return std::make_unique<FakeConnection>(line);
  }

  /// Dials to one upstream so far.
  [[nodiscard]] std::size_t dials(std::size_t upstream) const {
    std::size_t count = 0;
    for (const Line& line : lines) count += line.upstream == upstream ? 1U : 0U;
    return count;
  }

  [[nodiscard]] std::size_t open() const {
    std::size_t count = 0;
    for (const Line& line : lines) count += line.gone ? 0U : 1U;
    return count;
  }

  std::uint32_t way_to(std::size_t upstream, std::size_t) override { return ways[upstream]; }

  std::map<std::size_t, std::uint32_t> ways{{0, 1}, {1, 1}, {2, 1}, {3, 1}};  ///< that the kernel takes, by upstream
  std::deque<Line> lines;  ///< every dial, in order; entries do not move
};

}  // namespace dotrelay::test
