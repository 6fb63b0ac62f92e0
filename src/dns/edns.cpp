// See edns.hpp.
#include "dns/edns.hpp"

namespace dotrelay::dns {

bool options_well_formed(Bytes options) {
  while (take_option(options)) {
  }
  return options.empty();
}

bool has_extended_error(Bytes options, bool (*suits)(std::uint16_t code)) {
  while (const auto option = take_option(options)) {
    const bool is_error = option->code == option::extended_error && option->data.size() >= 2;
    if (is_error && suits(load_u16(option->data.data()))) return true;
  }
  return false;
}

void write_option(ByteWriter& writer, std::uint16_t code, Bytes data) {
  writer.u16(code);
  writer.u16(static_cast<std::uint16_t>(data.size()));
  writer.put(data);
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

void write_options_for_client(ByteWriter& writer, std::size_t limit, Bytes options) {
  while (const auto option = take_option(options)) {
    if (!carried_to_client(option->code)) continue;
    if (writer.size() + kOptionHeader + option->data.size() > limit) break;
    write_option(writer, option->code, option->data);
  }
}

}  // namespace dotrelay::dns
