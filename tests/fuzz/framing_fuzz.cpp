// A stream cut into arbitrary pieces yields the same frames as the stream in one piece. The input is pairs of a piece's
// length in one octet and the piece.
#include "fuzz.hpp"

#include "base/byte_queue.hpp"
#include "dns/framing.hpp"

#include <vector>

using namespace dotrelay;

namespace {

using Octets = std::vector<std::uint8_t>;

void take_frames(ByteQueue& queue, std::vector<Octets>& frames) {
  while (const auto frame = dns::first_frame(queue.bytes())) {
    frames.emplace_back(frame->begin(), frame->end());
    queue.consume(dns::kFramePrefix + frame->size());
  }
  if (queue.empty()) queue.shrink(256);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Octets whole;
  ByteQueue queue;
  std::vector<Octets> frames;
  for (Bytes rest(data, size); !rest.empty();) {
    const std::size_t length = std::min<std::size_t>(rest[0], rest.size() - 1);
    const Bytes piece = rest.subspan(1, length);
    rest = rest.subspan(1 + length);
    whole.insert(whole.end(), piece.begin(), piece.end());
    if (length % 2 == 0) {
      queue.append(piece);
    } else {
      const MutableBytes room = queue.extend(length + 3);
      std::ranges::copy(piece, room.begin());
      queue.trim(3);
    }
    take_frames(queue, frames);
  }

  Bytes rest = whole;
  for (const Octets& frame : frames) {
    assert(rest.size() >= dns::kFramePrefix + frame.size());
    const auto prefix = dns::frame_prefix(frame.size());
    assert(equal(rest.first(dns::kFramePrefix), prefix));
    assert(equal(rest.subspan(dns::kFramePrefix, frame.size()), frame));
    rest = rest.subspan(dns::kFramePrefix + frame.size());
  }
  assert(equal(queue.bytes(), rest));
  assert(!dns::first_frame(rest));
  return 0;
}
