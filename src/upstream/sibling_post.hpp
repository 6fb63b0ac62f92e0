// The post between the workers of a generation: each has a mailbox, a socket that it reads and the others write to.
// Sends and receives records; which query goes through which sibling is the forwarder's business. No worker waits for a
// sibling that does not read: what its mailbox does not take is kept up to a limit, and refused beyond.
#pragma once

#include "net/handles.hpp"
#include "net/loop.hpp"
#include "relay/connection.hpp"
#include "relay/lending.hpp"
#include "relay/siblings.hpp"
#include "upstream/sibling_connection.hpp"
#include "upstream/sibling_record.hpp"

#include <deque>
#include <span>
#include <unordered_map>
#include <vector>

namespace dotrelay {

class SiblingPost final : public Siblings, private PollListener {
 public:
  /// Octets that may wait for a sibling that does not read, beside those in its mailbox: about 400 queries.
  static constexpr std::size_t kMaxQueuedBytes = std::size_t{128} * 1024;

  /// `worker`: the own number, from 1. `mailbox` is to be read; `mailboxes` are written to, one for each worker. The
  /// descriptors and the loop outlive the post.
  SiblingPost(Loop& loop, std::uint16_t worker, int mailbox, std::span<const int> mailboxes);

  /// What hears from the ways through siblings, and what lends to them. Once, before the first turn of the loop.
  void report_to(ConnectionEvents& events, Lending& lending);

  std::unique_ptr<Connection> connect(std::uint16_t worker, std::size_t address, ConnectionHandle handle) override;
  void answer(const Borrower& borrower, Bytes message) override;
  void close(const Borrower& borrower, bool asked) override;

  /// Sends a record to a worker, as said by this one. False when it cannot be sent now.
  bool send(std::uint16_t worker, SiblingRecord record);

  /// The connection with this name is no more.
  void forget(std::uint32_t link) { connections_.erase(link); }

 private:
  /// What waits for room in a sibling's mailbox.
  class Outbox final : private PollListener {
   public:
    Outbox(Loop& loop, int mailbox) : mailbox_(mailbox), poller_(loop, mailbox, *this) {}
    bool send(const SiblingRecord& record);

   private:
    void on_poll(bool readable, bool writable) noexcept override;

    int mailbox_;
    Poller poller_;
    std::deque<std::vector<std::uint8_t>> waiting_;
    std::size_t waiting_bytes_ = 0;
  };

  void on_poll(bool readable, bool writable) noexcept override;
  void receive(const SiblingRecord& record);
  void receive_for_link(const SiblingRecord& record);
  void on_death(std::uint16_t worker);
  void end(SiblingConnection& connection, CloseKind kind);

  Loop& loop_;
  const std::uint16_t worker_;
  const int mailbox_;
  Poller poller_;
  std::deque<Outbox> outboxes_;
  ConnectionEvents* events_ = nullptr;
  Lending* lending_ = nullptr;
  std::unordered_map<std::uint32_t, SiblingConnection*> connections_;  ///< by link
  std::uint32_t next_link_;  ///< begins at random, so that no answer to a worker that died is taken for another's
  std::vector<std::uint8_t> buffer_;
};

}  // namespace dotrelay
