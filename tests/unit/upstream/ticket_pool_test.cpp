// The pool of tickets that workers share: each out once, the newest first, the oldest replaced, and workers that die at
// the worst moment. The fault is made by a child process that is killed; the race by threads on two mappings.
#include "upstream/ticket_pool.hpp"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <doctest/doctest.h>
#include <mutex>
#include <set>
#include <string>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace dotrelay {
namespace {

/// A pool in shared memory, mapped `count` times.
class Mappings {
 public:
  explicit Mappings(std::size_t count) : fd_(memfd_create("pool", 0)) {
    REQUIRE(ftruncate(fd_, sizeof(TicketPool)) == 0);
    for (std::size_t i = 0; i < count; ++i) {
      void* const memory = mmap(nullptr, sizeof(TicketPool), PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
      REQUIRE(memory != MAP_FAILED);
      pools_.push_back(static_cast<TicketPool*>(memory));
    }
  }
  ~Mappings() {
    for (TicketPool* pool : pools_) munmap(pool, sizeof(TicketPool));
    close(fd_);
  }
  TicketPool& operator[](std::size_t i) { return *pools_[i]; }

 private:
  int fd_;
  std::vector<TicketPool*> pools_;
};

void put(TicketPool& pool, const std::string& text, std::uint32_t worker = 1) {
  pool.put({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}, worker);
}

std::string take(TicketPool& pool, std::uint32_t worker = 1) {
  std::vector<std::uint8_t> buffer(TicketPool::kMaxTicketBytes);
  const std::size_t size = pool.take(buffer, worker);
  return {buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(size)};
}

/// Whether the octets stand anywhere in the pool's memory.
bool holds(const TicketPool& pool, const std::string& text) {
  const auto* const begin = reinterpret_cast<const char*>(&pool);
  return std::search(begin, begin + sizeof pool, text.begin(), text.end()) != begin + sizeof pool;
}

TEST_CASE("what one worker puts, another takes, once, and nothing stays in the memory") {
  Mappings pools(2);
  CHECK(take(pools[0]).empty());
  put(pools[0], "first ticket", 1);
  CHECK(holds(pools[1], "first ticket"));
  CHECK(take(pools[1], 2) == "first ticket");
  CHECK(take(pools[1], 2).empty());
  CHECK(take(pools[0], 1).empty());
  CHECK_FALSE(holds(pools[0], "ticket"));
}

TEST_CASE("the newest comes first") {
  Mappings pools(1);
  for (const char* text : {"1", "2", "3"}) put(pools[0], text);
  CHECK(take(pools[0]) == "3");
  put(pools[0], "4");
  CHECK(take(pools[0]) == "4");
  CHECK(take(pools[0]) == "2");
  CHECK(take(pools[0]) == "1");
}

TEST_CASE("a full pool replaces its oldest ticket, and none of it stays") {
  Mappings pools(1);
  put(pools[0], std::string(1000, 'a'));
  for (int i = 1; i < 20; ++i) put(pools[0], "ticket " + std::to_string(i));
  CHECK_FALSE(holds(pools[0], "aaaa"));
  for (int i = 19; i > 19 - static_cast<int>(TicketPool::kSlots); --i)
    CHECK(take(pools[0]) == "ticket " + std::to_string(i));
  CHECK(take(pools[0]).empty());
}

TEST_CASE("the order holds where the numbers begin again") {
  for (const std::uint32_t last : {(1U << 29) - 5, (1U << 30) - 5, UINT32_MAX - 5}) {
    Mappings pools(1);
    reinterpret_cast<SharedWord*>(reinterpret_cast<char*>(&pools[0]) + TicketPool::kSlots * 4096)->store(last);
    for (int i = 0; i < 12; ++i) put(pools[0], "ticket " + std::to_string(i));
    for (int i = 11; i > 11 - static_cast<int>(TicketPool::kSlots); --i)
      CHECK(take(pools[0]) == "ticket " + std::to_string(i));
    CHECK(take(pools[0]).empty());
  }
}

TEST_CASE("sizes: none, the largest, one more") {
  Mappings pools(1);
  put(pools[0], "");
  put(pools[0], std::string(TicketPool::kMaxTicketBytes + 1, 'x'));
  CHECK(take(pools[0]).empty());
  put(pools[0], std::string(TicketPool::kMaxTicketBytes, 'x'));
  CHECK(take(pools[0]) == std::string(TicketPool::kMaxTicketBytes, 'x'));
}

TEST_CASE("many workers at once: every ticket whole, and none twice") {
  constexpr int kThreads = 4;
  constexpr int kTickets = 20'000;
  Mappings pools(kThreads);
  std::mutex mutex;
  std::multiset<std::string> seen;
  std::atomic<int> torn = 0;
  std::vector<std::thread> threads;
  for (std::uint32_t worker = 1; worker <= kThreads; ++worker) {
    threads.emplace_back([&, worker] {
      TicketPool& pool = pools[worker - 1];
      std::vector<std::string> mine;
      for (int i = 0; i < kTickets; ++i) {
        const std::string name = std::to_string(worker) + ":" + std::to_string(i) + ";";
        std::string text;
        while (text.size() < 600) text += name;
        put(pool, text, worker);
        const std::string other = take(pool, worker);
        if (other.empty()) continue;
        const std::string first = other.substr(0, other.find(';') + 1);
        std::string expected;
        while (expected.size() < 600) expected += first;
        if (other != expected) ++torn;
        mine.push_back(first);
      }
      const std::lock_guard lock(mutex);
      seen.insert(mine.begin(), mine.end());
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(torn == 0);
  CHECK(seen.size() > kTickets);
  CHECK(std::set<std::string>(seen.begin(), seen.end()).size() == seen.size());
}

TEST_CASE("workers killed at any moment: what they held is released, the pool works on, no ticket comes twice") {
  Mappings pools(1);
  std::set<std::string> seen;
  int by_hand = 0;
  for (int round = 0; round < 150; ++round) {
    // Worker 2 dies while it puts and takes as fast as it can; worker 1 is this process.
    int pipe_fds[2];
    REQUIRE(pipe(pipe_fds) == 0);
    const pid_t child = fork();
    if (child == 0) {
      for (int i = 0;; ++i) {
        put(pools[0], "child " + std::to_string(round) + "/" + std::to_string(i), 2);
        if (i % 2 == 0) take(pools[0], 2);
        if (i == 0) [[maybe_unused]]
          const ssize_t told = write(pipe_fds[1], "r", 1);
      }
    }
    char octet;
    REQUIRE(read(pipe_fds[0], &octet, 1) == 1);
    for (int i = 0; i < 20; ++i) {
      put(pools[0], "parent " + std::to_string(round) + "/" + std::to_string(i), 1);
      const std::string ticket = take(pools[0], 1);
      if (ticket.empty()) continue;
      ++by_hand;
      REQUIRE(seen.insert(ticket).second);
    }
    kill(child, SIGKILL);
    REQUIRE(waitpid(child, nullptr, 0) == child);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    pools[0].release_slots_of(2);
    // Every slot is empty or full again: a whole pool of new tickets fits.
    for (std::size_t i = 0; i < TicketPool::kSlots; ++i) put(pools[0], "probe " + std::to_string(round * 100 + i));
    for (std::size_t i = TicketPool::kSlots; i-- > 0;)
      REQUIRE(take(pools[0]) == "probe " + std::to_string(round * 100 + i));
    REQUIRE(take(pools[0]).empty());
  }
  CHECK(by_hand > 0);
}

/// Writes a slot's state word as a worker leaves it that dies between two steps.
void set_state(TicketPool& pool, std::size_t slot, std::uint32_t phase, std::uint32_t worker) {
  auto* const word = reinterpret_cast<SharedWord*>(reinterpret_cast<char*>(&pool) + slot * 4096);
  word->store(phase | worker << 2);
}

TEST_CASE("only the dead worker's slots are released, with what it left in them") {
  for (const std::uint32_t phase : {1U, 3U}) {  // writing, taking
    Mappings pools(1);
    for (std::size_t i = 0; i < TicketPool::kSlots; ++i) put(pools[0], "ticket " + std::to_string(i), 2);
    for (std::size_t i = 0; i < 6; ++i) set_state(pools[0], i, phase, i < 4 ? 2 : 3);
    pools[0].release_slots_of(2);
    CHECK_FALSE(holds(pools[0], "ticket 0"));
    CHECK(holds(pools[0], "ticket 4"));
    CHECK(take(pools[0]) == "ticket 7");
    CHECK(take(pools[0]) == "ticket 6");
    CHECK(take(pools[0]).empty());
    for (int i = 0; i < 9; ++i) put(pools[0], "new " + std::to_string(i));
    CHECK(take(pools[0]) == "new 8");
    CHECK(holds(pools[0], "ticket 4"));
    CHECK(holds(pools[0], "ticket 5"));
  }
}

TEST_CASE("every slot held by workers that hang: nothing is kept, nothing waits") {
  Mappings pools(1);
  for (std::size_t i = 0; i < TicketPool::kSlots; ++i) set_state(pools[0], i, 1, 7);
  put(pools[0], "ticket");
  CHECK(take(pools[0]).empty());
}

}  // namespace
}  // namespace dotrelay
