// Where the parts of a generation come from: a configuration that has been loaded, or the supervisor of another
// program; and what that program needs of the generations that there are.
#pragma once

#include "supervisor/generation.hpp"
#include "supervisor/loaded_config.hpp"
#include "supervisor/upgrade_state.hpp"

#include <list>
#include <memory>
#include <string>

namespace dotrelay {

/// `listen.workers`, or as many as CPUs and memory allow.
std::uint32_t wanted_workers(const Config& config);

/// Leases the sockets, without joining the new ones, and logs the configuration's warnings.
Result<GenerationParts> make_parts(LoadedConfig loaded, const std::string& config_file, ListenSockets& sockets,
                                   Log& log);

/// Lets the next generation go on with what the current one keeps of answers, where it would get the same ones.
void carry_cache(const GenerationParts& from, GenerationParts& to);

/// What is known of upstream addresses that both have, so that it need not be found out again. Not that a certificate
/// was refused: the reload may have come to mend that.
void carry_health(const GenerationParts& from, GenerationParts& to);

/// Of the generation that serves. Its configuration and its memory may be of another version: then it has the longest
/// deadline there is, and no heartbeat.
GenerationParts adopt_parts(const UpgradeState& state, const std::string& config_file, ListenSockets& sockets);

/// Of a generation that retires. What its workers still have open counts as our own as long as one of them lives.
GenerationParts adopt_retiring_parts(const UpgradeState::Workers& workers, Duration deadline, ListenSockets& sockets);

using RetiringGenerations = std::list<std::unique_ptr<Generation>>;

/// `totals` are the counters of generations that have ended.
UpgradeState make_upgrade_state(const std::string& program, const Generation& current,
                                const RetiringGenerations& retiring, const Totals& totals);

}  // namespace dotrelay
