// Arbitrary octets as the name constraints of a CA, and the rest of them as names that are judged. A name within
// nothing that is permitted is never allowed, and what is said of one name does not depend on the case of its letters.
#include "fuzz.hpp"

#include "tls/name_constraints.hpp"

#include <vector>

using namespace dotrelay;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const Bytes input(data, size);
  const std::size_t split = 3 + load_u16(data) % (size - 2);
  const Bytes value = input.subspan(3, split - 3);
  const Bytes name = input.subspan(split);
  const auto constraints = NameConstraints::parse(value);
  if (!constraints) return 0;
  assert(constraints->size() > 0 && constraints->size() <= 2 * NameConstraints::kMaxSubtrees);
  for (std::uint8_t form = 0; form <= 8; ++form) {
    const auto verdict = constraints->judge({static_cast<NameForm>(form), name});
    const bool compared = form == 2 || form == 4 || form == 7;
    assert(compared || verdict != NameConstraints::Verdict::forbidden);
    if (form != static_cast<std::uint8_t>(NameForm::dns)) continue;
    assert(verdict != NameConstraints::Verdict::unknown);
    std::vector<std::uint8_t> capitals(name.begin(), name.end());
    for (std::uint8_t& octet : capitals) {
      if (octet >= 'a' && octet <= 'z') octet = static_cast<std::uint8_t>(octet - 32);
    }
    assert(constraints->judge({NameForm::dns, capitals}) == verdict);
  }
  // The same octets twice are no constraints: nothing may follow them.
  std::vector<std::uint8_t> twice(value.begin(), value.end());
  twice.insert(twice.end(), value.begin(), value.end());
  assert(!NameConstraints::parse(twice));
  return 0;
}
