// See caches.hpp.
#include "caches.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

namespace dotrelay::hit_ratio {
namespace {

/// As the relay's default.
constexpr std::uint32_t kStaleForSeconds = 3600;
constexpr std::size_t kNameSize = 24;
constexpr std::uint16_t kTtlOffsets[] = {44, 60};

MutableBytes map(std::size_t bytes) {
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("mmap");
    std::exit(2);
  }
  return {static_cast<std::uint8_t*>(memory), bytes};
}

/// "qXXXXXXXXXXXXXXXX.test" or "o...": one for each question.
std::array<std::uint8_t, kNameSize> name_of(const Asked& asked) {
  std::array<std::uint8_t, kNameSize> name{17, static_cast<std::uint8_t>(asked.once ? 'o' : 'q')};
  for (std::size_t i = 0; i < 16; ++i) {
    name[2 + i] = static_cast<std::uint8_t>('a' + (asked.question >> (4 * i) & 15));
  }
  std::memcpy(&name[18], "\4test", 6);
  return name;
}

}  // namespace

BoundedCache::BoundedCache(std::size_t bytes, std::uint32_t workers)
    : memory_(map(bytes)), message_(kMaxCachedMessage), found_(AnswerCache::kBuffer) {
  CacheMemory::format(memory_, {1, 2});
  const CacheMemory memory = *CacheMemory::attach(memory_);
  for (std::uint32_t number = 1; number <= workers; ++number) workers_.emplace_back(memory, number, kStaleForSeconds);
}

BoundedCache::~BoundedCache() { munmap(memory_.data(), memory_.size()); }

bool BoundedCache::ask(const Asked& asked, std::uint32_t lifetime, std::uint32_t now, std::uint32_t worker) {
  AnswerCache& cache = workers_[worker];
  const auto name = name_of(asked);
  const CacheKey key{.question = {name, 1, 1}, .zone = 0, .flags = 0};
  const std::uint64_t hash = cache.hash(key);
  if (const CachedAnswer found = cache.find(key, hash, now, found_); found && found.fresh()) return true;
  ByteWriter writer(message_);
  dns::write_header(writer, {0, 0x8180}, {1, 1, 0, 0});
  dns::write_question(writer, key.question);
  cache.put(key, hash, {Bytes(message_).first(asked.message_octets), kTtlOffsets, lifetime, 0}, now);
  return false;
}

}  // namespace dotrelay::hit_ratio
