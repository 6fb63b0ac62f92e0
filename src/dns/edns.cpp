// See edns.hpp.
#include "dns/edns.hpp"

#include <cassert>

namespace dotrelay::dns {
namespace {

constexpr std::size_t kOptionHeader = 4;

}  // namespace

std::optional<EdnsOption> take_option(Bytes& options) {
  ByteReader reader(options);
  EdnsOption option;
  option.code = reader.u16();
  option.data = reader.take(reader.u16());
  if (reader.failed()) return std::nullopt;
  options = options.subspan(reader.offset());
  return option;
}

bool options_well_formed(Bytes options) {
  while (take_option(options)) {
  }
  return options.empty();
}

void write_opt(ByteWriter& writer, Rcode rcode, bool dnssec_ok, std::size_t options_size) {
  writer.u8(0);
  writer.u16(type::opt);
  writer.u16(kMaxUdpAnswer);
  writer.u8(static_cast<std::uint8_t>(static_cast<std::uint16_t>(rcode) >> 4));
  writer.u8(0);
  writer.u16(dnssec_ok ? 0x8000 : 0);
  writer.u16(static_cast<std::uint16_t>(options_size));
}

void write_option(ByteWriter& writer, std::uint16_t code, Bytes data) {
  writer.u16(code);
  writer.u16(static_cast<std::uint16_t>(data.size()));
  writer.put(data);
}

void write_padding(ByteWriter& writer, std::size_t size) {
  if (size == 0) return;
  assert(size >= kOptionHeader);
  writer.u16(option::padding);
  writer.u16(static_cast<std::uint16_t>(size - kOptionHeader));
  writer.zeros(size - kOptionHeader);
}

void write_extended_error(ByteWriter& writer, ExtendedError code, std::string_view text) {
  text = text.substr(0, kMaxErrorText);
  writer.u16(option::extended_error);
  writer.u16(static_cast<std::uint16_t>(2 + text.size()));
  writer.u16(static_cast<std::uint16_t>(code));
  writer.put({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

bool carried_upstream(std::uint16_t option_code) {
  switch (option_code) {
    case option::nsid:
    case option::dau:
    case option::dhu:
    case option::n3u:
    case option::chain:
    case option::zoneversion:
      return true;
    default:
      return false;
  }
}

bool carried_to_client(std::uint16_t option_code) {
  switch (option_code) {
    case option::nsid:
    case option::extended_error:
    case option::zoneversion:
      return true;
    default:
      return false;
  }
}

}  // namespace dotrelay::dns
