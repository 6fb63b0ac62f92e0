// What answers teach about upstreams: late ones, errors that others contradict, proofs.
#include "parts_fixture.hpp"

namespace dotrelay::test {
namespace {

struct Lessons : PartsFixture {
  Lessons() : PartsFixture({1, 1}) {
    connect({0, 0});
    connect({1, 0});
  }

  /// A query that the first upstream leaves unanswered while the second has an answer.
  QueryHandle miss(const std::string& name) {
    const QueryHandle handle = begin(name);
    REQUIRE(router.route(handle, now));
    experience.note_contradiction(query(handle), Meaning::answer, now);
    return handle;
  }
  Trouble trouble_of_first() { return set.address({0, 0}).health.trouble(); }
};

TEST_CASE("five misses of eight make an upstream slow, and name what waits there") {
  Lessons parts;
  std::vector<QueryHandle> asked;
  for (int i = 0; i < 5; ++i) asked.push_back(parts.miss("www.domain" + std::to_string(i) + ".example"));
  CHECK_FALSE(parts.experience.check_expected(parts.now));  // too early to tell
  CHECK(parts.experience.next_event() == parts.now + parts.config.relay.slow);
  parts.now += parts.config.relay.slow;
  const auto slowed = parts.experience.check_expected(parts.now);
  REQUIRE(slowed);
  CHECK(slowed->upstream == 0);
  CHECK(slowed->queries.size() == asked.size());
  CHECK(parts.trouble_of_first() == Trouble::slow);
  CHECK_FALSE(parts.experience.check_expected(parts.now));
}

TEST_CASE("one domain has one vote, however many of its names are missed") {
  Lessons parts;
  for (int i = 0; i < 20; ++i) parts.miss("n" + std::to_string(i) + ".broken.example");
  parts.now += parts.config.relay.slow;
  CHECK_FALSE(parts.experience.check_expected(parts.now));
  CHECK(parts.trouble_of_first() == Trouble::none);
}

TEST_CASE("an answer that comes within the time is no miss") {
  Lessons parts;
  for (int i = 0; i < 8; ++i) {
    const QueryHandle handle = parts.miss("www.domain" + std::to_string(i) + ".example");
    const Attempt& attempt = *parts.query(handle).attempts.begin();
    parts.connection(attempt.connection).pending.remove(attempt.id);
  }
  parts.now += parts.config.relay.slow;
  CHECK_FALSE(parts.experience.check_expected(parts.now));
  CHECK(parts.trouble_of_first() == Trouble::none);
}

TEST_CASE("errors where another upstream has an answer are trouble of the first; a final error contradicts nothing") {
  for (const Meaning meaning : {Meaning::final_error, Meaning::answer}) {
    Lessons parts;
    for (int i = 0; i < 5; ++i) {
      const QueryHandle handle = parts.begin("www.domain" + std::to_string(i) + ".example");
      parts.query(handle).error = std::make_unique<ErrorAnswer>(ErrorAnswer{dns::Rcode::servfail, {0, 0}, {}});
      parts.experience.note_contradiction(parts.query(handle), meaning, parts.now);
    }
    CHECK(parts.trouble_of_first() == (meaning == Meaning::answer ? Trouble::errors : Trouble::none));
  }
}

TEST_CASE("trouble is told once, and ends with a good answer on a connection made since") {
  Lessons parts;
  const auto trouble = [&] {
    Health& health = parts.set.address({0, 0}).health;
    parts.experience.note_trouble({0, 0}, Trouble::timed_out, "connection timed out", health.epoch(), parts.now);
  };
  trouble();
  trouble();
  const std::string text = parts.logged();
  CHECK(text.find("connection timed out") == text.rfind("connection timed out"));
  parts.now += seconds(1);
  const ConnectionHandle fresh = parts.connect({0, 0});
  parts.now += milliseconds(10);
  parts.experience.note_answer(parts.connection(fresh), parts.now, true, parts.now);
  CHECK(parts.trouble_of_first() == Trouble::none);
  CHECK(contains(parts.logged(), "works again"));
}

TEST_CASE("the latest proof is that of the query that left last") {
  Lessons parts;
  parts.experience.on_response(parts.now);
  parts.experience.on_response(parts.now - seconds(1));
  CHECK(parts.experience.latest_proof() == parts.now);
}

}  // namespace
}  // namespace dotrelay::test
