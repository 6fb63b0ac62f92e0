// What the relay remembers of answers: which may be told to a client, fresh or stale, and which are kept. The memory
// itself (cache/answer_cache) is shared by all workers. Upstreams alone answer a query with options that are carried to
// them (NSID and others), and one without RD.
#pragma once

#include "base/clock.hpp"
#include "cache/answer_cache.hpp"
#include "cache/freshness.hpp"
#include "dns/message_view.hpp"
#include "metrics/counters.hpp"
#include "relay/environment.hpp"
#include "relay/query.hpp"

#include <array>
#include <cstdint>

namespace dotrelay {

/// An answer from the cache as it may be told now: its TTLs are counted down, those of a stale one are 5 s.
struct ReadyAnswer {
  Bytes message;
  dns::ResponseView response;
  Freshness freshness = Freshness::dead;

  [[nodiscard]] bool stale() const { return freshness == Freshness::stale; }
};

class CachedAnswers {
 public:
  /// Without Environment::cache nothing is found or kept.
  explicit CachedAnswers(const Environment& environment);

  /// What answers to the query are kept under; 0 when they are not kept.
  [[nodiscard]] std::uint64_t hash(const QueryKey& key) const {
    return cache_ != nullptr && key.options.empty() && (key.flags & dns::flag::rd) != 0 ? cache_->hash(cache_key(key))
                                                                                        : 0;
  }

  /// What is kept for the query and not dead; null when there is nothing. Valid until the next call.
  [[nodiscard]] const ReadyAnswer* find(const QueryKey& key, std::uint64_t hash, TimePoint now);
  /// True for one caller of all workers in 5 s, of a stale answer in 1 s: it is to ask upstream for a new one. While
  /// clients get stale answers some query has to wait, since that is what makes the relay try its upstreams often.
  [[nodiscard]] bool claim_refresh(std::uint64_t hash, bool stale, TimePoint now) {
    return cache_->claim_refresh(hash, seconds(now), stale ? 1 : 5);
  }

  /// `message`, parsed as `response`, is an upstream's to the query, whose question it has. Nothing is kept when it may
  /// not be.
  void keep(const Query& query, Bytes message, const dns::ResponseView& response, TimePoint now);
  /// The same for the error of an upstream that the query keeps (RFC 9520). What the relay itself has found, that no
  /// upstream can be reached, is never kept: recovery shows at once.
  [[gnu::cold]] void keep_failure(const Query& query, TimePoint now);

 private:
  [[nodiscard]] static CacheKey cache_key(const QueryKey& key);
  [[nodiscard]] std::uint32_t seconds(TimePoint now);
  [[nodiscard]] std::optional<KeptLife> life_of(const Query& query, const dns::Lifetime& told, std::uint32_t now);

  AnswerCache* const cache_;
  Counters& counters_;
  Duration (*const asleep_)();
  const CacheBounds bounds_;
  std::array<std::uint8_t, AnswerCache::kBuffer> buffer_;  ///< of ready_
  ReadyAnswer ready_;
  TimePoint read_at_{};  ///< what seconds_ is for
  std::uint32_t seconds_ = 0;
};

}  // namespace dotrelay
