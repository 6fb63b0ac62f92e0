// See health.hpp.
#include "relay/health.hpp"

#include <algorithm>

namespace dotrelay {

bool Health::on_answer() {
  const bool recovered = !told_.empty();
  failure_.reset();
  told_.clear();
  back_off_ = {};
  return recovered;
}

bool Health::on_failure(const CloseReason& reason, TimePoint now, Random& random) {
  const bool news = told_ != reason.text;
  told_ = reason.text;
  const Duration first = reason.kind == CloseKind::authentication ? kFirstAuthenticationBackOff : kFirstBackOff;
  back_off_ = back_off_ == Duration{} ? first : std::min(back_off_ * 2, kMaxBackOff);
  // A quarter either way keeps many workers and many relays from trying in step.
  const Duration jittered = back_off_ * (768 + random.below(513)) / 1024;
  back_off_until_ = now + jittered;
  failure_ = reason;
  return news;
}

TimePoint Health::next_trial(bool urgent) const {
  if (!last_dial_) return TimePoint::min();
  // Without a route a dial costs one system call and says at once whether the route is back.
  const bool cheap = failing() && failure_->kind == CloseKind::no_route;
  const bool patient = failing() && failure_->kind == CloseKind::authentication;
  const TimePoint soonest = *last_dial_ + kUrgentInterval;
  return cheap || (urgent && !patient) ? soonest : std::max(soonest, back_off_until_);
}

}  // namespace dotrelay
