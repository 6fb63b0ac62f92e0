// See cache_memory.hpp.
#include "cache/cache_memory.hpp"

#include <cassert>
#include <string>

namespace dotrelay {
namespace {

/// Changes with every change of CacheLayout, EntryHeader or what their words mean.
constexpr std::uint32_t kVersion = 1;
constexpr std::uint32_t kMagic = 0x646f7463;

/// Words of the header.
enum Word : std::uint32_t { magic, version, size, hash_key, epoch = hash_key + 4, cursor };

static_assert(Word::cursor < CacheLayout::kHeaderWords);

SharedWord* words_of(MutableBytes memory) {
  assert(reinterpret_cast<std::uintptr_t>(memory.data()) % (CacheLayout::kBucketWords * sizeof(SharedWord)) == 0);
  return reinterpret_cast<SharedWord*>(memory.data());
}

bool fits(std::size_t bytes) { return bytes >= kMinCacheBytes && bytes <= kMaxCacheBytes && bytes % 64 == 0; }

std::uint64_t load_pair(const SharedWord* words) { return std::uint64_t{words[1].load()} << 32 | words[0].load(); }

void store_pair(SharedWord* words, std::uint64_t value) {
  words[0].store(static_cast<std::uint32_t>(value));
  words[1].store(static_cast<std::uint32_t>(value >> 32));
}

}  // namespace

void CacheMemory::format(MutableBytes memory, HashKey key) {
  assert(fits(memory.size()));
  SharedWord* const words = words_of(memory);
  words[Word::version].store(kVersion);
  words[Word::size].store(static_cast<std::uint32_t>(memory.size()));
  store_pair(&words[Word::hash_key], key.first);
  store_pair(&words[Word::hash_key + 2], key.second);
  // Not 0: an entry of zeros must not look as if it were committed.
  words[Word::epoch].store(1);
  words[Word::magic].store(kMagic, std::memory_order_release);
}

Result<CacheMemory> CacheMemory::attach(MutableBytes memory) {
  if (!fits(memory.size())) {
    return Error{"the answer cache's memory has " + std::to_string(memory.size()) + " octets, which is no size for it"};
  }
  SharedWord* const words = words_of(memory);
  if (words[Word::magic].load(std::memory_order_acquire) != kMagic || words[Word::version].load() != kVersion) {
    return Error{"the answer cache's memory belongs to another version of dotrelay"};
  }
  if (words[Word::size].load() != memory.size()) {
    return Error{"the answer cache's memory was made for another size"};
  }
  return CacheMemory(words, CacheLayout(memory.size()));
}

CacheMemory::CacheMemory(SharedWord* words, const CacheLayout& layout)
    : words_(words),
      layout_(layout),
      hash_key_{load_pair(&words[Word::hash_key]), load_pair(&words[Word::hash_key + 2])},
      epoch_(words[Word::epoch].load()) {}

CacheMemory CacheMemory::at_epoch(std::uint32_t epoch) const {
  CacheMemory view = *this;
  view.epoch_ = epoch;
  return view;
}

std::uint32_t CacheMemory::begin_epoch() { return words_[Word::epoch].fetch_add(1) + 1; }

SharedWord& CacheMemory::cursor() const { return words_[Word::cursor]; }

}  // namespace dotrelay
