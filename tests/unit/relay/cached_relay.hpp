// A relay that keeps answers, and upstreams' answers with records.
#pragma once

#include "cache/cache_fixture.hpp"
#include "relay_fixture.hpp"

namespace dotrelay::test {

/// An A record for the question.
inline Octets answer_with_ttl(const SentQuery& query, unsigned ttl) {
  return answer_to(query, 0, 1, record(pointer(12), 1, hex("c0000201"), ttl));
}

/// RFC 2308: no such name, or with `rcode` 0 no such data. `minimum` is the SOA's.
inline Octets negative_answer(const SentQuery& query, unsigned rcode, unsigned ttl, unsigned minimum) {
  const Octets soa = name("ns.example") + name("mail.example") + u32(1) + u32(2) + u32(3) + u32(4) + u32(minimum);
  return u16(query.id()) + u16(0x8180 | rcode) + u16(1) + u16(0) + u16(1) + u16(0) + query.question() +
         record(name("example"), 6, soa, ttl);
}

class CachedRelay : public RelayFixture {
 public:
  explicit CachedRelay(const CacheBlock& block, std::uint32_t worker = 1) : RelayFixture(block.attach(), {1}, worker) {}

  /// The latest query of the latest connection.
  [[nodiscard]] const SentQuery& latest_query() { return line(latest()).sent.back(); }
  /// Its answer comes.
  void answer_with(const Octets& message) { receive(latest(), message); }

  /// A client asks, and the upstream answers it with a TTL: then it is kept.
  void fetch(std::string_view qname, unsigned ttl, const Ask& details = {}) {
    const std::uint32_t client = ask(qname, details);
    if (upstreams.lines.size() == 1 && line(0).state == Connection::State::connecting) ready(0);
    answer_with(answer_with_ttl(latest_query(), ttl));
    REQUIRE(answered(client));
  }

  /// Queries that have gone upstream so far.
  [[nodiscard]] std::size_t sent() const {
    std::size_t count = 0;
    for (const Line& line : upstreams.lines) count += line.sent.size();
    return count;
  }

 private:
  [[nodiscard]] std::size_t latest() const { return upstreams.lines.size() - 1; }
};

}  // namespace dotrelay::test
