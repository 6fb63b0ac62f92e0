// See self_test.hpp.
#include "self_test.hpp"

#include "checker.hpp"
#include "world.hpp"

#include <cstdio>
#include <string_view>

namespace dotrelay::simulation {
namespace {

constexpr TimePoint kNow = kBirth + seconds(30);
constexpr Question kAddress{11, 1};
constexpr Question kNoSuch{6, 1};
constexpr Question kUnanswered{1, 1};

/// One upstream that is well all the time, asked by the first of two workers.
Plan plain_plan() {
  Plan plan(1);
  plan.workers = 2;
  plan.config.upstreams.resize(1);
  plan.config.zones.clear();
  plan.orders.assign(kDomains, {0});
  plan.config.upstreams[0].addresses.resize(1);
  plan.config.relay.deadline = seconds(4);
  plan.config.relay.hedge = 0.1;
  plan.hosts = {{HostPlan{.round_trip = milliseconds(10), .phases = {}}}};
  plan.sleeps.clear();
  plan.suspends.clear();
  plan.network_changes.clear();
  return plan;
}

/// A checker with one client that waits, and ways to tell lies.
struct Stage {
  Plan plan = plain_plan();
  Checker checker{plan, Promise::upstreams};
  Random random{1};
  Counters counters;
  Client client;
  Reserved reserved;

  explicit Stage(Question question) {
    client.question = question;
    client.query = write_query(77, question, {}, random);
    client.asked_at = kNow;
    checker.asks(client, Accepted::Kind::waiting, true, kNow);
  }

