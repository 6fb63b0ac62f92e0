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
  writer.u16(query.id);
  writer.u16(query.flags & kQueryFlags);
  for (const std::uint16_t count : {1, 0, 0, 1}) writer.u16(count);
  writer.put(query.question.name);
  writer.u16(query.question.type);
  writer.u16(query.question.klass);

  constexpr std::size_t kOptionHeader = 4;
  const std::size_t unpadded = writer.size() + kOptFixedSize + query.options.size() + kOptionHeader;
  const std::size_t padding = kOptionHeader + (kPaddingBlock - unpadded % kPaddingBlock) % kPaddingBlock;
  write_opt(writer, Rcode::noerror, query.dnssec_ok, query.options.size() + padding);
  writer.put(query.options);
  write_padding(writer, padding);
  assert(!writer.failed());
  return writer.size();
}

}  // namespace dotrelay::dns
