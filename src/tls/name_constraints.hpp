// The name constraints of a CA's certificate (RFC 5280 4.2.1.10): for which names it may issue. Names of hosts, IP
// addresses and directory names are compared; of other forms it is only said whether they are constrained.
#pragma once

#include "base/bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace dotrelay {

/// The number of the context tag (RFC 5280 4.2.1.6).
enum class NameForm : std::uint8_t {
  other = 0,
  rfc822 = 1,
  dns = 2,
  x400 = 3,
  directory = 4,
  edi = 5,
  uri = 6,
  ip = 7,
  registered = 8
};

struct GeneralName {
  NameForm form = NameForm::other;
  Bytes content;  ///< of a directory name: the whole Name
};

class NameConstraints {
 public:
  /// Subtrees that one certificate may list. Real ones have a few dozen.
  static constexpr std::size_t kMaxSubtrees = 1024;

  /// Reads the value of the extension, which outlives this object. Nothing when it is malformed, has too many subtrees,
  /// or uses what RFC 5280 forbids (minimum and maximum, masks with holes): then it cannot be enforced.
  static std::optional<NameConstraints> parse(Bytes value);

  enum class Verdict : std::uint8_t {
    allowed,
    forbidden,  ///< outside of all permitted subtrees, or in an excluded one
    unknown,    ///< of a form that is constrained and cannot be compared here
  };
  [[nodiscard]] Verdict judge(const GeneralName& name) const;

  [[nodiscard]] std::size_t size() const { return permitted_.size() + excluded_.size(); }

 private:
  static bool read_subtrees(Bytes content, std::vector<GeneralName>& subtrees);

  std::vector<GeneralName> permitted_;
  std::vector<GeneralName> excluded_;
};

/// Whether two texts are equal but for the case of ASCII letters.
bool equal_ignoring_case(Bytes left, Bytes right);

}  // namespace dotrelay
