// The [relay] table: how long a query may take, and when another upstream is asked.
#include "config/setters.hpp"

namespace dotrelay {
namespace {

using namespace std::chrono_literals;

KeyProblem take_hedge(const KeyTarget& target, std::string_view text) {
  const Result<std::int64_t> percent = parse_in_range(text, target.range);
  if (!percent) return percent.error().message;
  target.config.relay.hedge = static_cast<double>(*percent) / 100.0;
  return std::nullopt;
}

constexpr KeyRow kKeys[] = {
    {
        .name = "deadline",
        .set = SetText{[](const KeyTarget& target, std::string_view text) {
          return take_duration(target, text, target.config.relay.deadline);
        }},
        .range = Range::durations(100ms, 60s),
        .default_value = R"("4s")",
        .allowed = "a duration from {}",
        .help = "How long a client waits at most: all attempts at all upstreams together. Then it gets SERVFAIL with "
                "the cause. The default is below the 5 s after which most clients give up.",
    },
    {
        .name = "hedge",
        .set = SetText{take_hedge},
        .range = {0, 100, Unit::percent},
        .default_value = R"("10%")",
        .allowed = "{}",
        .help = "A query that waits longer than its upstream usually takes is asked at the next upstream, too, and the "
                "first answer counts. This is the largest share of queries that may be asked twice so; 0% never does "
                "it before a second (or a quarter of the deadline) has passed. Queries whose connection died are asked "
                "again in any case.",
    },
    {
        .name = "slow",
        .set = SetText{[](const KeyTarget& target, std::string_view text) {
          return take_duration(target, text, target.config.relay.slow);
        }},
        .range = Range::durations(50ms, 60s),
        .default_value = R"("400ms")",
        .allowed = "a duration from {}",
        .help =
            "An upstream that has not answered within this time when another one has is slow. When most of its latest "
            "answers were, it is passed over like one that fails, and tried now and then with a copy of a query.",
    },
};

}  // namespace

TableRow relay_table() { return {.name = "relay", .keys = kKeys}; }

}  // namespace dotrelay
