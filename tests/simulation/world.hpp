// One life from its seed: workers, each with a Forwarder of its own and a health that they share, the network between
// them and the hosts, the clients, and what befalls the machine. run() plays it to its end, or to the first breach.
#pragma once

#include "checker.hpp"
#include "network.hpp"
#include "plan.hpp"
#include "relay/sibling_mail.hpp"
#include "server.hpp"
#include "timeline.hpp"
#include "transcript.hpp"

#include <cstdio>
#include <deque>
#include <memory>
#include <vector>

namespace dotrelay::simulation {

/// What happened in one life or in many.
struct Figures {
  std::uint64_t queries = 0;
  std::uint64_t answered = 0;  ///< NOERROR or NXDOMAIN
  std::uint64_t errors = 0;    ///< an upstream's error or the relay's SERVFAIL
  std::uint64_t promised = 0;  ///< for these some upstream was well, so they had to be answered
  std::uint64_t dials = 0;
  std::uint64_t hedged = 0;
  std::uint64_t silent = 0;
  std::uint64_t passed = 0;    ///< through another worker's connection
  std::uint64_t in_zones = 0;  ///< in lives with zones
  std::uint64_t virtual_seconds = 0;

  void add(const Figures& other);
};

class World final : private ReplyChannel {
 public:
  /// `trace`: where every event is printed, or nullptr.
  World(std::uint32_t seed, Promise promise, std::FILE* trace);
  ~World();

  void run();

  [[nodiscard]] const std::optional<Breach>& breach() const { return checker_.breach(); }
  [[nodiscard]] const Transcript& transcript() const { return transcript_; }
  [[nodiscard]] TimePoint now() const { return timeline_.now(); }
  [[nodiscard]] Figures figures() const;

 private:
  class WorkerDialer final : public Dialer {
   public:
    WorkerDialer(Network& network, std::size_t worker) : network_(network), worker_(worker) {}
    std::uint32_t way_to(std::size_t, std::size_t) override { return network_.way; }
    std::unique_ptr<Connection> dial(std::size_t upstream, std::size_t address, ConnectionHandle handle,
                                     std::uint16_t) override {
      return network_.dial(worker_, upstream, address, handle);
    }

   private:
    Network& network_;
    std::size_t worker_;
  };

  struct Worker {
    Worker(World& world, std::size_t number, std::uint32_t seed, bool trace);

    std::size_t number;
    Counters counters;
    Log log;
    Random random;
    WorkerDialer dialer;
    MemoryBudget memory;
    Forwarder forwarder;
    TimePoint timer = kNever;
    TimePoint awake_at{};  ///< until then the process sleeps
  };

  void deliver(ClientKey client, Bytes answer) noexcept override;
  void when_awake(Worker& worker, TimePoint when, Timeline::Action action);
  void notify(Line& line);
  void tell(Line& line);
  void read_mail(std::size_t number);
  void ask_for_a_while(const Traffic& traffic);
  void ask(std::size_t worker, const Traffic& traffic);
  void ask_now(std::size_t worker, Question question, bool unanswerable);
  void change_network();
  void suspend();
  void fall_asleep(const Sleep& sleep);
  template <class Call>
  void turn(Worker& worker, Call call);
  [[nodiscard]] Worker* next_to_wake();
  void run_until_quiet();

  const Plan plan_;
  Timeline timeline_;
  Transcript transcript_;
  Checker checker_;
  Random random_;
  Network network_;
  Servers servers_;
  std::vector<SharedHealth> health_;
  std::vector<SharedWord> memory_words_;
  test::SiblingMail mail_;
  std::deque<Client> clients_;
  bool accepting_ = false;  ///< a worker is in accept()
  std::deque<Worker> workers_;
};

}  // namespace dotrelay::simulation
