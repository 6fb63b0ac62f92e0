// A record that is read is written again as the same octets.
#include "fuzz.hpp"

#include "upstream/sibling_record.hpp"

using namespace dotrelay;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes octets(data, size);
  const auto record = SiblingRecord::read(octets);
  if (!record) return 0;
  const auto head = record->head();
  assert(equal(head, octets.first(head.size())));
  assert(equal(record->message, octets.subspan(head.size())));
  return 0;
}
