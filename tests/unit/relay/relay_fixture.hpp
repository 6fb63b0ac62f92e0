// A whole relay without sockets: a Forwarder with a fake clock, fake upstreams and a reply channel that writes down
// what each client got. Tests built on it read as transcripts: ask, ready, answer, advance, got.
#pragma once

#include "base/recorded_log.hpp"
#include "dns/transcript.hpp"
#include "relay/fake_upstreams.hpp"
#include "relay/forwarder.hpp"
#include "sibling_mail.hpp"

#include <doctest/doctest.h>
#include <map>
#include <optional>

namespace dotrelay::test {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// What one client has been told.
struct ClientRecord {
  std::vector<Octets> answers;
  TimePoint asked_at{};
  TimePoint answered_at{};
  bool waiting = false;  ///< accept() promised a later answer
};

class RecordingChannel final : public ReplyChannel {
 public:
  explicit RecordingChannel(const TimePoint& now) : now_(now) {}

  void deliver(ClientKey client, Bytes answer) noexcept override {
    CHECK_FALSE(accepting);
    ClientRecord& record = clients[client.index];
    record.answers.emplace_back(answer.begin(), answer.end());
    record.answered_at = now_;
  }

  std::map<std::uint32_t, ClientRecord> clients;
  bool accepting = false;  ///< the forwarder is in accept(): no client may be told anything

 private:
  const TimePoint& now_;
};

struct Ask {
  unsigned type = 1;
  unsigned id = 0x1234;
  unsigned flags = 0x0100;
  bool edns = true;
  bool dnssec_ok = false;
  Octets options = {};
  unsigned source = 1;  ///< last two octets of the client's address
  bool tcp = false;
};

inline Config relay_config(std::initializer_list<std::size_t> addresses_of_upstreams, double hedge) {
  Config config;
  for (const std::size_t count : addresses_of_upstreams) {
    UpstreamConfig& upstream = config.upstreams.emplace_back();
    const std::string number = std::to_string(config.upstreams.size());
    upstream.name = "up" + number;
    upstream.tls_name = "dns.example";
    for (std::size_t i = 1; i <= count; ++i) {
      upstream.addresses.push_back(*parse_endpoint("192.0.2." + number + ":" + std::to_string(852 + i), 0));
    }
  }
  config.relay.deadline = seconds(4);
  config.relay.slow = milliseconds(400);
  config.relay.hedge = hedge;
  config.cache.max_ttl = std::chrono::hours(24);
  config.cache.stale = std::chrono::hours(1);
  return config;
}

class RelayFixture {
 public:
  /// `hedge`: the share of queries that may be asked twice for being late; most tests are clearer without.
  explicit RelayFixture(std::initializer_list<std::size_t> addresses_of_upstreams = {1}, std::uint32_t seed = 1,
                        double hedge = 0)
      : config(relay_config(addresses_of_upstreams, hedge)), random(seed) {}
  /// A worker that keeps answers in `memory`.
  RelayFixture(const CacheMemory& memory, std::initializer_list<std::size_t> addresses_of_upstreams,
               std::uint32_t worker = 1)
      : config(relay_config(addresses_of_upstreams, 0)),
        random(worker),
        cache(std::in_place, memory, worker, static_cast<std::uint32_t>(seconds(std::chrono::hours(1)).count())) {}
  /// With a configuration of the test's own.
  explicit RelayFixture(Config config, SiblingMail* mail = nullptr, std::size_t number = 0)
      : config(std::move(config)), random(1), mail(mail), number(number) {
    if (mail != nullptr) mail->join(number, forwarder);
  }
  /// Another worker of the same relay: it shares what is known of the upstreams.
  RelayFixture(const RelayFixture& sibling, std::uint32_t seed)
      : config(sibling.config), now(sibling.now), random(seed), health(sibling.health) {}
  /// Worker number `number`, from 0, of some that pass queries on to each other.
  RelayFixture(std::initializer_list<std::size_t> addresses_of_upstreams, SiblingMail* mail, std::size_t number)
      : config(relay_config(addresses_of_upstreams, 0)), random(1), mail(mail), number(number) {
    mail->join(number, forwarder);
  }
  RelayFixture(const RelayFixture& sibling, SiblingMail* mail, std::size_t number)
      : config(sibling.config),
        now(sibling.now),
        random(static_cast<std::uint32_t>(number + 1)),
        health(sibling.health),
        mail(mail),
        number(number) {
    mail->join(number, forwarder);
  }

  Config config;
  TimePoint now{std::chrono::hours(1)};
  Counters counters;
  RecordedLog log;
  Random random;
  FakeUpstreams upstreams;
  RecordingChannel channel{now};
  std::vector<SharedHealth> own_health = std::vector<SharedHealth>(16);
  std::span<SharedHealth> health{own_health};
  std::vector<SharedWord> memory_words = std::vector<SharedWord>(1);
  MemoryBudget memory{memory_words, 0, 4096};
  std::optional<AnswerCache> cache;
  SiblingMail* mail = nullptr;
  std::size_t number = 0;
  Environment environment{.config = config,
                          .dialer = upstreams,
                          .counters = counters,
                          .memory = memory,
                          .log = log,
                          .random = random,
                          .siblings = mail == nullptr ? nullptr : mail->siblings(number),
                          .cache = cache ? &*cache : nullptr,
                          .asleep = [] { return Duration{}; }};
  Forwarder forwarder{environment, health, mail == nullptr ? SharedConnections() : mail->connections(number)};

