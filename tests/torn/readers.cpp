// See readers.hpp.
#include "readers.hpp"

#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>

namespace dotrelay::torn {
namespace {

/// More than the versions of one run of the single steps, so that those are all made once.
constexpr std::size_t kMostSamples = 4096;

}  // namespace

MutableBytes share(std::size_t bytes) {
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("mmap");
    std::exit(2);
  }
  return {static_cast<std::uint8_t*>(memory), bytes};
}

CacheMemory formatted(MutableBytes memory) {
  CacheMemory::format(memory, {1, 2});
  return *CacheMemory::attach(memory);
}

const test::SampleAnswer& Judge::sample(std::uint32_t question, std::uint32_t version) {
  if (samples_.size() >= kMostSamples) samples_.clear();
  const auto [at, missing] = samples_.try_emplace({question, version});
  if (missing) at->second = test::sample_answer(question, version, data_octets_[question]);
  return at->second;
}

PutResult Judge::put(AnswerCache& cache, std::uint32_t question, std::uint32_t version) {
  const test::SampleAnswer& answer = sample(question, version);
  return cache.put(answer.key(), cache.hash(answer.key()), answer.answer(kLifetime), kNow);
}

void Judge::check(const AnswerCache& cache, std::uint32_t question, Tally& tally) {
  const CacheKey key = sample(question, 0).key();
  const CachedAnswer found = cache.find(key, cache.hash(key), kNow, buffer_);
  if (!found) return;
  ++tally.checked;
  const Bytes message(buffer_.data(), found.size);
  const std::uint8_t* const end = message.data() + message.size();
  const std::uint32_t version = std::uint32_t{load_u16(end - 4)} << 16 | load_u16(end - 2);
  if (!equal(message, sample(question, version).message)) ++tally.wrong;
}

void Judge::check_all(const AnswerCache& cache, Tally& tally) {
  for (std::uint32_t question = 0; question < questions(); ++question) check(cache, question, tally);
}

}  // namespace dotrelay::torn
