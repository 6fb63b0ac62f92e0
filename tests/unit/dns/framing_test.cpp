// Messages on a stream: the two-octet length, empty frames, the largest frame, and frames that arrive in pieces.
#include "dns/framing.hpp"

#include "message_builder.hpp"

#include <doctest/doctest.h>

namespace dotrelay::dns {
namespace {

using namespace dotrelay::test;

TEST_CASE("a frame is there once all of it is") {
  const Octets stream = hex("0003 aabbcc 0001 dd");
  for (std::size_t size = 0; size < 5; ++size) CHECK_FALSE(first_frame(Bytes(stream).first(size)));
  for (std::size_t size = 5; size <= stream.size(); ++size) {
    const auto frame = first_frame(Bytes(stream).first(size));
    REQUIRE(frame);
    CHECK(to_hex(*frame) == "aabbcc");
  }
  const auto second = first_frame(Bytes(stream).subspan(kFramePrefix + 3));
  REQUIRE(second);
  CHECK(to_hex(*second) == "dd");
}

TEST_CASE("a zero-length frame is a frame without octets") {
  const Octets stream = hex("0000 0001 aa");
  const auto frame = first_frame(stream);
  REQUIRE(frame);
  CHECK(frame->empty());
  const auto next = first_frame(Bytes(stream).subspan(kFramePrefix));
  REQUIRE(next);
  CHECK(to_hex(*next) == "aa");
}

TEST_CASE("the largest frame") {
  Octets stream = hex("ffff") + Octets(65535, 7);
  const auto frame = first_frame(stream);
  REQUIRE(frame);
  CHECK(frame->size() == kMaxMessage);
  stream.pop_back();
  CHECK_FALSE(first_frame(stream));
}

TEST_CASE("the prefix is what is read back") {
  for (const std::size_t size : {0U, 1U, 255U, 256U, 511U, 65535U}) {
    const auto prefix = frame_prefix(size);
    Octets stream(prefix.begin(), prefix.end());
    stream.resize(kFramePrefix + size);
    const auto frame = first_frame(stream);
    REQUIRE(frame);
    CHECK(frame->size() == size);
  }
}

}  // namespace
}  // namespace dotrelay::dns
