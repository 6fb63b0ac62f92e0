// See lending.hpp.
#include "relay/lending.hpp"

#include "dns/upstream_query.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace dotrelay {

Lending::Lending(UpstreamSet& upstreams, const InFlight& hashes, Counters& counters, Duration deadline,
                 Siblings* siblings)
    : upstreams_(upstreams),
      hashes_(hashes),
      counters_(counters),
      deadline_(deadline),
      siblings_(siblings),
      guests_by_time_(guests_) {}

void Lending::take(const Borrower& borrower, std::size_t address, Bytes message, TimePoint now) {
  if (send(borrower, address, message, now)) return;
  // What it has under way on this way goes elsewhere as well.
  const auto same = [&](const Guest& guest) { return guest.borrower == borrower; };
  bool asked = false;
  guests_.for_each([&](GuestHandle, const Guest& guest) { asked = asked || same(guest); });
  give_up(same);
  siblings_->close(borrower, asked);
}

/// False when the query cannot be sent now, or is none.
bool Lending::send(const Borrower& borrower, std::size_t address, Bytes message, TimePoint now) {
  const std::optional<AddressIndex> index = upstreams_.index_of(address);
  const dns::QueryVerdict verdict = dns::parse_query(message);
  if (!index || message.size() > dns::kMaxUpstreamQuery || verdict.kind != dns::QueryVerdict::Kind::relay) return false;
  const ConnectionHandle handle = guests_.size() < kMaxGuests ? upstreams_.lendable(*index, now) : ConnectionHandle{};
  if (handle && send_on(handle, borrower, verdict.query, message, now)) return true;
  upstreams_.withhold(*index);  // so that no sibling asks again at once
  return false;
}

bool Lending::send_on(ConnectionHandle handle, const Borrower& borrower, const dns::QueryView& query, Bytes message,
                      TimePoint now) {
  PooledConnection& pooled = upstreams_.connections().get(handle);
  // Many together, so that giving them up takes few turns.
  const TimePoint until(((now + deadline_).time_since_epoch() / kExpiryStep + 1) * kExpiryStep);
  const GuestHandle guest = guests_.emplace(borrower, query.header.id, handle, until);
  const std::uint16_t id = pooled.pending.add_guest(guest, hashes_.hash(*query.question), now);
  std::array<std::uint8_t, dns::kMaxUpstreamQuery> copy;
  std::ranges::copy(message, copy.begin());
  store_u16(copy.data(), id);
  if (!pooled.connection->send(Bytes(copy).first(message.size()))) {
    pooled.pending.remove(id);
    guests_.erase(guest);
    return false;
  }
  guests_.get(guest).id = id;
  guests_by_time_.push_back(guest);
  pooled.on_sent(now, deadline_);
  counters_.add(Counter::taken_from_sibling);
  return true;
}

void Lending::release(const Borrower& borrower) {
  give_up([&](const Guest& guest) { return guest.borrower == borrower; });
}

void Lending::release_all(std::uint16_t worker) {
  give_up([&](const Guest& guest) { return guest.borrower.worker == worker; });
}

void Lending::answer(GuestHandle handle, Bytes message) {
  const Guest& guest = guests_.get(handle);
  std::vector<std::uint8_t> copy(message.begin(), message.end());
  store_u16(copy.data(), guest.borrowed_id);
  siblings_->answer(guest.borrower, copy);
  erase(handle);
}

void Lending::dismiss(ConnectionHandle connection) {
  if (guests_.empty()) return;
  std::vector<Borrower> told;
  guests_.for_each([&](GuestHandle handle, const Guest& guest) {
    if (guest.connection != connection) return;
    if (std::ranges::find(told, guest.borrower) == told.end()) told.push_back(guest.borrower);
    abandon(handle);
  });
  for (const Borrower& borrower : told) siblings_->close(borrower, true);
}

void Lending::expire(TimePoint now) {
  while (next_expiry() <= now) abandon(guests_by_time_.front());
}

template <class Which>
void Lending::give_up(Which which) {
  guests_.for_each([&](GuestHandle handle, const Guest& guest) {
    if (which(guest)) abandon(handle);
  });
}

void Lending::abandon(GuestHandle handle) {
  const Guest& guest = guests_.get(handle);
  upstreams_.connections().get(guest.connection).pending.abandon(guest.id);
  erase(handle);
}

void Lending::erase(GuestHandle handle) {
  guests_by_time_.remove(handle);
  guests_.erase(handle);
}

}  // namespace dotrelay
