// See cached_answers.hpp.
#include "relay/cached_answers.hpp"

#include "dns/kept_response.hpp"
#include "dns/lifetime.hpp"
#include "dns/ttl_fields.hpp"

namespace dotrelay {
namespace {

CacheBounds bounds_for(const CacheConfig& config) {
  const auto in_seconds = [](Duration duration) {
    return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(duration).count());
  };
  return {.max_ttl_seconds = in_seconds(config.max_ttl), .max_stale_seconds = in_seconds(config.stale)};
}

// What an entry is of, in the octet that the cache keeps for its caller: ResponseKind, and above it failures_before.
constexpr unsigned kKindBits = 2;

std::uint8_t to_octet(const KeptLife& life) {
  return static_cast<std::uint8_t>(static_cast<unsigned>(life.kind) | unsigned{life.failures_before} << kKindBits);
}

KeptLife life_as_kept(const CachedAnswer& kept, std::uint32_t now) {
  return {.kind = static_cast<dns::ResponseKind>(kept.kind & ((1U << kKindBits) - 1)),
          .failures_before = static_cast<std::uint8_t>(kept.kind >> kKindBits),
          .stored_at_seconds = now - kept.age_seconds,
          .lifetime_seconds = kept.lifetime_seconds};
}

}  // namespace

CachedAnswers::CachedAnswers(const Environment& environment)
    : cache_(environment.cache),
      counters_(environment.counters),
      asleep_(environment.asleep),
      bounds_(bounds_for(environment.config.cache)) {}

CacheKey CachedAnswers::cache_key(const QueryKey& key) {
  const auto bit = [&](std::uint16_t flag, std::uint8_t value) -> unsigned {
    return (key.flags & flag) != 0 ? value : 0U;
  };
  return {.question = key.question,
          .zone = key.zone,
          .flags = static_cast<std::uint8_t>(bit(dns::flag::ad, CacheKey::kAuthenticData) |
                                             bit(dns::flag::cd, CacheKey::kCheckingDisabled) |
                                             (key.dnssec_ok ? CacheKey::kDnssecOk : 0U))};
}

/// Seconds of a clock that all processes share and that counts the time that the machine sleeps (CLOCK_BOOTTIME).
std::uint32_t CachedAnswers::seconds(TimePoint now) {
  if (now != read_at_) {
    read_at_ = now;
    seconds_ = static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch() + asleep_()).count());
  }
  return seconds_;
}

const ReadyAnswer* CachedAnswers::find(const QueryKey& key, std::uint64_t hash, TimePoint now) {
  if (hash == 0) return nullptr;
  const std::uint32_t now_seconds = seconds(now);
  const CachedAnswer kept = cache_->find(cache_key(key), hash, now_seconds, buffer_);
  if (!kept) return nullptr;
  const Condition condition = condition_of(life_as_kept(kept, now_seconds), now_seconds, bounds_);
  if (condition.freshness == Freshness::dead) return nullptr;
  const MutableBytes message = MutableBytes(buffer_).first(kept.size);
  const bool sound = condition.freshness == Freshness::stale
                         ? dns::set_ttls(message, kept.ttls(), kStaleTtlSeconds)
                         : dns::age_ttls(message, kept.ttls(), condition.age_seconds);
  const std::optional<dns::ResponseView> response = dns::parse_response(message);
  if (!sound || !response || !response->question) return nullptr;
  ready_.message = message;
  ready_.response = *response;
  ready_.freshness = condition.freshness;
  return &ready_;
}

/// How long an answer that has just come lives; nothing when it may not be kept, or what is kept is better.
std::optional<KeptLife> CachedAnswers::life_of(const Query& query, const dns::Lifetime& told, std::uint32_t now) {
  if (!told.may_be_kept()) {
    counters_.add(Counter::cache_unfit);
    return std::nullopt;
  }
  // Only a failure looks at what is there.
  if (told.kind != dns::ResponseKind::failure) return begin_life(told, nullptr, now, bounds_);
  const CachedAnswer kept = cache_->find(cache_key(query.key()), query.hashes.cache, now, buffer_);
  if (!kept) return begin_life(told, nullptr, now, bounds_);
  const KeptLife before = life_as_kept(kept, now);
  const KeptLife life = begin_life(told, &before, now, bounds_);
  if (!may_replace(before, life, now, bounds_)) return std::nullopt;
  return life;
}

void CachedAnswers::keep(const Query& query, Bytes message, const dns::ResponseView& response, TimePoint now) {
  if (query.hashes.cache == 0) return;
  const std::uint32_t now_seconds = seconds(now);
  std::array<std::uint16_t, kMaxCachedTtls> fields;
  const dns::Lifetime told = dns::lifetime_of(message, response, fields);
  const std::optional<KeptLife> life = life_of(query, told, now_seconds);
  if (!life) return;
  const MutableBytes kept = dns::write_kept_response(buffer_, message, response);
  const dns::TtlFields ttls = std::span(fields).first(told.ttl_count);
  if (kept.empty() || !dns::bound_ttls(kept, ttls, ttl_bound_seconds(*life, bounds_))) {
    return counters_.add(Counter::cache_unfit);
  }
  const NewAnswer answer{
      .message = kept, .ttl_offsets = ttls, .lifetime_seconds = life->lifetime_seconds, .kind = to_octet(*life)};
  const bool done = cache_->put(cache_key(query.key()), query.hashes.cache, answer, now_seconds) == PutResult::kept;
  counters_.add(done ? Counter::cache_kept : Counter::cache_unfit);
}

void CachedAnswers::keep_failure(const Query& query, TimePoint now) {
  const Bytes message = query.error->message;
  if (const auto response = dns::parse_response(message); response && response->question)
    keep(query, message, *response, now);
}

}  // namespace dotrelay
