// See compression.hpp.
#include "dns/compression.hpp"

#include <algorithm>
#include <optional>

namespace dotrelay::dns {
namespace {

constexpr RdataLayout kLayouts[] = {
    {2, 0, 0, 1},    // NS
    {3, 0, 0, 1},    // MD
    {4, 0, 0, 1},    // MF
    {5, 0, 0, 1},    // CNAME
    {6, 0, 0, 2},    // SOA
    {7, 0, 0, 1},    // MB
    {8, 0, 0, 1},    // MG
    {9, 0, 0, 1},    // MR
    {12, 0, 0, 1},   // PTR
    {14, 0, 0, 2},   // MINFO
    {15, 2, 0, 1},   // MX
    {17, 0, 0, 2},   // RP
    {18, 2, 0, 1},   // AFSDB
    {21, 2, 0, 1},   // RT
    {24, 18, 0, 1},  // SIG
    {26, 2, 0, 2},   // PX
    {30, 0, 0, 1},   // NXT
    {33, 6, 0, 1},   // SRV
    {35, 4, 3, 1},   // NAPTR
};

struct NameEnd {
  std::size_t end = 0;
  std::optional<std::size_t> pointer;  ///< where the pointer stands that the name ends in
};

/// Reads past the name at `at`, which ends before `end`.
std::optional<NameEnd> read_past_name(Bytes message, std::size_t at, std::size_t end) {
  for (; at < end; at += 1U + message[at]) {
    if (message[at] == 0) return NameEnd{at + 1, {}};
    if (message[at] <= kMaxLabel) continue;
    if (message[at] < 0xc0 || end - at < 2) return std::nullopt;
    return NameEnd{at + 2, at};
  }
  return std::nullopt;
}

class Correction {
 public:
  Correction(MutableBytes copy, Bytes message, const Cut& cut) : copy_(copy), message_(message), cut_(cut) {}

  /// Moves `at` past the name there. False when that is impossible.
  bool name(std::size_t& at, std::size_t end) const {
    const std::optional<NameEnd> name = read_past_name(message_, at, end);
    if (!name) return false;
    at = name->end;
    return !name->pointer || correct(*name->pointer);
  }

 private:
  bool correct(std::size_t at) const {
    const std::size_t target = load_u16(&message_[at]) & 0x3fffU;
    if (target < cut_.begin) return true;
    const bool at_cut = target == cut_.begin;
    if (!at_cut && target < cut_.begin + cut_.size) return false;
    const std::size_t corrected = at_cut ? cut_.root : target - cut_.size;
    store_u16(&copy_[at - cut_.size], static_cast<std::uint16_t>(0xc000U | corrected));
    return true;
  }

  MutableBytes copy_;
  Bytes message_;
  const Cut& cut_;
};

}  // namespace

RdataLayout rdata_layout(std::uint16_t type) {
  const auto* const layout = std::ranges::find(kLayouts, type, &RdataLayout::type);
  return layout == std::end(kLayouts) ? RdataLayout{} : *layout;
}

bool correct_pointers(MutableBytes copy, Bytes message, const Record& record, const Cut& cut) {
  const Correction correction(copy, message, cut);
  std::size_t at = record.offset;
  if (!correction.name(at, message.size())) return false;
  const RdataLayout layout = rdata_layout(record.type());
  if (layout.names == 0) return true;

  at += RecordWalk::kFixedSize;
  const std::size_t end = at + record.data.size();
  at += layout.octets;
  for (int i = 0; i < layout.character_strings && at < end; ++i) at += 1U + message[at];
  for (int i = 0; i < layout.names; ++i) {
    if (!correction.name(at, end)) return false;
  }
  return true;
}

}  // namespace dotrelay::dns
