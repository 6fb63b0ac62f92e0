// Dead is not slow: whether what was written to a TCP connection is acknowledged as fast as a living path does it. The
// kernel knows how many octets are acknowledged and when it last heard from the peer, but not since when the oldest
// unacknowledged octet has been waiting: a retransmission or a new write restarts its clocks. So the times of the
// writes are kept here.
#pragma once

#include "base/bytes.hpp"
#include "base/clock.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace dotrelay {

/// What the kernel says of a TCP connection (TCP_INFO).
struct TcpFacts {
  std::uint64_t octets_acknowledged = 0;  ///< ever; the SYN may count as one
  std::uint32_t segments_in_flight = 0;
  std::uint32_t octets_unsent = 0;  ///< written, and not sent yet; 0 also when the kernel cannot tell
  bool window_open = false;  ///< the peer's window has room for a segment. False also when the kernel cannot tell
  Duration round_trip{};     ///< smoothed; the retransmission timeout while nothing has been measured
  Duration variation{};      ///< the mean deviation of the round-trip time
  Duration
      since_acknowledgement{};  ///< since the peer last acknowledged anything, also what it had acknowledged before
  std::uint32_t losses = 0;     ///< retransmissions, without those that the peer has reported as needless (RFC 2883)
};

/// Nothing when the kernel does not tell.
std::optional<TcpFacts> ask_tcp(int fd);

/// The facts in what getsockopt(TCP_INFO) gave. Older kernels know less: before Linux 4.1 not enough, before 4.6 not
/// what is unsent, before 5.4 not the window.
std::optional<TcpFacts> read_tcp_info(Bytes octets);

/// The writes that may still be unacknowledged. Bounded: recent ones are kept to a few milliseconds, older ones to an
/// eighth of their age.
class UnacknowledgedWrites {
 public:
  /// How long the peer may hold an acknowledgement back (Linux).
  static constexpr Duration kDelayedAcknowledgement = std::chrono::milliseconds(40);
  /// What a living path may need beyond its round-trip time: a delayed acknowledgement and some. On a path whose delay
  /// varies much (LTE, Wi-Fi that saves power) it is four times the mean deviation, as TCP itself waits (RFC 6298 2),
  /// less the delayed acknowledgement: where some acknowledgements come with an answer and others 40 ms late, the
  /// kernel measures a mean deviation of up to 22 ms on a path that varies by nothing.
  static constexpr Duration kLeastSlack = std::chrono::milliseconds(60);
  /// A dead path is told in time however much it varied, and after a first round-trip time, half of which the kernel
  /// takes for its deviation.
  static constexpr Duration kMostSlack = std::chrono::milliseconds(250);
  /// Writes closer together are one.
  static constexpr Duration kGrain = std::chrono::milliseconds(4);
  /// Between two looks at octets that are overdue: so exactly a late acknowledgement is measured.
  static constexpr Duration kOverdueLook = std::chrono::milliseconds(16);

  struct Verdict {
    bool silent = false;    ///< octets wait for longer than a living path takes, and the peer has acknowledged nothing
    Duration look_again{};  ///< from now; zero: all octets are acknowledged
    Duration late{};        ///< what was overdue is acknowledged: so long after the round-trip time. Zero: nothing was,
                            ///< or what was lost on the way came late by a retransmission
  };

  /// The connection is made and nothing was written.
  void begin(const TcpFacts& facts) {
    baseline_ = facts.octets_acknowledged;
    losses_ = facts.losses;
  }

  /// The kernel took `octets`. Times never go back.
  void add(std::size_t octets, TimePoint now);

  /// `delay`: how much longer than others this peer is known to hold acknowledgements back.
  Verdict judge(const TcpFacts& facts, TimePoint now, Duration delay = {});

 private:
  struct Run {
    std::uint64_t end = 0;  ///< octets written up to and with this run
    TimePoint first;
    TimePoint last;
  };

  void halve();

  std::array<Run, 32> runs_;
  std::size_t count_ = 0;
  std::uint64_t written_ = 0;
  std::uint64_t baseline_ = 0;
  std::uint32_t losses_ = 0;  ///< when nothing was overdue last
  bool overdue_ = false;      ///< the oldest run was, at the last look
};

}  // namespace dotrelay
