// What live traffic teaches about upstreams: which fail, which answer too late or wrongly where another one does
// better, and which work again.
#pragma once

#include "base/clock.hpp"
#include "dns/message_view.hpp"
#include "relay/environment.hpp"
#include "relay/health.hpp"
#include "relay/in_flight.hpp"
#include "relay/query.hpp"
#include "relay/rcode_policy.hpp"
#include "relay/upstream_set.hpp"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace dotrelay {

class Experience {
 public:
  /// The references outlive the object. `hashes` tells which domain a question is about.
  Experience(const Environment& environment, UpstreamSet& upstreams, const InFlight& hashes);

  /// `epoch`: as in Health::on_trouble().
  [[gnu::cold]] void note_trouble(AddressIndex target, Trouble trouble, const std::string& cause, Health::Epoch epoch,
                                  TimePoint now);
  /// An answer has come from there, to a query that still waited or to one that others have answered meanwhile.
  void note_answer(const PooledConnection& from, TimePoint sent_at, bool good, TimePoint now);
  /// An answer has come that could not be read.
  [[gnu::cold]] void note_malformed_answer(AddressIndex target, TimePoint now);
  /// A copy of a query that was sent there as a trial was not taken, or not answered in time.
  [[gnu::cold]] void note_failed_copy(ConnectionHandle connection, TimePoint now);
  /// An answer to a query without EDNS has come. Was it refused before with it, and is EDNS the reason? A client's
  /// options would be another.
  [[gnu::cold]] void note_ignorance(const Query& query, const dns::ResponseView& response, AddressIndex target,
                                    TimePoint now);
  /// The query has got a good answer, which means `meaning`: what does that say of the others that were asked?
  void note_contradiction(const Query& query, Meaning meaning, TimePoint now);

  /// The answer to an attempt still counts although another upstream has given one, or decides a trial.
  void expect_answer(const Attempt& attempt, const Query& query, bool trial);
  /// An upstream has turned out to be slow, and these queries wait there.
  struct Slowed {
    std::size_t upstream;
    std::vector<QueryHandle> queries;
  };
  /// Judges the expected answers that have not come in time, up to one by which an upstream turns out to be slow. None
  /// when all are judged: to be called until then.
  [[nodiscard]] std::optional<Slowed> check_expected(TimePoint now);
  [[nodiscard]] TimePoint next_event() const {
    return expected_.empty() ? kNever : expected_.front().sent_at + config_.relay.slow;
  }

  /// Whatever has come for a query that left at `sent_at`: paths work.
  void on_response(TimePoint sent_at) { latest_proof_ = std::max(latest_proof_, sent_at); }
  /// When the latest query left that has been answered.
  [[nodiscard]] TimePoint latest_proof() const { return latest_proof_; }

 private:
  [[nodiscard]] std::optional<Slowed> note_unanswered(AddressIndex target, std::uint32_t domain, TimePoint now);

  /// An answer that is still expected.
  struct Expected {
    ConnectionHandle connection;
    std::uint16_t id = 0;
    bool trial = false;
    std::uint32_t domain = 0;  ///< InFlight::domain_hash()
    TimePoint sent_at{};
  };
  static constexpr std::size_t kMaxExpected = 256;

  const Config& config_;
  UpstreamSet& upstreams_;
  const InFlight& hashes_;
  Counters& counters_;
  Log& log_;
  Random& random_;
  std::deque<Expected> expected_;  ///< in the order of their time, all judged after config.relay.slow
  TimePoint latest_proof_{};
};

}  // namespace dotrelay
