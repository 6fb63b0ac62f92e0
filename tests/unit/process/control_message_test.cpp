// The words between supervisor and worker, over a real channel; what a later version says is skipped.
#include "process/control_message.hpp"

#include "net/descriptor_passing.hpp"

#include <array>
#include <doctest/doctest.h>
#include <sys/socket.h>

namespace dotrelay {
namespace {

using Kind = ControlMessage::Kind;

TEST_CASE("every message arrives as what it was") {
  auto [one, other] = *make_channel();
  CHECK(receive_control(other.get()).kind == Kind::nothing_yet);
  say_ready(one.get());
  send_serve(one.get());
  send_take_clients(one.get(), one.get());
  send_hand_over(one.get(), {true, false}, one.get());
  send_hand_over(one.get(), {}, -1);
  CHECK(receive_control(other.get()).kind == Kind::ready);
  CHECK(receive_control(other.get()).kind == Kind::serve);
  const ControlMessage take = receive_control(other.get());
  CHECK(take.kind == Kind::take_clients);
  CHECK(take.channel);
  const ControlMessage hand_over = receive_control(other.get());
  CHECK(hand_over.kind == Kind::hand_over);
  CHECK(hand_over.channel);
  CHECK(hand_over.leaves(0));
  CHECK_FALSE(hand_over.leaves(1));
  CHECK_FALSE(hand_over.leaves(2));
  CHECK_FALSE(receive_control(other.get()).channel);
  CHECK(receive_control(other.get()).kind == Kind::nothing_yet);
  one.reset();
  CHECK(receive_control(other.get()).kind == Kind::nothing_yet);
}

TEST_CASE("the end comes behind what was said before, and stays") {
  auto [one, other] = *make_channel();
  send_serve(one.get());
  shutdown(one.get(), SHUT_WR);
  CHECK(receive_control(other.get()).kind == Kind::serve);
  CHECK(receive_control(other.get()).kind == Kind::end);
  CHECK(receive_control(other.get()).kind == Kind::end);
}

TEST_CASE("what is unknown or incomplete is skipped") {
  auto [one, other] = *make_channel();
  const std::array<std::uint8_t, 3> unknown = {'?', 1, 2};
  REQUIRE(send_message(one.get(), unknown, {}, one.get()) == 0);
  send_take_clients(one.get(), -1);
  CHECK(receive_control(other.get()).kind == Kind::unknown);
  CHECK(receive_control(other.get()).kind == Kind::unknown);
}

}  // namespace
}  // namespace dotrelay
