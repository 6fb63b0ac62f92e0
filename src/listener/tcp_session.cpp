// See tcp_session.hpp.
#include "listener/tcp_session.hpp"

#include "dns/framing.hpp"
#include "listener/tcp_clients.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace dotrelay {
namespace {

/// So much of a query that is half there is copied in front of the next read; after more than that the read is
/// appended to it.
constexpr std::size_t kShortInput = 4096;

/// What an idle client may keep for the next query that comes in pieces: most queries fit.
constexpr std::size_t kKeptInput = 128;

}  // namespace

TcpSession::TcpSession(TcpClients& clients, UniqueFd fd, const IpAddress& source)
    : clients_(clients),
      stream_(clients.loop(), std::move(fd), *this),
      source_(source),
      last_activity_(clients.loop().now()) {}

TcpSession::~TcpSession() { clients_.subtract_unread(output_.size()); }

void TcpSession::start(Handle<TcpSession> handle, Bytes already_read) {
  handle_ = handle;
  input_.append(already_read);
  message_began_ = last_activity_;
  switch (clients_.stage()) {
    case TcpClients::Stage::serving:
      return on_poll(clients_.reads_at_accept(), false);
    case TcpClients::Stage::draining:
      return drain();
    case TcpClients::Stage::handing_over:
      return hand_over();
  }
}

void TcpSession::on_poll(bool readable, bool writable) noexcept {
  // libuv may report a descriptor twice in a turn; what was read before has to be taken first.
  if (readable && !arrived_ && !read()) return clients_.remove(handle_);
  if (writable) return flush();
  if (!arrived_ && !input_ended_) watch();  // else take() or flush() follows in this turn
}

/// False when the connection is broken. What was left of the read before is put in front, so that queries can be taken
/// straight from where they were read to.
bool TcpSession::read() {
  const MutableBytes room = clients_.room_to_read();
  const std::size_t begun = input_.size() <= kShortInput ? input_.size() : 0;
  if (begun > 0) std::memcpy(room.data(), input_.bytes().data(), begun);
  const TcpStream::ReadResult result = stream_.read(room.subspan(begun));
  switch (result.status) {
    case TcpStream::ReadStatus::data:
      arrived_ = true;
      clients_.arrived(handle_, begun + result.size);
      return true;
    case TcpStream::ReadStatus::nothing_yet:
      clients_.nothing_to_read();
      return true;
    case TcpStream::ReadStatus::end:
      // A client may send its queries, close its side and still read (RFC 7766 6.2.3 speaks of the server only).
      input_ended_ = true;
      clients_.loop().flush_at_turn_end(*this);
      return true;
    case TcpStream::ReadStatus::error:
      return false;
  }
  return false;
}

void TcpSession::take(Bytes octets, TimePoint now) {
  arrived_ = false;
  if (input_.empty()) message_began_ = now;
  if (input_.size() > kShortInput) {
    input_.append(octets);
    take_waiting_queries(now);
  } else {
    const Bytes rest = octets.subspan(take_queries(octets, now));
    input_.clear();
    input_.shrink(std::max(kKeptInput, rest.size()));
    input_.append(rest);
  }
  watch();
}

/// Takes the whole queries from the front of `octets`, as many as may be owed. Returns how many octets they were.
std::size_t TcpSession::take_queries(Bytes octets, TimePoint now) {
  std::size_t taken = 0;
  while (may_take_queries()) {
    const std::optional<Bytes> message = dns::first_frame(octets.subspan(taken));
    if (!message) break;
    ++owed_;  // before accept(), which may deliver a failure at once
    const Accepted accepted = clients_.accept(*message, source_, handle_, now);
    taken += dns::kFramePrefix + message->size();
    if (accepted.kind != Accepted::Kind::waiting) --owed_;
    if (accepted.kind == Accepted::Kind::answered) append(accepted.answer);
  }
  if (taken > 0) {
    last_activity_ = message_began_ = now;
    clients_.touch(handle_);
  }
  return taken;
}

void TcpSession::take_waiting_queries(TimePoint now) {
  input_.consume(take_queries(input_.bytes(), now));
  if (input_.empty()) input_.shrink(kKeptInput);
}

void TcpSession::answer(Bytes message) {
  --owed_;
  append(message);
}

void TcpSession::append(Bytes message) {
  clients_.loop().flush_at_turn_end(*this);
  if (overflowed_) return;
  const std::size_t size = dns::kFramePrefix + message.size();
  if (!clients_.add_unread(*this, size)) return give_up();
  if (output_.empty()) clients_.lend(output_);
  const MutableBytes room = output_.extend(size);
  store_u16(room.data(), static_cast<std::uint16_t>(message.size()));
  std::memcpy(room.data() + dns::kFramePrefix, message.data(), message.size());
}

void TcpSession::give_up() {
  overflowed_ = true;
  clients_.subtract_unread(output_.size());
  output_.clear();
  clients_.take_back(output_);
  clients_.loop().flush_at_turn_end(*this);
}

void TcpSession::flush() noexcept {
  if (overflowed_) reset();
  if (overflowed_) return clients_.remove(handle_);
  if (!output_.empty() || !input_.empty()) {
    const TimePoint now = clients_.loop().now();
    if (!write(now)) return clients_.remove(handle_);
    if (!input_.empty() && !arrived_) take_waiting_queries(now);  // that waited because too much was owed
  }
  if (owes_nothing()) {
    if (input_ended_ || clients_.stage() == TcpClients::Stage::draining) return clients_.remove(handle_);
    if (clients_.stage() == TcpClients::Stage::handing_over && !std::exchange(passed_on_, true)) {
      clients_.pass_on(handle_);
    }
  }
  watch();
}

/// False when the connection is broken.
bool TcpSession::write(TimePoint now) {
  const std::size_t before = output_.size();
  if (before == 0) return true;
  const bool broken = stream_.write(output_) != 0;
  // The time to take answers runs from when there is something to take.
  if (!blocked_ || output_.size() < before) last_activity_ = now;
  clients_.subtract_unread(before - output_.size());
  blocked_ = !output_.empty();
  if (!blocked_) clients_.take_back(output_);
  return !broken;
}

void TcpSession::watch() {
  const bool reads = clients_.stage() == TcpClients::Stage::serving && !input_ended_;
  stream_.watch(reads && may_take_queries(), blocked_);
}

void TcpSession::drain() {
  if (!input_ended_ && !read()) return clients_.remove(handle_);
  clients_.take_arrivals();
  flush();
}

TimePoint TcpSession::expiry(Duration idle) const {
  if (blocked_) return last_activity_ + idle;
  if (!owes_nothing()) return kNever;
  return (input_.empty() ? last_activity_ : message_began_) + idle;
}

}  // namespace dotrelay
