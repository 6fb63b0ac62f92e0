// See tcp_session.hpp.
#include "listener/tcp_session.hpp"

#include "dns/framing.hpp"
#include "listener/tcp_clients.hpp"
#include "net/sockets.hpp"

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

/// After a write of so much it is worth a system call to know what the kernel keeps of it.
constexpr std::size_t kLargeWrite = 16384;

}  // namespace

TcpSession::TcpSession(TcpClients& clients, UniqueFd fd, const IpAddress& source)
    : clients_(clients),
      stream_(clients.loop(), std::move(fd), *this),
      source_(source),
      last_activity_(clients.loop().now()) {}

TcpSession::~TcpSession() { clients_.memory().give_back(counted_); }

void TcpSession::start(Handle<TcpSession> handle, Bytes already_read) {
  handle_ = handle;
  input_.append(already_read);
  message_began_ = last_activity_;
  switch (clients_.stage()) {
    case TcpClients::Stage::serving:
      return on_poll(clients_.early_read().is_worthwhile(), false);
    case TcpClients::Stage::draining:
      return drain();
    case TcpClients::Stage::handing_over:
      return hand_over();
  }
}

void TcpSession::on_poll(bool readable, bool writable) noexcept {
  if (is_leaving()) return;
  // libuv may report a descriptor twice in a turn; what was read before has to be taken first.
  if (readable && state_ != State::arrived && !read()) return clients_.remove(handle_);
  if (writable) return flush();
  if (state_ != State::arrived && state_ != State::ended) watch();  // else take() or flush() follows in this turn
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
      state_ = State::arrived;
      clients_.arrived(handle_, begun + result.size);
      return true;
    case TcpStream::ReadStatus::nothing_yet:
      clients_.early_read().in_vain();
      return true;
    case TcpStream::ReadStatus::end:
      // A client may send its queries, close its side and still read (RFC 7766 6.2.3 speaks of the server only).
      state_ = State::ended;
      clients_.loop().flush_at_turn_end(*this);
      return true;
    case TcpStream::ReadStatus::error:
      return false;
  }
  return false;
}

void TcpSession::take(Bytes octets, TimePoint now) {
  if (is_leaving()) return;
  state_ = State::open;
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
  settle();
  watch();
}

/// Takes the whole queries from the front of `octets`, as many as may be owed. Returns how many octets they were.
std::size_t TcpSession::take_queries(Bytes octets, TimePoint now) {
  std::size_t taken = 0;
  bool asked = false;
  while (may_take_queries()) {
    const std::optional<Bytes> message = dns::first_frame(octets.subspan(taken));
    if (!message) break;
    const Accepted accepted = clients_.accept(*message, source_, handle_, now);
    taken += dns::kFramePrefix + message->size();
    if (accepted.kind == Accepted::Kind::waiting) budget_.asked();
    if (accepted.kind == Accepted::Kind::answered) append(accepted.answer);
    asked = asked || accepted.kind != Accepted::Kind::ignored;
  }
  if (asked) {  // messages that are no queries buy no time
    has_asked_ = true;
    last_activity_ = message_began_ = now;
    clients_.now_busy(handle_);
  }
  return taken;
}

void TcpSession::take_waiting_queries(TimePoint now) {
  input_in_use_ = true;
  input_.consume(take_queries(input_.bytes(), now));
  input_in_use_ = false;
  if (input_.empty()) input_.shrink(kKeptInput);
}

void TcpSession::answer(Bytes message) {
  budget_.answered();
  append(message);
}

void TcpSession::append(Bytes message) {
  clients_.loop().flush_at_turn_end(*this);
  if (is_leaving()) return;
  const std::size_t size = dns::kFramePrefix + message.size();
  budget_.learn(size);
  if (output_.empty()) clients_.output_memory().lend(output_);
  const MutableBytes room = output_.extend(size);
  store_u16(room.data(), static_cast<std::uint16_t>(message.size()));
  std::memcpy(room.data() + dns::kFramePrefix, message.data(), message.size());
  if (debt() > counted_) settle();  // mostly it was counted when it was asked for; flush() settles the rest
}

