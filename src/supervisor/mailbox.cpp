// See mailbox.hpp.
#include "supervisor/mailbox.hpp"

#include "net/descriptor_passing.hpp"
#include "upstream/sibling_record.hpp"

#include <cerrno>
#include <cstring>

namespace dotrelay {

Result<std::vector<Mailbox>> make_mailboxes(std::uint32_t workers) {
  std::vector<Mailbox> mailboxes;
  for (std::uint32_t i = 0; i < workers && workers > 1; ++i) {
    auto ends = make_channel();
    if (!ends) return Error{std::string("cannot make sockets between the workers: ") + std::strerror(errno)};
    mailboxes.push_back({std::move(ends->first), std::move(ends->second)});
  }
  return mailboxes;
}

void tell_of_death(const std::vector<Mailbox>& mailboxes, std::uint32_t worker) {
  const SiblingRecord record{.kind = SiblingRecord::Kind::died, .worker = static_cast<std::uint16_t>(worker)};
  for (const Mailbox& mailbox : mailboxes) send_message(mailbox.writing.get(), record.head(), {}, -1);
}

}  // namespace dotrelay
