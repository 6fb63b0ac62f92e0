// See tcp_session.hpp.
#include "listener/tcp_session.hpp"

#include "dns/framing.hpp"
#include "listener/tcp_clients.hpp"

#include <utility>

namespace dotrelay {

TcpSession::TcpSession(TcpClients& clients, UniqueFd fd, const IpAddress& source)
    : clients_(clients), stream_(clients.loop(), std::move(fd), *this), source_(source), last_activity_(Clock::now()) {}

TcpSession::~TcpSession() { clients_.subtract_unread(output_.size()); }

void TcpSession::start(Handle<TcpSession> handle, Bytes already_read) {
  handle_ = handle;
  input_.append(already_read);
  message_began_ = last_activity_;
  switch (clients_.stage()) {
    case TcpClients::Stage::serving:
      return watch();
    case TcpClients::Stage::draining:
      return drain(last_activity_);
    case TcpClients::Stage::handing_over:
      return hand_over();
  }
}

void TcpSession::on_poll(bool readable, bool writable) noexcept {
  if (readable && !read(Clock::now())) return clients_.remove(handle_);
  if (writable) return flush();
  watch();
}

/// False when the connection is broken.
bool TcpSession::read(TimePoint now) {
  const MutableBytes buffer = clients_.loop().scratch();
  const TcpStream::ReadResult result = stream_.read(buffer);
  switch (result.status) {
    case TcpStream::ReadStatus::data:
      if (input_.empty()) message_began_ = now;
      input_.append(buffer.first(result.size));
      take_queries(now);
      return true;
    case TcpStream::ReadStatus::nothing_yet:
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

void TcpSession::take_queries(TimePoint now) {
  while (may_take_queries()) {
    const std::optional<Bytes> message = dns::first_frame(input_.bytes());
    if (!message) break;
    ++owed_;  // before accept(), which may deliver a failure at once
    const Accepted accepted = clients_.accept(*message, source_, handle_, now);
    input_.consume(dns::kFramePrefix + message->size());
    if (accepted.kind != Accepted::Kind::waiting) --owed_;
    if (accepted.kind == Accepted::Kind::answered) append(accepted.answer);
    last_activity_ = message_began_ = now;
    clients_.touch(handle_);
  }
  if (input_.empty()) input_.shrink(0);
}

void TcpSession::answer(Bytes message) {
  --owed_;
  append(message);
}

void TcpSession::append(Bytes message) {
  clients_.loop().flush_at_turn_end(*this);
  if (overflowed_) return;
  if (!clients_.add_unread(*this, dns::kFramePrefix + message.size())) return give_up();
  // The time to take answers runs from when there is something to take.
  if (output_.empty()) last_activity_ = Clock::now();
  output_.append(dns::frame_prefix(message.size()));
  output_.append(message);
}

void TcpSession::give_up() {
  overflowed_ = true;
  clients_.subtract_unread(output_.size());
  output_.clear();
  output_.shrink(0);
  clients_.loop().flush_at_turn_end(*this);
}

void TcpSession::flush() noexcept {
  if (overflowed_) reset();
  if (overflowed_ || !write()) return clients_.remove(handle_);
  // Queries that waited because too much was owed.
  const TimePoint now = Clock::now();
  take_queries(now);
  if (owes_nothing()) {
    if (input_ended_ || clients_.stage() == TcpClients::Stage::draining) return clients_.remove(handle_);
    if (clients_.stage() == TcpClients::Stage::handing_over && !std::exchange(passed_on_, true)) {
      clients_.pass_on(handle_);
    }
  }
  watch();
}

/// False when the connection is broken.
bool TcpSession::write() {
  const std::size_t before = output_.size();
  const bool broken = stream_.write(output_) != 0;
  if (output_.size() < before) last_activity_ = Clock::now();
  clients_.subtract_unread(before - output_.size());
  if (output_.empty()) output_.shrink(0);
  blocked_ = !output_.empty();
  return !broken;
}

void TcpSession::watch() {
  const bool reads = clients_.stage() == TcpClients::Stage::serving && !input_ended_;
  stream_.watch(reads && may_take_queries(), blocked_);
}

void TcpSession::drain(TimePoint now) {
  if (!input_ended_ && !read(now)) return clients_.remove(handle_);
  flush();
}

TimePoint TcpSession::expiry(Duration idle) const {
  if (!output_.empty()) return last_activity_ + idle;
  if (owed_ > 0) return kNever;
  return (input_.empty() ? last_activity_ : message_began_) + idle;
}

}  // namespace dotrelay
