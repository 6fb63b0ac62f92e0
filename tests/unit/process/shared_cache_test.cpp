// Memory for answers that processes share, how much there is, and when the next configuration goes on with it.
#include "process/shared_cache.hpp"

#include "cache/answer_cache.hpp"
#include "config/parser.hpp"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

namespace dotrelay {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

const std::string kUpstream = "[[upstream]]\nname = \"one\"\naddresses = [\"192.0.2.1\"]\ntls_name = \"a.example\"\n";

Config config(const std::string& text) {
  const auto parsed = parse_config(text, "test");
  REQUIRE_MESSAGE(parsed, parsed.error().message);
  return *parsed;
}

/// An answer of octets that mean nothing, for the question of one name.
struct Sample {
  std::vector<std::uint8_t> message = {0, 1, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 0, 0, 1, 0, 1};
  CacheKey key{.question = {Bytes(message).subspan(12, 3), 1, 1}};

  void put(AnswerCache& cache) const {
    CHECK(cache.put(key, cache.hash(key), {.message = message, .ttl_offsets = {}, .lifetime_seconds = 60}, 100) ==
          PutResult::kept);
  }
  [[nodiscard]] bool is_in(const AnswerCache& cache) const {
    std::vector<std::uint8_t> buffer(AnswerCache::kBuffer);
    return static_cast<bool>(cache.find(key, cache.hash(key), 100, buffer));
  }
};

TEST_CASE("what one process keeps another finds, also by a descriptor that was shared") {
  const auto first = SharedCache::create(kMiB);
  REQUIRE(first);
  CHECK(first->size() == kMiB);
  const auto second = first->share();
  REQUIRE(second);
  CHECK(second->fd() != first->fd());
  const Sample sample;
  AnswerCache one(first->view(), 100, 0);
  const AnswerCache two(second->view(), 101, 0);
  CHECK_FALSE(sample.is_in(two));
  sample.put(one);
  CHECK(sample.is_in(two));
}

TEST_CASE("the end of a process frees what it was writing; what it has kept stays") {
  auto cache = SharedCache::create(kMiB);
  REQUIRE(cache);
  const Sample sample;
  AnswerCache worker(cache->view(), 100, 0);
  sample.put(worker);
  const auto written = [&] {
    std::uint32_t count = 0;
    for (std::uint32_t i = 0; i < cache->view().layout().segments; ++i) count += cache->view().owner(i).load() != 0;
    return count;
  };
  CHECK(written() == 1);
  cache->worker_ended(99);
  CHECK(written() == 1);
  cache->worker_ended(100);
  CHECK(written() == 0);
  CHECK(sample.is_in(AnswerCache(cache->view(), 101, 0)));
}

TEST_CASE("other memory is refused") {
  CHECK_FALSE(SharedCache::map(UniqueFd()));
  const auto zeros = SealedMemory::create(kMiB);
  REQUIRE(zeros);
  CHECK(SharedCache::map(UniqueFd(dup(zeros->fd()))).error().message ==
        "the answer cache's memory belongs to another version of dotrelay");
  const auto odd = SealedMemory::create(kMiB + 1);
  REQUIRE(odd);
  CHECK_FALSE(SharedCache::map(UniqueFd(dup(odd->fd()))));
}

TEST_CASE("its size: as configured, a quarter of the relay's memory at most, and none for 0") {
  CHECK(cache_octets({.size = 4 * kMiB}, 64 * kMiB) == 4 * kMiB);
  CHECK(cache_octets({.size = 4 * kMiB}, 8 * kMiB) == 2 * kMiB);
  CHECK(cache_octets({.size = 0}, 64 * kMiB) == 0);
  CHECK(cache_octets({.size = 64 << 10}, 64 * kMiB) == 64 << 10);
}

TEST_CASE("the next configuration goes on with what is kept where it would get the same answers") {
  const Config before = config(kUpstream);
  CHECK(answers_alike(before, config(kUpstream)));
  CHECK(answers_alike(before, config(kUpstream + "[relay]\ndeadline = \"2s\"\n[listen]\nworkers = 3\n")));
  CHECK(answers_alike(before, config("# a comment\n\n" + kUpstream)));
  const std::string other = "[[upstream]]\nname = \"two\"\naddresses = [\"192.0.2.2\"]\ntls_name = \"b.example\"\n";
  const std::string pin = "pins = [\"sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"]\n";
  for (const std::string& text : {other, kUpstream + other, kUpstream + pin, kUpstream + "refused_is_final = true\n",
                                  kUpstream + "ca_file = \"/etc/ssl/certs/ca-certificates.crt\"\n",
                                  kUpstream + "[[zone]]\nnames = [\"corp.example\"]\nanswer = \"nxdomain\"\n"}) {
    CAPTURE(text);
    CHECK_FALSE(answers_alike(before, config(text)));
  }
  const std::string zone = kUpstream + other + "[[zone]]\nnames = [\"corp.example\"]\nupstreams = [\"one\"]\n";
  CHECK(answers_alike(config(zone), config(zone)));
  CHECK_FALSE(answers_alike(config(zone), config(kUpstream + other)));
  const std::string local = "[[local_upstream]]\nname = \"lan\"\naddresses = [\"10.0.0.1\"]\n";
  CHECK(answers_alike(config(kUpstream + local), config(kUpstream + local)));
  CHECK_FALSE(answers_alike(config(kUpstream), config(kUpstream + local)));
  CHECK_FALSE(answers_alike(config(kUpstream + local), config(kUpstream + local +
                                                              "[listen]\nworkers = 1\n[[local_upstream]]\n"
                                                              "name = \"vpn\"\naddresses = [\"10.0.0.2\"]\n")));
}

}  // namespace
}  // namespace dotrelay
