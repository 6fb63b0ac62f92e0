// When an address may be dialled for queries that wait while nothing is usable: in all workers together as often as
// shows a recovery at once, and less often while a handshake is under way, which shows that the server is there and
// busy.
#pragma once

#include "base/clock.hpp"
#include "relay/health.hpp"
#include "relay/shared_health.hpp"

#include <algorithm>

namespace dotrelay {

class UrgentDials {
 public:
  /// Between the dials of all workers to an address that refuses them or is silent.
  static constexpr Duration kInterval = Health::kUrgentInterval;
  /// The same while TCP is connected and TLS is not ready. Most handshakes take less.
  static constexpr Duration kHandshakeInterval = std::chrono::seconds(1);
  /// A worker whose queries wait looks so often what the others have found out.
  static constexpr Duration kLook = std::chrono::milliseconds(25);

  /// `shared` outlives this object.
  explicit UrgentDials(SharedHealth& shared) : shared_(shared) {}

  /// This worker dials the address, for whatever reason.
  void on_dial(TimePoint now) { store(shared_.dialled_ms, now); }
  /// A dial of this worker is in its TLS handshake. To be repeated each kLook.
  void on_handshake(TimePoint now) { store(shared_.handshake_ms, now); }
  /// A dial of this worker has succeeded.
  void on_ready(TimePoint now) { store(shared_.ready_ms, now); }

  /// When this worker, which dialled the address last at `own_latest`, may do so again, as far as is known now.
  [[nodiscard]] TimePoint next(TimePoint own_latest, TimePoint now) const {
    if (works_since(own_latest, now)) return now;
    const bool handshaking = age(shared_.handshake_ms, now) <= 4 * kLook;
    return now + std::max(Duration{}, (handshaking ? kHandshakeInterval : kInterval) - age(shared_.dialled_ms, now));
  }

  /// Takes the dial that is due by next(). False: another worker was faster.
  bool claim(TimePoint own_latest, TimePoint now) {
    std::uint32_t latest = shared_.dialled_ms.load(std::memory_order_acquire);
    if (next(own_latest, now) > now) return false;
    return works_since(own_latest, now) || shared_.dialled_ms.compare_exchange_strong(latest, word_of(now));
  }

 private:
  /// Longer ago than anything here is compared with.
  static constexpr Duration kLongAgo = std::chrono::seconds(10);

  /// Whether a worker's dial has succeeded since: then each may make a connection of its own.
  [[nodiscard]] bool works_since(TimePoint own_latest, TimePoint now) const {
    const Duration ready = age(shared_.ready_ms, now);
    return ready < kHandshakeInterval && now - ready > own_latest;
  }

  /// The clock's low 32 bits in milliseconds; 0: never.
  [[nodiscard]] static std::uint32_t word_of(TimePoint time) {
    const auto ms = std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
    return std::max(static_cast<std::uint32_t>(ms), std::uint32_t{1});
  }
  static void store(SharedWord& word, TimePoint now) { word.store(word_of(now), std::memory_order_release); }

  [[nodiscard]] static Duration age(const SharedWord& word, TimePoint now) {
    const std::uint32_t stored = word.load(std::memory_order_acquire);
    const Duration age = std::chrono::milliseconds(static_cast<std::int32_t>(word_of(now) - stored));
    // Another worker's clock may be a turn of its loop ahead.
    if (stored == 0 || age > kLongAgo || age < -kHandshakeInterval) return kLongAgo;
    return std::max(age, Duration{});
  }

  SharedHealth& shared_;
};

}  // namespace dotrelay
