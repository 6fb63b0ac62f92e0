// How many descriptors the supervisor and a worker need, so that a limit that cannot suffice is refused at the start,
// with the number to set, and TCP clients never take what upstream connections need.
#pragma once

#include "base/result.hpp"
#include "config/config.hpp"

#include <cstdint>

namespace dotrelay {

/// What a process opens by itself: standard input, output and error, the loop (epoll, wake-up, signals), log, netlink,
/// timers, and one file at a time that is being read.
inline constexpr std::uint64_t kOwnDescriptors = 24;

/// A worker serves so many TCP clients at least; with fewer a limit is of no use.
inline constexpr std::uint64_t kLeastTcpClients = 8;

/// Of the supervisor: its own, two memories, and for each worker its listening sockets, two for what is said to it and,
/// beside others, two of its mailbox; also while the workers of a reload start beside the old ones.
std::uint64_t supervisor_descriptors(std::size_t listen_addresses, std::uint32_t workers);

/// Of a worker that inherits `inherited`, without TCP clients: connections to all upstreams, and as many under way as
/// there can be.
std::uint64_t worker_descriptors(std::size_t inherited, std::size_t upstreams);

/// Whether the limit of open files, which is raised as far as it may be, suffices for the configuration.
Status check_descriptors(const Config& config, std::uint32_t workers, std::uint64_t limit);

}  // namespace dotrelay
