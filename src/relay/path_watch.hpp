// Paths that went silent: what is done while it is not known whether the path is dead or the peer acknowledges late,
// and when it is known. What a verdict means for the queries on the connection is the Forwarder's.
#pragma once

#include "base/clock.hpp"
#include "relay/connection_pool.hpp"
#include "relay/environment.hpp"
#include "relay/experience.hpp"
#include "relay/lending.hpp"
#include "relay/upstream_set.hpp"

namespace dotrelay {

class PathWatch {
 public:
  struct Verdict {
    enum class Kind : std::uint8_t {
      unchanged,
      suspected,  ///< what was sent there is to be asked elsewhere; the connection stays, acknowledgements may come yet
      cleared,    ///< the path lives: the peer acknowledges late, or the path has become slow
      given_up,   ///< the connection is closed
    };
    Kind kind = Kind::unchanged;
    TimePoint since{};  ///< when the suspicion began that is cleared
  };

  /// The references outlive the object.
  PathWatch(const Environment& environment, UpstreamSet& upstreams, Lending& lending, Experience& experience,
            ConnectionPool& pool)
      : config_(environment.config.relay),
        patience_(environment.patience()),
        counters_(environment.counters),
        log_(environment.log),
        upstreams_(upstreams),
        lending_(lending),
        experience_(experience),
        pool_(pool) {}

  /// Asks TCP about the path of a ready connection.
  [[gnu::cold]] Verdict look(ConnectionHandle handle, TimePoint now);

  /// The same when octets have come on a suspected one: they prove that the path lives.
  [[gnu::cold]] Verdict look_at_living(ConnectionHandle handle, TimePoint now);

 private:
  Verdict suspect(ConnectionHandle handle, TimePoint now);
  Verdict clear(ConnectionHandle handle, TimePoint now);
  Verdict give_up(ConnectionHandle handle, TimePoint now);

  const RelayConfig& config_;
  const Duration patience_;
  Counters& counters_;
  Log& log_;
  UpstreamSet& upstreams_;
  Lending& lending_;
  Experience& experience_;
  ConnectionPool& pool_;
};

}  // namespace dotrelay
