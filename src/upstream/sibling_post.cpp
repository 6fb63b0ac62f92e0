// See sibling_post.hpp.
#include "upstream/sibling_post.hpp"

#include "base/random.hpp"
#include "net/descriptor_passing.hpp"

#include <cassert>
#include <cerrno>

namespace dotrelay {
namespace {

/// A sibling that sends without end must not starve the clients.
constexpr int kMaxRecordsPerTurn = 256;

}  // namespace

SiblingPost::SiblingPost(Loop& loop, std::uint16_t worker, int mailbox, std::span<const int> mailboxes)
    : loop_(loop),
      worker_(worker),
      mailbox_(mailbox),
      poller_(loop, mailbox, *this),
      next_link_(Random().u32()),
      buffer_(SiblingRecord::kMaxBytes + 1) {
  for (const int other : mailboxes) outboxes_.emplace_back(loop, other);
}

void SiblingPost::report_to(ConnectionEvents& events, Lending& lending) {
  events_ = &events;
  lending_ = &lending;
  poller_.watch(true, false);
}

std::unique_ptr<Connection> SiblingPost::connect(std::uint16_t worker, std::size_t address, ConnectionHandle handle) {
  const std::uint32_t link = next_link_++;
  auto connection =
      std::make_unique<SiblingConnection>(*this, link, worker, static_cast<std::uint16_t>(address), handle);
  connections_[link] = connection.get();
  return connection;
}

void SiblingPost::answer(const Borrower& borrower, Bytes message) {
  send(borrower.worker, {.kind = SiblingRecord::Kind::answer, .link = borrower.link, .message = message});
}

void SiblingPost::close(const Borrower& borrower, bool asked) {
  send(borrower.worker,
       {.kind = asked ? SiblingRecord::Kind::closed : SiblingRecord::Kind::refused, .link = borrower.link});
}

bool SiblingPost::send(std::uint16_t worker, SiblingRecord record) {
  if (worker == 0 || worker > outboxes_.size()) return false;
  record.worker = worker_;
  return outboxes_[worker - 1U].send(record);
}

bool SiblingPost::Outbox::send(const SiblingRecord& record) {
  const auto head = record.head();
  if (waiting_.empty()) {
    const int error = send_message(mailbox_, head, record.message, -1);
    if (error == 0) return true;
    if (error != EAGAIN && error != ENOBUFS) return false;
  }
  if (waiting_bytes_ + head.size() + record.message.size() > kMaxQueuedBytes) return false;
  std::vector<std::uint8_t>& octets = waiting_.emplace_back(head.begin(), head.end());
  octets.insert(octets.end(), record.message.begin(), record.message.end());
  waiting_bytes_ += octets.size();
  poller_.watch(false, true);
  return true;
}

void SiblingPost::Outbox::on_poll(bool, bool) noexcept {
  while (!waiting_.empty()) {
    const int error = send_message(mailbox_, waiting_.front(), {}, -1);
    if (error == EAGAIN || error == ENOBUFS) return;
    waiting_bytes_ -= waiting_.front().size();
    waiting_.pop_front();
  }
  poller_.watch(false, false);
}

void SiblingPost::on_poll(bool, bool) noexcept {
  for (int i = 0; i < kMaxRecordsPerTurn; ++i) {
    const ReceivedMessage received = receive_message(mailbox_, buffer_);
    if (received.status == ReceivedMessage::Status::nothing_yet) return;
    // Only a worker that runs wild shuts the mailbox down, or sends nothing.
    if (received.status == ReceivedMessage::Status::end) return poller_.watch(false, false);
    if (const auto record = SiblingRecord::read(Bytes(buffer_).first(received.size))) receive(*record);
  }
}

void SiblingPost::receive(const SiblingRecord& record) {
  if (record.worker > outboxes_.size()) return;
  switch (record.kind) {
    case SiblingRecord::Kind::query:
      return lending_->take({record.worker, record.link}, record.address, record.message, loop_.now());
    case SiblingRecord::Kind::left:
      return lending_->release({record.worker, record.link});
    case SiblingRecord::Kind::died:
      return on_death(record.worker);
    case SiblingRecord::Kind::answer:
    case SiblingRecord::Kind::refused:
    case SiblingRecord::Kind::closed:
      return receive_for_link(record);
  }
}

void SiblingPost::receive_for_link(const SiblingRecord& record) {
  const auto found = connections_.find(record.link);
  if (found == connections_.end() || found->second->lender() != record.worker) return;
  SiblingConnection& connection = *found->second;
  if (connection.state() == Connection::State::closed) return;
  if (record.kind == SiblingRecord::Kind::answer) {
    connection.take(record.message);
    return events_->on_activity(connection.handle(), loop_.now());
  }
  end(connection, record.kind == SiblingRecord::Kind::refused ? CloseKind::unreachable : CloseKind::closed_by_peer);
}

void SiblingPost::on_death(std::uint16_t worker) {
  if (worker == worker_) return;
  lending_->release_all(worker);
  std::vector<std::uint32_t> lost;
  for (const auto& [link, connection] : connections_) {
    if (connection->lender() == worker) lost.push_back(link);
  }
  for (const std::uint32_t link : lost) {
    if (const auto found = connections_.find(link); found != connections_.end()) {
      end(*found->second, CloseKind::closed_by_peer);
    }
  }
}

/// Destroys the connection.
void SiblingPost::end(SiblingConnection& connection, CloseKind kind) {
  connection.end(kind, "the other worker's connection has ended");
  events_->on_activity(connection.handle(), loop_.now());
}

}  // namespace dotrelay