  /// A client asks. Returns its number for got().
  std::uint32_t ask(std::string_view qname, const Ask& details = {}) {
    MessageBuilder query(details.id, details.flags);
    query.question(qname, details.type);
    if (details.edns) query.opt({.udp_size = 1232, .dnssec_ok = details.dnssec_ok}, details.options);
    return send(query.build(), details);
  }

  std::uint32_t send(const Octets& message, const Ask& details = {}) {
    const std::uint32_t client = next_client_++;
    IpAddress source;
    source.octets = {10, 0, static_cast<std::uint8_t>(details.source >> 8), static_cast<std::uint8_t>(details.source)};
    channel.clients[client].asked_at = now;
    channel.accepting = true;
    const Accepted accepted = forwarder.accept({.message = message,
                                                .source = source,
                                                .transport = {.tcp = details.tcp, .keepalive = 0},
                                                .channel = &channel,
                                                .client = {client, 0}},
                                               now);
    channel.accepting = false;
    ClientRecord& record = channel.clients[client];
    record.waiting = accepted.kind == Accepted::Kind::waiting;
    if (accepted.kind == Accepted::Kind::answered) {
      record.answers.emplace_back(accepted.answer.begin(), accepted.answer.end());
      record.answered_at = now;
    }
    return client;
  }

  /// Line number `index`, in the order of the dials.
  Line& line(std::size_t index) {
    REQUIRE(index < upstreams.lines.size());
    return upstreams.lines[index];
  }

  void notify(Line& line) { forwarder.on_activity(line.handle, now); }

  void ready(std::size_t index) {
    Line& line = this->line(index);
    REQUIRE((line.state == Connection::State::connecting || line.state == Connection::State::handshaking));
    line.state = Connection::State::ready;
    notify(line);
  }

  void end(std::size_t index, CloseKind kind = CloseKind::closed_by_peer, std::string text = "closed by the server") {
    Line& line = this->line(index);
    REQUIRE_FALSE(line.gone);
    line.state = Connection::State::closed;
    line.reason = {kind, std::move(text)};
    notify(line);
  }

  void refuse(std::size_t index) { end(index, CloseKind::unreachable, "connection refused"); }

  /// The upstream sends `message`.
  void receive(std::size_t index, const Octets& message) {
    Line& line = this->line(index);
    REQUIRE_FALSE(line.gone);
    line.inbox.push_back(message);
    notify(line);
  }

  /// The upstream answers query number `query` of that line with `rcode` and no records.
  void answer(std::size_t index, std::size_t query = 0, unsigned rcode = 0) {
    REQUIRE(query < line(index).sent.size());
    receive(index, answer_to(line(index).sent[query], rcode));
  }

  /// The same for the query that was sent there last.
  void answer_latest(std::size_t index, unsigned rcode = 0) {
    REQUIRE_FALSE(line(index).sent.empty());
    answer(index, line(index).sent.size() - 1, rcode);
  }

  /// The first dial becomes ready and answers a query: the upstream is known to be good.
  void warm_up() {
    ask("warm.example");
    ready(0);
    answer(0);
  }
  /// The first dial is refused, and the next one answers the query.
  void warm_up_second() {
    ask("warm.example");
    refuse(0);
    ready(1);
    answer(1);
  }

  /// Each dial that is under way is refused, and each that follows from that.
  void refuse_all() {
    for (std::size_t i = 0; i < upstreams.lines.size(); ++i) {
      const Line& dial = upstreams.lines[i];
      if (!dial.gone && dial.state == Connection::State::connecting) refuse(i);
    }
  }

  /// Lets time pass, waking the forwarder when it asked to be woken.
  void advance(Duration duration) {
    const TimePoint until = now + duration;
    int idle_wakes = 0;
    for (;;) {
      const TimePoint next = forwarder.next_timeout(now);
      if (next > until) break;
      if (next > now) {
        now = next;
        idle_wakes = 0;
      }
      REQUIRE(++idle_wakes < 10);  // it would spin
      forwarder.on_timer(now);
    }
    now = until;
  }

  [[nodiscard]] const ClientRecord& client(std::uint32_t number) { return channel.clients.at(number); }
  [[nodiscard]] bool answered(std::uint32_t number) { return !client(number).answers.empty(); }

  /// The one answer that the client got, as a transcript.
  std::string got(std::uint32_t number) {
    const ClientRecord& record = client(number);
    if (record.answers.empty()) return "nothing";
    CHECK(record.answers.size() == 1);
    return transcript(record.answers.back());
  }

  [[nodiscard]] unsigned rcode(std::uint32_t number) {
    REQUIRE(answered(number));
    return client(number).answers.back()[3] & 15U;
  }

  /// The text of the Extended DNS Error that the client got, behind its code: "22 up1 (...): cause".
  std::string explanation(std::uint32_t number) {
    REQUIRE(answered(number));
    const Octets& answer = client(number).answers.back();
    // The OPT is last, and the EDE its only option.
    std::size_t at = 12;
    while (answer.at(at) != 0) at += answer[at] + 1U;
    at += 5 + 11;
    if (at + 6 > answer.size() || answer[at + 1] != 15) return "";
    return std::to_string(answer[at + 4] << 8 | answer[at + 5]) + " " +
           std::string(answer.begin() + static_cast<std::ptrdiff_t>(at) + 6, answer.end());
  }

  std::uint64_t count(Counter counter) const { return counters.get(counter); }

  [[nodiscard]] std::string logged() const { return log.text(); }

 private:
  std::uint32_t next_client_ = 1;
};

inline bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

}  // namespace dotrelay::test
