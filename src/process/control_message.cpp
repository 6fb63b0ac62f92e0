// See control_message.hpp.
#include "process/control_message.hpp"

#include "config/config.hpp"
#include "net/descriptor_passing.hpp"

#include <array>

namespace dotrelay {
namespace {

constexpr std::uint8_t kReady = 'r';
constexpr std::uint8_t kServe = 's';
constexpr std::uint8_t kTakeClients = 'c';
constexpr std::uint8_t kHandOver = 'h';
constexpr std::uint8_t kLeave = 'l';
constexpr std::uint8_t kStop = 's';

void send_octet(int control, std::uint8_t octet, Bytes rest = {}, int fd = -1) {
  // The messages of a worker's life fit the socket's buffer many times; one that cannot be sent has no receiver.
  send_message(control, Bytes(&octet, 1), rest, fd);
}

ControlMessage::Kind kind_of(std::uint8_t octet) {
  switch (octet) {
    case kReady:
      return ControlMessage::Kind::ready;
    case kServe:
      return ControlMessage::Kind::serve;
    case kTakeClients:
      return ControlMessage::Kind::take_clients;
    case kHandOver:
      return ControlMessage::Kind::hand_over;
    default:
      return ControlMessage::Kind::unknown;
  }
}

}  // namespace

void say_ready(int control) { send_octet(control, kReady); }

void send_serve(int control) { send_octet(control, kServe); }

void send_take_clients(int control, int channel) { send_octet(control, kTakeClients, {}, channel); }

void send_hand_over(int control, const std::vector<bool>& left, int channel) {
  std::vector<std::uint8_t> octets;
  for (const bool leaves : left) octets.push_back(leaves ? kLeave : kStop);
  send_octet(control, kHandOver, octets, channel);
}

ControlMessage receive_control(int control) {
  std::array<std::uint8_t, 1 + kMaxListenAddresses> buffer{};
  ReceivedMessage received = receive_message(control, buffer);
  ControlMessage message;
  if (received.status == ReceivedMessage::Status::nothing_yet) return message;
  message.kind = ControlMessage::Kind::end;
  if (received.status == ReceivedMessage::Status::end) return message;
  message.kind = kind_of(buffer[0]);
  message.channel = std::move(received.fd);
  for (std::size_t i = 1; i < received.size; ++i) message.left.push_back(buffer[i] == kLeave);
  if (message.kind == ControlMessage::Kind::take_clients && !message.channel) {
    message.kind = ControlMessage::Kind::unknown;
  }
  return message;
}

}  // namespace dotrelay
