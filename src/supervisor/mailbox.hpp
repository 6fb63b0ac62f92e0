// The mailboxes through which the workers of a generation pass queries on to each other (upstream/sibling_post): a
// socket pair for each. A worker inherits the reading end of its own and the writing ends of all; the supervisor keeps
// both for its replacement, reads nothing, and writes only that a worker has died.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <cstdint>
#include <vector>

namespace dotrelay {

struct Mailbox {
  UniqueFd reading;
  UniqueFd writing;
};

/// One for each worker; none for a single worker, which has no sibling.
Result<std::vector<Mailbox>> make_mailboxes(std::uint32_t workers);

/// Tells all workers that the one with this number, from 1, has died: at once or not at all.
void tell_of_death(const std::vector<Mailbox>& mailboxes, std::uint32_t worker);

}  // namespace dotrelay
