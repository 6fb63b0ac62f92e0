// See acknowledgement.hpp.
#include "net/acknowledgement.hpp"

#include <algorithm>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace dotrelay {

std::optional<TcpFacts> ask_tcp(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  return read_tcp_info({reinterpret_cast<const std::uint8_t*>(&info), size});
}

std::optional<TcpFacts> read_tcp_info(Bytes octets) {
  tcp_info info{};
  const std::size_t size = std::min(octets.size(), sizeof info);
  std::copy_n(octets.begin(), size, reinterpret_cast<std::uint8_t*>(&info));
  if (size < offsetof(tcp_info, tcpi_bytes_acked) + sizeof info.tcpi_bytes_acked) return std::nullopt;
  const bool measured = info.tcpi_rtt != 0;
  // Linux 5.4. Below a segment the kernel may wait for a larger window (RFC 9293 3.8.6.2.1).
  const bool knows_window = size >= offsetof(tcp_info, tcpi_snd_wnd) + sizeof info.tcpi_snd_wnd;
  // Linux 4.19.
  const bool knows_needless = size >= offsetof(tcp_info, tcpi_dsack_dups) + sizeof info.tcpi_dsack_dups;
  const std::uint32_t needless = knows_needless ? std::min(info.tcpi_dsack_dups, info.tcpi_total_retrans) : 0;
  const std::uint32_t next_segment = std::min(info.tcpi_notsent_bytes, info.tcpi_snd_mss);
  return TcpFacts{.octets_acknowledged = info.tcpi_bytes_acked,
                  .segments_in_flight = info.tcpi_unacked,
                  .octets_unsent = info.tcpi_notsent_bytes,
                  .window_open = knows_window && info.tcpi_snd_wnd >= next_segment,
                  .round_trip = std::chrono::microseconds(measured ? info.tcpi_rtt : info.tcpi_rto),
                  .variation = std::chrono::microseconds(measured ? info.tcpi_rttvar : 0),
                  .since_acknowledgement = std::chrono::milliseconds(info.tcpi_last_ack_recv),
                  .losses = info.tcpi_total_retrans - needless};
}

void UnacknowledgedWrites::add(std::size_t octets, TimePoint now) {
  if (octets == 0) return;
  written_ += octets;
  if (count_ > 0 && now - runs_[count_ - 1].first < kGrain) {
    runs_[count_ - 1].end = written_;
    runs_[count_ - 1].last = now;
    return;
  }
  if (count_ == runs_.size()) halve();
  runs_[count_++] = {written_, now, now};
}

/// Joins neighbours. The oldest are joined most often, so the error stays in proportion to the age.
void UnacknowledgedWrites::halve() {
  for (std::size_t i = 0; i < count_ / 2; ++i) {
    const Run& older = runs_[2 * i];
    const Run& newer = runs_[2 * i + 1];
    runs_[i] = {newer.end, older.first, newer.last};
  }
  count_ /= 2;
}

UnacknowledgedWrites::Verdict UnacknowledgedWrites::judge(const TcpFacts& facts, TimePoint now, Duration delay) {
  const std::uint64_t acknowledged = facts.octets_acknowledged - std::min(baseline_, facts.octets_acknowledged);
  const bool all = facts.segments_in_flight == 0 && facts.octets_unsent == 0;
  const auto begin = runs_.begin();
  const auto end = begin + static_cast<std::ptrdiff_t>(count_);
  const auto oldest = all ? end : std::find_if(begin, end, [&](const Run& run) { return run.end > acknowledged; });
  const bool came_late = overdue_ && oldest != begin && facts.losses <= losses_;
  const Duration late =
      came_late ? std::max<Duration>(now - facts.since_acknowledgement - begin->last - facts.round_trip, kGrain)
                : Duration{};
  overdue_ = overdue_ && oldest == begin;
  std::move(oldest, end, begin);
  count_ = static_cast<std::size_t>(end - oldest);
  if (!overdue_) losses_ = facts.losses;
  if (count_ == 0) return {.late = late};

  const Duration jitter = 4 * facts.variation - kDelayedAcknowledgement;
  const Duration limit = facts.round_trip + std::clamp(jitter, kLeastSlack, kMostSlack);
  // The octets that wait may be the last of their run: counting from there accuses no path too early.
  const Duration silence = std::min<Duration>(now - runs_[0].last, facts.since_acknowledgement);
  if (silence <= limit) return {false, std::max(limit - silence, kGrain), late};
  // Nothing in flight: the peer has closed its window, which is slow, but it has acknowledged all that it took. With an
  // open window it is this host that cannot send: it has no way there any more.
  if (facts.segments_in_flight == 0 && !facts.window_open) return {false, limit, late};
  overdue_ = true;
  return {silence > limit + delay, kOverdueLook, late};
}

}  // namespace dotrelay
