// A bounded reader of DER (ITU-T X.690), for what the TLS library keeps of certificates in raw form. The library's own
// function reads the lengths. Values of several tag octets are malformed here: certificates have none.
#pragma once

#include "base/bytes.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace dotrelay::der {

enum Tag : std::uint8_t {
  boolean = 0x01,
  integer = 0x02,
  octet_string = 0x04,
  object_identifier = 0x06,
  utf8_string = 0x0c,
  printable_string = 0x13,
  teletex_string = 0x14,
  ia5_string = 0x16,
  visible_string = 0x1a,
  sequence = 0x30,
  set = 0x31,
  context = 0x80,      ///< + number: [number], implicit, of a primitive value
  constructed = 0x20,  ///< to be added when the value is constructed
};

struct Element {
  std::uint8_t tag = 0;
  Bytes content;
  Bytes whole;  ///< with tag and length
};

class Reader {
 public:
  explicit Reader(Bytes octets) : rest_(octets) {}

  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  /// The tag of the next element; 0 at the end.
  [[nodiscard]] std::uint8_t next_tag() const { return rest_.empty() ? std::uint8_t{0} : rest_[0]; }

  /// The next element. Nothing at the end, and when its length is malformed or leads past the end.
  std::optional<Element> next();
  /// The content of the next element if it has this tag.
  std::optional<Bytes> next(std::uint8_t tag);

 private:
  Bytes rest_;
};

/// "1.3.101.112"; of at most 64 octets of the content of an OBJECT IDENTIFIER.
std::string dotted(Bytes object_identifier);

}  // namespace dotrelay::der
