// Names with a number each, and the longest of them that a name is or is below. Finding allocates nothing, and for
// nearly all names that are below none it costs one look at two letters.
#pragma once

#include "base/bytes.hpp"

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace dotrelay::dns {

class NameIndex {
 public:
  /// What was found: `number` is that of the name, `size` its octets on the wire, with the root label; 0 for none.
  struct Found {
    std::uint16_t number = 0;
    std::uint16_t size = 0;
  };

  /// `name` is plain and not the root. Of a name that is added twice the later number counts. At most 65535 names.
  void add(Bytes name, std::uint16_t number);
  /// Makes what was added ready to be found: once, before the first find().
  void settle();

  /// `name` is plain, in any case. Takes as many steps as the number of names has binary digits, and one for each
  /// ancestor that the found name has in here.
  [[nodiscard]] Found find(Bytes name) const { return may_hold(name) ? look_up(name) : Found{}; }

 private:
  /// A name as it is compared: its labels from the last to the first, each behind its length, in lower case. So a name
  /// is below another when the key of that begins its own, and all that is below a name stands right behind it.
  struct Entry {
    std::string key;
    std::uint16_t number = 0;
    std::uint16_t parent =
        0;  ///< the place of the longest other name that this one is below; itself when there is none
  };

  /// The last two letters of a name, without their case.
  static std::size_t letters_of(Bytes name) {
    return (name[name.size() - 3] & 31U) << 5 | (name[name.size() - 2] & 31U);
  }
  [[nodiscard]] bool may_hold(Bytes name) const { return name.size() > 2 && letters_[letters_of(name)]; }
  [[nodiscard]] Found look_up(Bytes name) const;

  std::vector<Entry> entries_;  ///< by key
  std::bitset<1024> letters_;   ///< of the names that are in here
};

}  // namespace dotrelay::dns
