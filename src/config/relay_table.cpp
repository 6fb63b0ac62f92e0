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
        .help = "The longest time that a client waits, over all attempts at all upstreams. Then it gets SERVFAIL with "
                "the cause. The default is below the 5 s after which most clients give up.",
    },
    {
        .name = "hedge",
        .set = SetText{take_hedge},
        .range = {0, 100, Unit::percent},
        .default_value = R"("10%")",
        .allowed = "{}",
        .help = "A query that waits longer than its upstream usually takes is also sent to the next upstream, and the "
                "first response counts. This is the largest share of queries that may be sent twice for this reason. "
                "With 0% that happens only after a second, or a quarter of the deadline if that is less. Queries whose "
                "connection died are sent again in any case.",
    },
    {
        .name = "slow",
        .set = SetText{[](const KeyTarget& target, std::string_view text) {
          return take_duration(target, text, target.config.relay.slow);
        }},
        .range = Range::durations(50ms, 60s),
        .default_value = R"("400ms")",
        .allowed = "a duration from {}",
        .help = "An upstream is slow when it has not answered a query within this time and another upstream has "
                "answered it. An upstream that was slow for most of its latest queries is passed over like one that "
                "fails, and tried now and then with a copy of a query.",
    },
};

}  // namespace

TableRow relay_table() { return {.name = "relay", .keys = kKeys}; }

}  // namespace dotrelay
