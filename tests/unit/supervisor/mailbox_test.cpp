// Mailboxes: one for each of several workers, and the supervisor's only message in them.
#include "supervisor/mailbox.hpp"

#include "net/descriptor_passing.hpp"
#include "upstream/sibling_record.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

TEST_CASE("each worker has one, a single worker has none") {
  CHECK(make_mailboxes(1)->empty());
  CHECK(make_mailboxes(3)->size() == 3);
}

TEST_CASE("what is written to a mailbox is read at its own reading end") {
  const auto mailboxes = make_mailboxes(2);
  const std::array<std::uint8_t, 1> octet = {7};
  REQUIRE(send_message((*mailboxes)[1].writing.get(), octet, {}, -1) == 0);
  std::array<std::uint8_t, 2> buffer{};
  CHECK(receive_message((*mailboxes)[0].reading.get(), buffer).status == ReceivedMessage::Status::nothing_yet);
  CHECK(receive_message((*mailboxes)[1].reading.get(), buffer).size == 1);
}

TEST_CASE("all workers are told of a death, once") {
  const auto mailboxes = make_mailboxes(3);
  tell_of_death(*mailboxes, 2);
  for (const Mailbox& mailbox : *mailboxes) {
    std::array<std::uint8_t, SiblingRecord::kMaxBytes> buffer{};
    const ReceivedMessage message = receive_message(mailbox.reading.get(), buffer);
    REQUIRE(message.status == ReceivedMessage::Status::message);
    const auto record = SiblingRecord::read(Bytes(buffer).first(message.size));
    REQUIRE(record);
    CHECK(record->kind == SiblingRecord::Kind::died);
    CHECK(record->worker == 2);
    CHECK(receive_message(mailbox.reading.get(), buffer).status == ReceivedMessage::Status::nothing_yet);
  }
}

TEST_CASE("a mailbox that is full does not keep the others from hearing") {
  const auto mailboxes = make_mailboxes(2);
  const std::array<std::uint8_t, 512> flood{};
  while (send_message((*mailboxes)[0].writing.get(), flood, {}, -1) == 0) {
  }
  tell_of_death(*mailboxes, 1);
  std::array<std::uint8_t, SiblingRecord::kMaxBytes> buffer{};
  CHECK(receive_message((*mailboxes)[1].reading.get(), buffer).status == ReceivedMessage::Status::message);
}

}  // namespace
}  // namespace dotrelay
