// How the relay's memory is shared out: a part for the processes as they are when idle, the rest for what clients cause
// (relay/memory_budget).
#pragma once

#include <cstdint>

namespace dotrelay {

/// What an idle process takes (PSS of a release build with the system's CA bundle, `./dev bench --only idle`), with its
/// upstream connections: rounded up.
inline constexpr std::uint64_t kSupervisorBytes = 2 << 20;
inline constexpr std::uint64_t kWorkerBytes = 5 << 19;

/// The least that a worker needs to be of use: itself and MemoryBudget::kMinChunksPerWorker.
inline constexpr std::uint64_t kLeastBytesPerWorker = 3 << 20;

/// More than that a worker never needs: 32 MiB of answers that clients leave unread, and all its queries and clients.
inline constexpr std::uint64_t kMostBytesPerWorker = std::uint64_t{64} << 20;

/// How many workers the memory suffices for, of the `cpus` that there could be; at least 1.
std::uint32_t workers_for_memory(std::uint64_t octets, std::uint32_t cpus);

/// The limit of the whole relay: `configured`, or `available` when that is 0; never more than it needs.
std::uint64_t memory_limit(std::uint64_t configured, std::uint64_t available, std::uint32_t workers);

/// What of the limit is for clients, in chunks of MemoryBudget; never less than that asks for. `cache`: octets of the
/// limit that are for answers.
std::uint32_t budget_chunks(std::uint64_t limit, std::uint64_t cache, std::uint32_t workers);

}  // namespace dotrelay