  void tell(unsigned rcode, TimePoint at = kNow) { checker.told(client, write_answer(client.query, rcode), at); }
  void tell_changed(std::size_t octet) {
    Octets answer = write_answer(client.query, 0);
    ++answer[octet];
    checker.told(client, answer, kNow);
  }
  void send(std::uint16_t id) {
    checker.sends(0, 0, 0, reserved, *read_message(write_query(id, client.question, {}, random)), kNow);
  }
  void end(TimePoint timer = kNever, bool idle = true) { checker.ends(0, counters, idle, timer, kNow); }
};

struct Case {
  std::string_view invariant;  ///< that must be named; empty: all is well
  Question question;
  void (*act)(Stage&);
};

constexpr Case kCases[] = {
    {"", kAddress,
     [](Stage& stage) {
       stage.send(1);
       stage.tell(0, kNow + seconds(4));
       stage.counters.add(Counter::answers);
       stage.end();
     }},
    {"exactly once", kAddress, [](Stage& stage) { (stage.tell(0), stage.tell(0)); }},
    {"exactly once", kAddress, [](Stage& stage) { stage.end(); }},
    {"accepted", kAddress, [](Stage& stage) { stage.checker.asks(stage.client, Accepted::Kind::ignored, true, kNow); }},
    {"deadline", kAddress, [](Stage& stage) { stage.tell(0, kNow + seconds(4) + microseconds(1)); }},
    {"own answer", kAddress, [](Stage& stage) { stage.tell_changed(0); }},
    {"own answer", kAddress, [](Stage& stage) { stage.tell_changed(13); }},
    {"own answer", kAddress, [](Stage& stage) { stage.checker.told(stage.client, Octets(5), kNow); }},
    {"own answer", kAddress, [](Stage& stage) { stage.tell_changed(write_answer(stage.client.query, 0).size() - 1); }},
    {"own answer", kAddress, [](Stage& stage) { stage.tell(3); }},
    {"own answer", kNoSuch, [](Stage& stage) { stage.tell(0); }},
    {"own answer", kUnanswered, [](Stage& stage) { stage.tell(5); }},
    {"service", kAddress, [](Stage& stage) { stage.tell(2); }},
    {"service", kNoSuch, [](Stage& stage) { stage.tell(5, kNow + seconds(1)); }},
    {"one domain", kAddress,
     [](Stage& stage) {
       stage.plan.hosts[0][0].phases = {{Fault::domain_errors, kBirth, kNow}};
       stage.checker.errs(0, 0, kNow);
     }},
    {"", kAddress,
     [](Stage& stage) {
       stage.plan.hosts[0][0].phases = {{Fault::servfail, kBirth, kNow}};
       stage.checker.errs(0, 0, kNow);
     }},
    {"ID reuse", kAddress, [](Stage& stage) { (stage.send(5), stage.send(5)); }},
    {"limit", kAddress,
     [](Stage& stage) {
       constexpr std::size_t kMost = PendingQueries::kMaxAbandoned * (1 + Borrowing::kMaxBorrowed);
       for (std::uint16_t id = 0; id < kMost + 8; ++id) stage.send(id);
     }},
    {"limit", kAddress,
     [](Stage& stage) {
       for (std::size_t i = 0; i <= UpstreamSet::kMaxDials; ++i) stage.checker.dials(0, 0, 0, kNow + seconds(i));
     }},
    {"limit", kAddress,
     [](Stage& stage) {
       for (std::size_t i = 0; i <= 15; ++i) {
         stage.checker.dials(0, 0, 0, kNow + seconds(i));
         stage.checker.becomes_ready(0, 0, 0, kNow + seconds(i));
       }
     }},
    {"dial rate", kAddress,
     [](Stage& stage) {
       for (int i = 0; i < 12; ++i) {
         stage.checker.dials(0, 0, 0, kNow + milliseconds(i));
         stage.checker.destroyed(0, 0, 0, false, kNow + milliseconds(i));
       }
     }},
    {"limit", kAddress,
     [](Stage& stage) {
       for (std::size_t i = 0; i < 24; ++i) stage.checker.dials(i % 2, 0, 0, kNow + seconds(i));
     }},
    {"order", kAddress,
     [](Stage& stage) {
       stage.plan.orders.assign(kDomains, {0, 1});
       for (int i = 0; i < 100; ++i) {
         Reserved reserved;
         const auto query = *read_message(write_query(7, stage.client.question, {}, stage.random));
         stage.checker.sends(0, 0, 1, reserved, query, kNow + milliseconds(100) * i);
       }
     }},
    {"", kAddress,
     [](Stage& stage) {
       stage.plan.orders.assign(kDomains, {0, 1});
       for (int i = 0; i < 100; ++i) {
         Reserved reserved;
         const auto query = *read_message(write_query(7, stage.client.question, {}, stage.random));
         stage.checker.sends(0, 0, i % 2, reserved, query, kNow + milliseconds(100) * i);
       }
     }},
    {"zone", kAddress,
     [](Stage& stage) {
       stage.plan.orders[domain_of(kAddress)] = {1};
       stage.send(1);
     }},
    {"", kAddress,
     [](Stage& stage) {
       stage.plan.hosts.push_back(stage.plan.hosts[0]);
       stage.plan.orders.assign(kDomains, {1});
       stage.plan.orders[domain_of(kAddress)] = {1, 0};
       stage.send(1);
       stage.tell(0);
       stage.counters.add(Counter::answers);
       stage.end();
     }},
    {"busy loop", kAddress,
     [](Stage& stage) {
       for (int i = 0; i < 6; ++i) stage.checker.wakes(0, kNow);
     }},
    {"busy loop", kAddress,
     [](Stage& stage) {
       for (int i = 0; i < 2100; ++i) stage.checker.wakes(0, kNow + microseconds(i * 400));
     }},
    {"hedge budget", kAddress,
     [](Stage& stage) {
       stage.counters.add(Counter::upstream_hedged, 18);
       stage.counters.add(Counter::queries_udp, 19);
       stage.checker.counters(0, stage.counters, kNow);
     }},
    {"nothing left", kAddress, [](Stage& stage) { (stage.tell(0), stage.end(kNow + seconds(1))); }},
    {"nothing left", kAddress, [](Stage& stage) { (stage.tell(0), stage.end(kNever, false)); }},
    {"nothing left", kAddress, [](Stage& stage) { (stage.tell(0), stage.checker.dials(0, 0, 0, kNow), stage.end()); }},
    {"dead is not slow", kAddress,
     [](Stage& stage) {
       stage.tell(0);
       stage.counters.add(Counter::upstream_silent);
       stage.end();
     }},
    {"counters", kAddress, [](Stage& stage) { (stage.tell(0), stage.end()); }},
};

/// Two worlds of one seed are the same, two of different seeds are not.
bool lives_repeat() {
  const auto hash_of = [](std::uint32_t seed) {
    World world(seed, Promise::upstreams, nullptr);
    world.run();
    return world.transcript().hash();
  };
  return hash_of(1) == hash_of(1) && hash_of(1) != hash_of(2);
}

}  // namespace

int run_self_test() {
  int passed = 0;
  int failed = 0;
  for (const Case& one : kCases) {
    Stage stage(one.question);
    one.act(stage);
    const std::string found = stage.checker.breach() ? stage.checker.breach()->invariant : "";
    if (found == one.invariant) {
      ++passed;
    } else {
      ++failed;
      std::printf("case %d: '%s' instead of '%s'\n", passed + failed, found.c_str(), one.invariant.data());
    }
  }
  ++(lives_repeat() ? passed : failed);
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}

}  // namespace dotrelay::simulation
