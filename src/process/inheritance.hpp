// What a worker gets from the supervisor across exec: its number, the descriptors it inherits, and nothing else.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dotrelay {

struct Inheritance {
  unsigned worker = 0;  ///< counted from 1
  int control = -1;     ///< socket to the supervisor, see ControlMessage
  int shared_state = -1;
  int config = -1;  ///< a memfd with the configuration's text, so that all workers run the same one
  std::vector<std::pair<int, int>> listeners;  ///< UDP and TCP descriptor of each address
  int cache = -1;                              ///< memory for answers; -1: there is none
  int mailbox = -1;                            ///< to be read, see Mailbox; -1: there are none
  std::vector<int> mailboxes;                  ///< to be written to, one for each worker

  /// "--worker=1" and "--descriptors=3,4,5,6,7", with a cache and mailboxes
  /// "--descriptors=3,4,5,6,7+8/9,10,11".
  [[nodiscard]] std::pair<std::string, std::string> to_arguments() const;

  /// Nothing when the arguments are not such a pair.
  static std::optional<Inheritance> from_arguments(std::string_view worker, std::string_view descriptors);

  [[nodiscard]] std::vector<int> descriptors() const;

 private:
  [[nodiscard]] std::vector<int> fixed_and_listeners() const;
};

}  // namespace dotrelay
