// The OPT record (RFC 6891): reading its options and writing one. EDNS is hop by hop, so the relay never forwards an
// OPT; it reads the peer's and writes its own.
#pragma once

#include "base/bytes.hpp"
#include "dns/constants.hpp"

#include <cassert>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

namespace dotrelay::dns {

/// The octets of an option without its data: code and length.
inline constexpr std::size_t kOptionHeader = 4;

struct EdnsOption {
  std::uint16_t code = 0;
  Bytes data;
};

/// Takes the next option off the front of `options`. Nothing when none is left or the rest is malformed.
inline std::optional<EdnsOption> take_option(Bytes& options) {
  if (options.size() < kOptionHeader) return std::nullopt;
  const std::size_t size = load_u16(&options[2]);
  if (options.size() - kOptionHeader < size) return std::nullopt;
  const EdnsOption option{load_u16(options.data()), options.subspan(kOptionHeader, size)};
  options = options.subspan(kOptionHeader + size);
  return option;
}

/// Whether `options` has an Extended DNS Error whose code suits. There may be several, in any order (RFC 8914 3).
bool has_extended_error(Bytes options, bool (*suits)(std::uint16_t code));

/// Whether the options fill `options` exactly.
bool options_well_formed(Bytes options);

/// An OPT record as found in a message. `options` lives as long as the message.
struct Opt {
  std::size_t offset = 0;  ///< of the record in the message
  std::size_t size = 0;    ///< of the whole record
  std::uint16_t udp_size = 0;
  std::uint8_t extended_rcode = 0;
  std::uint8_t version = 0;
  bool dnssec_ok = false;
  Bytes options;
};

/// The octets of an OPT record without its options: root name, TYPE, CLASS, TTL, RDLENGTH.
inline constexpr std::size_t kOptFixedSize = 11;

/// The fixed fields of an OPT record that the relay writes. The options follow it, `options_size` octets of them.
inline void write_opt(ByteWriter& writer, Rcode rcode, bool dnssec_ok, std::size_t options_size) {
  const MutableBytes room = writer.reserve(kOptFixedSize);
  if (room.empty()) return;
  room[0] = 0;
  store_u16(&room[1], type::opt);
  store_u16(&room[3], kMaxUdpResponse);
  room[5] = static_cast<std::uint8_t>(static_cast<std::uint16_t>(rcode) >> 4);
  room[6] = 0;
  store_u16(&room[7], dnssec_ok ? 0x8000 : 0);
  store_u16(&room[9], static_cast<std::uint16_t>(options_size));
}

void write_option(ByteWriter& writer, std::uint16_t code, Bytes data);

/// Writes a padding option that takes exactly `size` octets, which must be 0 (nothing is written) or at least 4.
inline void write_padding(ByteWriter& writer, std::size_t size) {
  assert(size == 0 || size >= kOptionHeader);
  const MutableBytes room = writer.reserve(size);
  if (room.empty()) return;
  store_u16(&room[0], option::padding);
  store_u16(&room[2], static_cast<std::uint16_t>(size - kOptionHeader));
  std::memset(room.data() + kOptionHeader, 0, size - kOptionHeader);
}

/// Writes an Extended DNS Error option (RFC 8914 2). Text beyond kMaxErrorText octets is cut.
inline constexpr std::size_t kMaxErrorText = 300;
void write_extended_error(ByteWriter& writer, ExtendedError code, std::string_view text);

/// Options of a query that the relay carries upstream: they ask for something in the answer's data, not about the hop.
bool carried_upstream(std::uint16_t option_code);

/// Options of an answer that reach the client.
bool carried_to_client(std::uint16_t option_code);

/// Copies those of `options` that reach the client, up to the first that has no room in `limit` octets of the writer.
void write_options_for_client(ByteWriter& writer, std::size_t limit, Bytes options);

}  // namespace dotrelay::dns
