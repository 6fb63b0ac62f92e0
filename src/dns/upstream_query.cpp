// See upstream_query.hpp.
#include "dns/upstream_query.hpp"

#include <array>
#include <cassert>

namespace dotrelay::dns {

std::optional<std::vector<std::uint8_t>> carried_options(const Opt& opt) {
  std::array<std::uint8_t, kMaxCarriedOptions> buffer;
  ByteWriter writer(buffer);
  Bytes rest = opt.options;
  while (const auto option = take_option(rest)) {
    if (carried_upstream(option->code)) write_option(writer, option->code, option->data);
  }
  if (writer.failed()) return std::nullopt;
  const Bytes written = writer.written();
  return std::vector<std::uint8_t>(written.begin(), written.end());
}

std::size_t write_upstream_query(MutableBytes buffer, const UpstreamQuery& query) {
  ByteWriter writer(buffer);
  write_header(writer, {.id = query.id, .flags = static_cast<std::uint16_t>(query.flags & kQueryFlags)},
               {1, 0, 0, static_cast<std::uint16_t>(query.edns ? 1 : 0)});
  write_question(writer, query.question);
  if (!query.edns) return writer.size();

  const std::size_t unpadded = writer.size() + kOptFixedSize + query.options.size() + kOptionHeader;
  const std::size_t padding =
      query.padded ? kOptionHeader + (kPaddingBlock - unpadded % kPaddingBlock) % kPaddingBlock : 0;
  write_opt(writer, Rcode::noerror, query.dnssec_ok, query.options.size() + padding);
  writer.put(query.options);
  write_padding(writer, padding);
  assert(!writer.failed());
  return writer.size();
}

}  // namespace dotrelay::dns
