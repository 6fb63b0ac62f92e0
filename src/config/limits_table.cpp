// The [limits] table: what clients may take.
#include "config/setters.hpp"

namespace dotrelay {
namespace {

using namespace std::chrono_literals;

/// A supervisor and one worker with the system's CA bundle take about 4 MiB when idle.
constexpr std::int64_t kMinMemory = std::int64_t{6} << 20;
constexpr std::int64_t kMaxMemory = std::int64_t{64} << 30;

KeyProblem take_memory(const KeyTarget& target, std::string_view text) {
  std::uint64_t& memory = target.config.limits.memory;
  memory = 0;
  if (text == "auto") return std::nullopt;
  const Result<std::int64_t> octets = parse_in_range(text, target.range);
  if (!octets) return octets.error().message;
  memory = static_cast<std::uint64_t>(*octets);
  return std::nullopt;
}

constexpr KeyRow kKeys[] = {
    {
        .name = "tcp_clients",
        .set = SetNumber{[](const KeyTarget& target, std::int64_t value) {
          target.config.limits.tcp_clients = static_cast<std::uint32_t>(value);
        }},
        .range = {1, 1'000'000},
        .default_value = "10000",
        .allowed = "{}",
        .help = "Client connections of the whole relay, shared out to the workers. One more closes the connection that "
                "has been idle longest.",
    },
    {
        .name = "tcp_idle",
        .set = SetText{[](const KeyTarget& target, std::string_view text) {
          return take_duration(target, text, target.config.limits.tcp_idle);
        }},
        .range = Range::durations(100ms, 1h),
        .default_value = R"("30s")",
        .allowed = "a duration from {}",
        .help = "How long a client connection stays open while no response is owed to it, and how long a client may "
                "take to send the rest of a query or to read a response.",
    },
    {
        .name = "memory",
        .set = SetText{take_memory},
        .range = {kMinMemory, kMaxMemory, Unit::octets},
        .default_value = R"("auto")",
        .allowed = "\"auto\" or a size from {}",
        .help = "The memory that all processes of the relay together may take, including the kernel's buffers for TCP "
                "clients. When it is used up, the TCP client that takes most of it is closed, and queries get "
                "SERVFAIL. \"auto\" is an eighth of the machine's memory, or half of what the cgroup allows if that is "
                "less. In either case the limit is at most 64 MiB for each worker, plus 2 MiB. With workers = 0, only "
                "as many workers start as the memory suffices for.",
    },
};

}  // namespace

TableRow limits_table() { return {.name = "limits", .keys = kKeys}; }

}  // namespace dotrelay