/// Tells the memory budget what the client takes now: what waits for it to act, and what it has asked for. When that is
/// too much and no other client owes more, this one has to go.
void TcpSession::settle() {
  const std::size_t now = debt() + budget_.expected_bytes();
  if (now <= counted_) {
    clients_.memory().give_back(counted_ - now);
    counted_ = now;
    return;
  }
  const std::size_t more = now - counted_;
  const bool was_leaving = is_leaving();
  const bool taken = clients_.memory().take(more);
  if (is_leaving() && !was_leaving) {  // it was the one that owes most: give_up() has settled
    if (taken) clients_.memory().give_back(more);
  } else if (taken) {
    counted_ = now;
  } else if (!was_leaving && debt() > 0) {
    give_up();
  }
}

void TcpSession::give_up() {
  if (is_leaving()) return;
  state_ = State::given_up;
  clients_.count_shed();
  drop_queues();
  settle();
  clients_.loop().flush_at_turn_end(*this);
}

void TcpSession::close() {
  state_ = State::closed;
  stream_.close();
  drop_queues();
  in_kernel_ = 0;
  clients_.memory().give_back(std::exchange(counted_, 0));
}

void TcpSession::drop_queues() {
  for (ByteQueue* const queue : {&output_, &input_}) {
    if (queue == &input_ && input_in_use_) continue;
    queue->clear();
    queue->shrink(0);
  }
}

void TcpSession::look_at_kernel() {
  if (in_kernel_ == 0) return;
  in_kernel_ = kernel_memory(stream_.fd());
  settle();
}

void TcpSession::flush() noexcept {
  if (state_ == State::closed) return;
  if (state_ == State::given_up) {
    stream_.reset_on_close();
    return clients_.remove(handle_);
  }
  if (!output_.empty() || !input_.empty()) {
    const TimePoint now = clients_.loop().now();
    if (!write(now)) return clients_.remove(handle_);
    // Queries may have waited because too much was owed.
    if (!input_.empty() && state_ != State::arrived) take_waiting_queries(now);
    if (is_leaving()) return;  // given up just now: comes again in this turn
  }
  if (owes_nothing()) {
    if (!idle_hook.linked) clients_.now_idle(handle_);
    if (state_ == State::ended || (clients_.stage() == TcpClients::Stage::draining && !may_still_ask())) {
      return clients_.remove(handle_);
    }
    if (clients_.stage() == TcpClients::Stage::handing_over && state_ != State::passed_on) {
      state_ = State::passed_on;
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
  blocked_ = !output_.empty();
  if (blocked_ || in_kernel_ > 0 || before >= kLargeWrite) in_kernel_ = kernel_memory(stream_.fd());
  if (!blocked_) clients_.output_memory().take_back(output_);
  settle();
  return !broken;
}

bool TcpSession::may_still_ask() const {
  return !has_asked_ && state_ != State::ended && clients_.loop().now() - last_activity_ < kFirstQueryPatience;
}

void TcpSession::watch() {
  const bool reads = clients_.stage() == TcpClients::Stage::serving ||
                     (clients_.stage() == TcpClients::Stage::draining && may_still_ask());
  stream_.watch(reads && state_ != State::ended && may_take_queries(), blocked_);
}

void TcpSession::drain() {
  if (is_leaving()) return;
  if (state_ != State::ended && !read()) return clients_.remove(handle_);
  clients_.take_arrivals();
  flush();
}

TimePoint TcpSession::expiry(Duration idle) const {
  if (is_leaving()) return kNever;
  if (blocked_) return last_activity_ + idle;
  if (!owes_nothing()) return kNever;
  if (clients_.stage() == TcpClients::Stage::draining) return last_activity_ + kFirstQueryPatience;
  // A half-sent query has its own time, but not after half-sent queries without end that no whole one followed.
  return input_.empty() ? last_activity_ + idle : std::min(message_began_ + idle, last_activity_ + 2 * idle);
}

}  // namespace dotrelay
