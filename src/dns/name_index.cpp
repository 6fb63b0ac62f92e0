// See name_index.hpp.
#include "dns/name_index.hpp"

#include "dns/constants.hpp"
#include "dns/name.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <string_view>

namespace dotrelay::dns {
namespace {

/// Room for a key, and for where the labels of a name begin: each takes two octets at least.
struct KeyBuffer {
  std::array<char, kMaxName> octets;
  std::array<std::uint8_t, kMaxName / 2 + 1> begins;
};

std::string_view key_of(Bytes name, KeyBuffer& buffer) {
  std::size_t labels = 0;
  for (std::size_t at = 0; name[at] != 0; at += 1U + name[at]) buffer.begins[labels++] = static_cast<std::uint8_t>(at);
  std::size_t size = 0;
  while (labels > 0) {
    const std::size_t begin = buffer.begins[--labels];
    for (const std::uint8_t octet : name.subspan(begin, 1U + name[begin])) {
      buffer.octets[size++] = static_cast<char>(fold_case(octet));
    }
  }
  return {buffer.octets.data(), size};
}

}  // namespace

void NameIndex::add(Bytes name, std::uint16_t number) {
  assert(name.size() > 2);
  KeyBuffer buffer;
  const std::string_view key = key_of(name, buffer);
  letters_.set(letters_of(name));
  entries_.push_back({std::string(key), number, 0});
}

void NameIndex::settle() {
  assert(entries_.size() <= UINT16_MAX);
  // Of those that are the same, the one that was added last comes first, and stays.
  std::ranges::reverse(entries_);
  std::ranges::stable_sort(entries_, {}, &Entry::key);
  const auto same = [](const Entry& left, const Entry& right) { return left.key == right.key; };
  entries_.erase(std::unique(entries_.begin(), entries_.end(), same), entries_.end());
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    // A name that this one is below is the one before it, or one that that is below.
    std::size_t parent = i == 0 ? i : i - 1;
    while (parent != i && !entries_[i].key.starts_with(entries_[parent].key)) {
      parent = entries_[parent].parent == parent ? i : entries_[parent].parent;
    }
    entries_[i].parent = static_cast<std::uint16_t>(parent);
  }
}

NameIndex::Found NameIndex::look_up(Bytes name) const {
  KeyBuffer buffer;
  const std::string_view key = key_of(name, buffer);
  const auto behind = std::ranges::upper_bound(entries_, key, {}, &Entry::key);
  if (behind == entries_.begin()) return {};
  for (std::size_t at = static_cast<std::size_t>(behind - entries_.begin()) - 1;; at = entries_[at].parent) {
    const Entry& entry = entries_[at];
    if (key.starts_with(entry.key)) return {entry.number, static_cast<std::uint16_t>(entry.key.size() + 1)};
    if (entry.parent == at) return {};
  }
}

}  // namespace dotrelay::dns
