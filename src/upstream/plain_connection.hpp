// A connection to a local upstream: DNS over TCP (RFC 7766) without TLS, as a zone of the configuration asks for. It is
// the one way in which a question leaves the relay unencrypted, and it leads to private addresses only.
#pragma once

#include "upstream/framed_connection.hpp"

#include <optional>
#include <string>

namespace dotrelay {

class PlainConnection final : public FramedConnection {
 public:
  /// Begins to connect. To an address that is not private it does not, whatever the configuration's checks have let
  /// through, and closes for want of a route.
  PlainConnection(const Wiring& wiring, const Way& way);

  /// Without AD, which says nothing where anyone on the path may have set it (RFC 4035 4.9.3).
  std::optional<Bytes> next_message() override;
  [[nodiscard]] Duration handshake_silence(TimePoint /*now*/) override { return {}; }
  [[nodiscard]] std::string description() const override { return "plain text on purpose"; }

 private:
  void on_connected() override { set_state(State::ready); }
  void take_octets(Bytes octets) override { incoming_.append(octets); }
  void encode(ByteQueue& frames) override;
  ByteQueue& outgoing() override { return outgoing_; }
  ByteQueue& incoming_frames() override { return incoming_; }

  ByteQueue incoming_;
  ByteQueue outgoing_;
};

}  // namespace dotrelay
