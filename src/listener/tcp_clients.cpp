// See tcp_clients.hpp.
#include "listener/tcp_clients.hpp"

#include "listener/client_handover.hpp"

#include <algorithm>

namespace dotrelay {
namespace {

/// What shed() frees at least, if there is so much.
constexpr std::size_t kShedBytes = std::size_t{256} * 1024;

/// Time limits are checked by a sweep over all clients, not by a timer each: 10,000 clients take 0.1 ms.
Duration sweep_interval(Duration idle) {
  return std::clamp<Duration>(idle / 4, std::chrono::milliseconds(50), std::chrono::seconds(1));
}

/// RFC 7828 3.1: in units of 100 ms.
std::uint16_t keepalive_units(Duration idle) {
  return static_cast<std::uint16_t>(std::min<std::int64_t>(idle / std::chrono::milliseconds(100), 65535));
}

}  // namespace

TcpClients::TcpClients(Loop& loop, Forwarder& forwarder, Counters& counters, MemoryBudget& memory, const Limits& limits)
    : loop_(loop),
      forwarder_(forwarder),
      counters_(counters),
      memory_(memory),
      limit_(limits.clients),
      idle_(limits.idle),
      transport_{.tcp = true, .keepalive = keepalive_units(limits.idle)},
      output_memory_(memory),
      idle_sessions_(sessions_),
      check_(loop, [this] { close_expired(); }),
      freed_descriptors_(loop) {
  loop.before_flushes([this] { take_arrivals(); });
  memory_.set_holder(this);
}

TcpClients::~TcpClients() { memory_.set_holder(nullptr); }

void TcpClients::add(UniqueFd fd, const IpAddress& source, Bytes already_read) {
  if (size() >= limit_ && !make_room()) {
    counters_.add(Counter::tcp_shed);
    return;
  }
  const Handle<TcpSession> handle = sessions_.emplace(*this, std::move(fd), source);
  idle_sessions_.push_back(handle);
  sessions_.get(handle).start(handle, already_read);
  schedule_check();
}

bool TcpClients::make_room() {
  take_arrivals();
  const Handle<TcpSession> longest_idle = idle_sessions_.front();
  if (!longest_idle) return false;
  counters_.add(Counter::tcp_shed);
  remove(longest_idle);
  return true;
}

void TcpClients::deliver(ClientKey client, Bytes answer) noexcept {
  if (TcpSession* const session = sessions_.find({client.index, client.serial})) session->answer(answer);
}

MutableBytes TcpClients::room_to_read() {
  if (arrivals_.full()) take_arrivals();
  return arrivals_.room();
}

void TcpClients::take_arrivals() {
  if (arrivals_.empty()) return;
  const TimePoint now = loop_.now();
  arrivals_.take_all([&](Handle<TcpSession> handle, Bytes octets) {
    if (TcpSession* const session = sessions_.find(handle)) session->take(octets, now);
  });
}

void TcpClients::drain() {
  take_arrivals();
  stage_ = Stage::draining;
  sessions_.for_each([](Handle<TcpSession>, TcpSession& session) { session.drain(); });
  check_scheduled_ = false;
  schedule_check();  // sooner than when it was scheduled while serving
}

void TcpClients::hand_over(ClientHandover& successor) {
  take_arrivals();
  stage_ = Stage::handing_over;
  successor_ = &successor;
  sessions_.for_each([](Handle<TcpSession>, TcpSession& session) { session.hand_over(); });
}

void TcpClients::forget(const ClientHandover& successor) {
  if (successor_ != &successor) return;
  successor_ = nullptr;
  stage_ = Stage::draining;
}

void TcpClients::pass_on(Handle<TcpSession> session) { successor_->pass(session); }

Accepted TcpClients::accept(Bytes message, const IpAddress& source, Handle<TcpSession> session, TimePoint now) {
  return forwarder_.accept({.message = message,
                            .source = source,
                            .transport = transport_,
                            .channel = this,
                            .client = {session.index, session.serial}},
                           now);
}

void TcpClients::remove(Handle<TcpSession> session) {
  idle_sessions_.remove(session);
  sessions_.get(session).close();
  removed_.push_back(session);
  loop_.flush_at_turn_end(*this);
  freed_descriptors_.one_freed();
}

void TcpClients::flush() noexcept {
  for (const Handle<TcpSession> session : removed_) sessions_.erase(session);
  removed_.clear();
}

// It lets go of octets only: the connection ends at the end of the turn, for it may be the one that asks.
bool TcpClients::shed(std::size_t octets) noexcept {
  if (output_memory_.release()) return true;
  // One walk in vain is enough for a turn: else each query that is refused makes one of its own.
  if (loop_.now() == walked_in_vain_at_ && octets >= largest_debt_) return false;
  std::size_t most = 0;
  sessions_.for_each([&](Handle<TcpSession>, TcpSession& session) { most = std::max(most, session.debt()); });
  if (most <= octets) {
    walked_in_vain_at_ = loop_.now();
    largest_debt_ = most;
    return false;
  }
  // Those that owe nearly as much go with it, so that a walk over all sessions frees more than a little.
  std::size_t freed = 0;
  sessions_.for_each([&](Handle<TcpSession>, TcpSession& session) {
    if (freed >= kShedBytes || session.debt() < std::max(octets, most / 2)) return;
    freed += session.debt();
    session.give_up();
  });
  return true;
}

void TcpClients::close_expired() {
  check_scheduled_ = false;
  take_arrivals();
  const TimePoint now = loop_.now();
  sessions_.for_each([&](Handle<TcpSession> handle, TcpSession& session) {
    session.look_at_kernel();
    if (session.expiry(idle_) > now) return;
    counters_.add(Counter::tcp_timed_out);
    remove(handle);
  });
  schedule_check();
}

void TcpClients::schedule_check() {
  if (check_scheduled_ || empty()) return;
  check_scheduled_ = true;
  const Duration interval = stage_ == Stage::draining ? TcpSession::kFirstQueryPatience / 4 : sweep_interval(idle_);
  check_.set(Clock::now() + interval);
}

}  // namespace dotrelay
