// See samples.hpp.
#include "samples.hpp"

#include "measuring.hpp"

#include <random>
#include <string>

namespace dotrelay::bench {
namespace {

constexpr std::size_t kSamples = 256;
constexpr std::size_t kFewSamples = 32;

constexpr std::size_t kOptHeader = 11;
constexpr std::size_t kOptionHeader = 4;

Octets address_record(std::size_t number) {
  return test::record(test::pointer(12), 1, {192, 0, 2, static_cast<std::uint8_t>(number)});
}

/// Completes an answer that has all its records with an OPT that pads it to `size` octets.
Octets padded(test::MessageBuilder& answer, std::size_t size) {
  const std::size_t padding = size - answer.size() - kOptHeader - kOptionHeader;
  Octets message = answer.opt({}, test::edns_option(12, Octets(padding, 0))).build();
  check(message.size() == size, "the samples' answers have the size that they are to have");
  return message;
}

Sample make_sample(std::size_t number) {
  const auto id = static_cast<unsigned>(number);
  Sample sample;
  sample.name = sample_name(number);
  sample.query = test::MessageBuilder(id, 0x0100).question(sample.name).opt();

  test::MessageBuilder answer(id, 0x8180);
  answer.question(sample.name).answer(address_record(number));
  sample.answer = padded(answer, kPaddedAnswer);

  test::MessageBuilder large(id, 0x8180);
  large.question(sample.name);
  while (large.size() + address_record(0).size() + kOptHeader + kOptionHeader <= kLargeAnswer)
    large.answer(address_record(large.size()));
  sample.large_answer = padded(large, kLargeAnswer);
  return sample;
}

}  // namespace

Octets sample_name(std::size_t number) {
  std::minstd_rand random(static_cast<std::uint32_t>(number) + 1);
  random.discard(3);  // near seeds begin alike
  std::string name = "host-" + std::to_string(number);
  for (std::size_t labels = 1 + random() % 3; labels > 0; --labels) {
    name += '.';
    for (std::size_t letters = 3 + random() % 10; letters > 0; --letters) {
      // Some clients and resolvers mix capitals in (draft-vixie-dnsext-dns0x20).
      name += static_cast<char>((random() % 4 == 0 ? 'A' : 'a') + static_cast<char>(random() % 26));
    }
  }
  return test::name(name + ".example");
}

std::span<const Sample> samples() {
  static const std::vector<Sample> all = [] {
    std::vector<Sample> made;
    for (std::size_t i = 0; i < kSamples; ++i) made.push_back(make_sample(i));
    return made;
  }();
  return all;
}

std::span<const Sample> few_samples() { return samples().first(kFewSamples); }

Octets frames(std::size_t count, std::size_t size) {
  Octets octets;
  for (std::size_t i = 0; i < count; ++i) {
    octets.push_back(static_cast<std::uint8_t>(size >> 8));
    octets.push_back(static_cast<std::uint8_t>(size));
    octets.insert(octets.end(), size, static_cast<std::uint8_t>(i));
  }
  return octets;
}

}  // namespace dotrelay::bench
