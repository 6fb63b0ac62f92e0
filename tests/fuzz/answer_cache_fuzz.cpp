// The answer cache's memory as another process may have left it: what is found is an answer to the key's question, with
// its TTLs within it. The first octets of the input choose the key and say how many octets each change has; the others
// are changes of a memory that holds some answers: a place and the octets that stand there from then on.
#include "fuzz.hpp"

#include "cache/answer_cache.hpp"
#include "cache/cache_keeper.hpp"
#include "dns/message_view.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <vector>

using namespace dotrelay;

namespace {

constexpr std::size_t kBytes = kMinCacheBytes;
constexpr std::uint32_t kNow = 1000;
constexpr std::size_t kPlaceSize = 2;  // in words of the memory
constexpr std::size_t kQuestions = 16;

struct alignas(64) Line {
  std::uint8_t octets[64];
};

/// Exactly the memory, so that the sanitizer sees a read behind it.
struct Memory {
  std::unique_ptr<Line[]> lines{new Line[kBytes / sizeof(Line)]()};

  [[nodiscard]] MutableBytes octets() const { return {lines[0].octets, kBytes}; }
};

/// A question and an answer to it, of one record with a TTL at its end.
struct Sample {
  explicit Sample(std::uint8_t number) : name{1, static_cast<std::uint8_t>('a' + number), 0} {
    message.assign(17 + 100 * number + 40, number);
    const std::array<std::uint8_t, 12> header{0, 0, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0};
    std::ranges::copy(header, message.begin());
    std::ranges::copy(name, message.begin() + 12);
    const std::array<std::uint8_t, 4> rest{0, 1, 0, 1};
    std::ranges::copy(rest, message.begin() + 15);
  }

  [[nodiscard]] CacheKey key() const { return {.question = {name, 1, 1}, .zone = 0, .flags = 0}; }

  std::array<std::uint8_t, 3> name;
  std::vector<std::uint8_t> message;
};

void fill(AnswerCache& cache) {
  for (std::uint8_t number = 0; number < kQuestions; ++number) {
    const Sample sample(number);
    const std::array<std::uint16_t, 1> ttls{static_cast<std::uint16_t>(sample.message.size() - 4)};
    cache.put(sample.key(), cache.hash(sample.key()), {sample.message, ttls, 300, 1}, kNow);
  }
}

void change(MutableBytes memory, Bytes input, std::size_t octets) {
  const std::size_t words = memory.size() / 4;
  for (ByteReader reader(input); reader.remaining() > kPlaceSize;) {
    const std::size_t at = reader.u16() % words * 4;
    const Bytes new_octets = reader.take(std::min({octets, reader.remaining(), memory.size() - at}));
    std::ranges::copy(new_octets, memory.begin() + static_cast<std::ptrdiff_t>(at));
  }
}

void check(const AnswerCache& cache, const Sample& sample) {
  std::vector<std::uint8_t> buffer(AnswerCache::kBuffer);
  const CachedAnswer found = cache.find(sample.key(), cache.hash(sample.key()), kNow + 1, buffer);
  if (!found) return;
  assert(found.size <= buffer.size() && found.size >= 19);
  ByteReader reader(Bytes(buffer).first(found.size), 12);
  const Bytes name = dns::read_plain_name(reader);
  assert(dns::same_name(name, sample.name));
  assert(reader.u16() == 1 && reader.u16() == 1);
  assert(load_u16(&buffer[4]) == 1);
  for (const std::uint16_t offset : found.ttls()) assert(offset + 4U <= found.size);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const Memory memory;
  CacheMemory::format(memory.octets(), {1, 2});
  const auto view = CacheMemory::attach(memory.octets());
  assert(view);
  AnswerCache cache(*view, 1, 60);
  fill(cache);
  change(memory.octets(), Bytes(data, size).subspan(2), 1U + data[1]);

  const Sample sample(data[0] % kQuestions);
  check(cache, sample);
  // A writer and the supervisor meet the same memory.
  CacheKeeper(*view).worker_ended(2);
  for (int i = 0; i < 6; ++i) fill(cache);
  check(cache, sample);
  // So does a process that attaches now, if it accepts what the header says.
  if (const auto late = CacheMemory::attach(memory.octets())) check(AnswerCache(*late, 3, 60), sample);
  return 0;
}
