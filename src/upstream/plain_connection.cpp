// See plain_connection.hpp.
#include "upstream/plain_connection.hpp"

#include "dns/constants.hpp"
#include "dns/framing.hpp"

namespace dotrelay {

PlainConnection::PlainConnection(const Wiring& wiring, const Way& way) : FramedConnection(wiring, way) {
  if (way.endpoint.address.is_private()) {
    begin();
  } else {
    begin_closed("not a private address, so nothing is sent there in plain text");
  }
}

std::optional<Bytes> PlainConnection::next_message() {
  const std::optional<Bytes> message = FramedConnection::next_message();
  if (message && message->size() >= dns::kHeaderSize) {
    const MutableBytes header = incoming_.mutable_bytes().subspan(dns::kFramePrefix, dns::kHeaderSize);
    store_u16(&header[2], load_u16(&header[2]) & ~dns::flag::ad);
  }
  return message;
}

void PlainConnection::encode(ByteQueue& frames) {
  outgoing_.append(frames.bytes());
  frames.clear();
}

}  // namespace dotrelay
