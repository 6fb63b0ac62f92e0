// See sibling_record.hpp.
#include "upstream/sibling_record.hpp"

namespace dotrelay {

std::array<std::uint8_t, SiblingRecord::kHeadBytes> SiblingRecord::head() const {
  std::array<std::uint8_t, kHeadBytes> octets{};
  ByteWriter writer(octets);
  writer.u8(static_cast<std::uint8_t>(kind));
  writer.u16(worker);
  writer.u32(link);
  writer.u16(address);
  return octets;
}

std::optional<SiblingRecord> SiblingRecord::read(Bytes octets) {
  if (octets.size() > kMaxBytes) return std::nullopt;
  ByteReader reader(octets);
  const std::uint8_t kind = reader.u8();
  SiblingRecord record;
  record.worker = reader.u16();
  record.link = reader.u32();
  record.address = reader.u16();
  if (reader.failed() || record.worker == 0 || kind < static_cast<std::uint8_t>(Kind::query) ||
      kind > static_cast<std::uint8_t>(Kind::died)) {
    return std::nullopt;
  }
  record.kind = static_cast<Kind>(kind);
  record.message = reader.rest();
  const bool carries = record.kind == Kind::query || record.kind == Kind::answer;
  const std::size_t least = record.kind == Kind::query ? dns::kHeaderSize : sizeof(std::uint16_t);
  if (carries ? record.message.size() < least : !record.message.empty()) return std::nullopt;
  return record;
}

}  // namespace dotrelay
