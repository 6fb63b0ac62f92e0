// Slab objects: addresses that do not change, handles that go stale for good.
#include "base/slab.hpp"

#include "base/random.hpp"

#include <doctest/doctest.h>
#include <map>
#include <memory>
#include <string>

namespace dotrelay {
namespace {

TEST_CASE("a handle finds its object until it is erased") {
  Slab<std::string> slab;
  CHECK(slab.empty());
  const auto handle = slab.emplace("first");
  REQUIRE(handle);
  CHECK(slab.get(handle) == "first");
  CHECK(slab.size() == 1);
  slab.erase(handle);
  CHECK(slab.find(handle) == nullptr);
  CHECK(slab.empty());
}

TEST_CASE("a stale handle does not find the object that took its place") {
  Slab<std::string> slab;
  const auto stale = slab.emplace("old");
  slab.erase(stale);
  const auto fresh = slab.emplace("new");
  CHECK(fresh.index == stale.index);
  CHECK_FALSE(fresh == stale);
  CHECK(slab.find(stale) == nullptr);
  CHECK(slab.get(fresh) == "new");
}

TEST_CASE("handles that name nothing find nothing") {
  Slab<int> slab;
  CHECK_FALSE(Slab<int>::HandleType{});
  CHECK(slab.find({}) == nullptr);
  CHECK(slab.find({0, 0}) == nullptr);
  slab.emplace(1);
  CHECK(slab.find({}) == nullptr);
  CHECK(slab.find({1, 0}) == nullptr);
  CHECK(slab.find({0, 2}) == nullptr);
}

TEST_CASE("objects do not move while others come and go, and need not be movable") {
  struct Fixed {
    explicit Fixed(int n) : number(n) {}
    Fixed(const Fixed&) = delete;
    Fixed& operator=(const Fixed&) = delete;
    int number;
  };
  Slab<Fixed> slab;
  const auto handle = slab.emplace(42);
  const Fixed* const address = &slab.get(handle);
  for (int i = 0; i < 10'000; ++i) slab.emplace(i);
  CHECK(slab.find(handle) == address);
  CHECK(address->number == 42);
}

TEST_CASE("erase destroys the object then, not later") {
  Slab<std::shared_ptr<int>> slab;
  auto shared = std::make_shared<int>(1);
  const auto handle = slab.emplace(shared);
  CHECK(shared.use_count() == 2);
  slab.erase(handle);
  CHECK(shared.use_count() == 1);
}

TEST_CASE("while its destructor runs, an object cannot be found any more") {
  struct Probe {
    Slab<Probe>& slab;
    Slab<Probe>::HandleType self;
    bool& found;
    ~Probe() { found = slab.find(self) != nullptr; }
  };
  bool found = true;
  Slab<Probe> slab;
  const auto handle = slab.emplace(slab, Slab<Probe>::HandleType{}, found);
  slab.get(handle).self = handle;
  slab.erase(handle);
  CHECK_FALSE(found);
}

TEST_CASE("for_each visits the living, and the visitor may erase the one it is given") {
  Slab<int> slab;
  std::map<int, Handle<int>> handles;
  for (int i = 0; i < 10; ++i) handles[i] = slab.emplace(i);
  slab.erase(handles[3]);
  int sum = 0;
  slab.for_each([&](Handle<int> handle, int& number) {
    CHECK(handle == handles[number]);
    sum += number;
    if (number % 2 == 0) slab.erase(handle);
  });
  CHECK(sum == 45 - 3);
  CHECK(slab.size() == 4);
}

TEST_CASE("any order of calls agrees with a map") {
  Random random(11);
  Slab<std::uint32_t> slab;
  std::vector<std::pair<Handle<std::uint32_t>, std::uint32_t>> living;
  std::vector<Handle<std::uint32_t>> dead;
  for (int step = 0; step < 20'000; ++step) {
    if (living.empty() || random.below(2) == 0) {
      const std::uint32_t value = random.u32();
      living.emplace_back(slab.emplace(value), value);
    } else {
      const std::size_t chosen = random.below(static_cast<std::uint32_t>(living.size()));
      slab.erase(living[chosen].first);
      dead.push_back(living[chosen].first);
      living.erase(living.begin() + static_cast<std::ptrdiff_t>(chosen));
    }
    REQUIRE(slab.size() == living.size());
  }
  for (const auto& [handle, value] : living) CHECK(slab.get(handle) == value);
  std::size_t revived = 0;
  for (const auto handle : dead) revived += slab.find(handle) == nullptr ? 0U : 1U;
  CHECK(revived == 0);
}

TEST_CASE("a flood that has passed leaves no memory behind, and none of its handles finds what comes later") {
  Slab<std::uint64_t> slab;
  std::vector<Handle<std::uint64_t>> flood;
  for (std::uint64_t i = 0; i < 100'000; ++i) flood.push_back(slab.emplace(i));
  const std::size_t much = slab.capacity();
  const Handle<std::uint64_t> survivor = flood[3];
  for (const auto handle : flood) {
    if (handle != survivor) slab.erase(handle);
  }
  slab.shrink();
  CHECK(slab.capacity() < much / 50);
  CHECK(slab.get(survivor) == 3);
  for (std::uint64_t i = 0; i < 100'000; ++i) slab.emplace(i);
  std::size_t revived = 0;
  for (const auto handle : flood) revived += handle != survivor && slab.find(handle) != nullptr ? 1U : 0U;
  CHECK(revived == 0);
}

TEST_CASE("what lives at the end keeps its place; those that come after a shrink take the places in front") {
  Slab<std::uint64_t> slab;
  std::vector<Handle<std::uint64_t>> all;
  for (std::uint64_t i = 0; i < 100'000; ++i) all.push_back(slab.emplace(i));
  const Handle<std::uint64_t> last = all.back();
  all.pop_back();
  for (const auto handle : all) slab.erase(handle);
  slab.shrink();
  CHECK(slab.get(last) == 99'999);
  const Handle<std::uint64_t> next = slab.emplace(std::uint64_t{7});
  CHECK(next.index == 0);
  slab.erase(last);
  slab.shrink();
  CHECK(slab.get(next) == 7);
  CHECK(slab.capacity() < 10'000);
}

TEST_CASE("shrinking while there is nothing to give back changes nothing") {
  Slab<int> slab;
  slab.shrink();
  const auto one = slab.emplace(1);
  const auto two = slab.emplace(2);
  slab.erase(one);
  slab.shrink();
  CHECK(slab.get(two) == 2);
  CHECK(slab.find(one) == nullptr);
  CHECK(slab.get(slab.emplace(3)) == 3);
}

}  // namespace
}  // namespace dotrelay
