// What must hold in every world, whatever happens. The world reports what it sees, in both directions; the checker
// keeps the first breach. It never throws: it is called from inside the forwarder.
#pragma once

#include "plan.hpp"
#include "relay/forwarder.hpp"
#include "service.hpp"
#include "wire.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace dotrelay::simulation {

/// A rule that was broken, and how.
struct Breach {
  std::string invariant;
  std::string text;
  TimePoint at;
};

/// One client's question and what came of it.
struct Client {
  std::size_t worker = 0;
  Question question;
  Octets query;
  TimePoint asked_at;
  bool owed = false;     ///< accept() promised an answer later
  bool refused = false;  ///< accept() gave the answer at once
  unsigned answers = 0;
  unsigned rcode = 0;
};

/// The messages of one connection that may still be answered.
using Reserved = std::map<std::uint16_t, Question>;

class Checker {
 public:
  Checker(const Plan& plan, Promise promise);

  [[nodiscard]] const std::optional<Breach>& breach() const { return breach_; }
  void fail(std::string_view invariant, std::string text, TimePoint now);

  // What clients see.
  void asks(Client& client, Accepted::Kind kind, bool is_query, TimePoint now);
  void told(Client& client, Bytes answer, TimePoint now);

  // What upstreams see. `line` is for the words only.
  void dials(std::size_t worker, std::size_t upstream, std::size_t address, TimePoint now);
  void becomes_ready(std::size_t worker, std::size_t upstream, std::size_t address, TimePoint now);
  void destroyed(std::size_t worker, std::size_t upstream, std::size_t address, bool was_ready, TimePoint now);
  void sends(std::size_t line, std::size_t worker, std::size_t upstream, Reserved& reserved, const Read& query,
             TimePoint now);
  /// The relay holds errors against an address.
  void errs(std::size_t upstream, std::size_t address, TimePoint now);
  void disturbed(TimePoint now) { last_disturbance_ = now; }
  /// An upstream has answered the question so.
  void error_sent(Question question, unsigned rcode) { errors_sent_[key_of(question)] |= 1U << rcode; }
  /// An upstream has answered some ID so, without a question: with IDs in use again that may be any query's.
  void bare_error_sent(unsigned rcode) { bare_errors_sent_ |= 1U << rcode; }

  // What the loop sees.
  void wakes(std::size_t worker, TimePoint now);
  void counters(std::size_t worker, const Counters& counters, TimePoint now);
  void ends(std::size_t worker, const Counters& counters, bool idle, TimePoint next_timeout, TimePoint now);

  [[nodiscard]] std::size_t waiting(std::size_t worker) const { return workers_[worker].waiting; }
  /// Queries for which some upstream was well.
  [[nodiscard]] std::uint64_t promised() const { return promised_; }

 private:
  struct Address {
    std::vector<TimePoint> dials;     ///< of the latest second
    std::vector<TimePoint> replaced;  ///< ready connections that ended in the latest second
  };
  struct Upstream {
    std::size_t dials = 0;
    std::size_t ready = 0;
    std::vector<Address> addresses;
  };
  struct Worker {
    std::vector<Upstream> upstreams;
    std::size_t waiting = 0;
    std::uint64_t owed = 0;  ///< answers in all
    int wakes_at_once = 0;
    TimePoint last_wake;
    TimePoint second_began;
    unsigned wakes_this_second = 0;
    TimePoint told_at;
    TimePoint order_since;  ///< the first upstream has been well since, and these were sent
    unsigned sent_to_first = 0;
    unsigned sent_elsewhere = 0;
  };

  static std::uint64_t key_of(Question question) { return std::uint64_t{question.number} << 16 | question.type; }
  [[nodiscard]] bool slept_through(const Client& client, TimePoint now) const;
  void check_answer(Client& client, Bytes answer, TimePoint now);
  void check_order(Worker& worker, std::size_t upstream, Question question, TimePoint now);
  void check_zone(std::size_t upstream, Question question, TimePoint now);
  void check_service(const Client& client, unsigned rcode, TimePoint now);
  [[nodiscard]] std::optional<std::size_t> promised_by(const Client& client, TimePoint now) const;

  const Plan& plan_;
  const Promise promise_;
  std::vector<std::vector<std::size_t>> dials_;  ///< under way to each address of each upstream, of all workers
  std::vector<Worker> workers_;
  std::map<std::uint64_t, unsigned> errors_sent_;
  unsigned bare_errors_sent_ = 0;
  std::size_t connections_ = 0;
  std::uint64_t promised_ = 0;
  TimePoint last_disturbance_ = kBirth - std::chrono::hours(1);
  std::optional<Breach> breach_;
};

}  // namespace dotrelay::simulation
