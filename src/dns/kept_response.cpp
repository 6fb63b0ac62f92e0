// See kept_response.hpp.
#include "dns/kept_response.hpp"

#include "dns/edns.hpp"

#include <array>

namespace dotrelay::dns {
namespace {

/// An EDE text has at most some hundred octets; what is longer in sum is left out.
constexpr std::size_t kMaxOptions = 512;
constexpr std::size_t kAdditionalCountOffset = 10;

}  // namespace

MutableBytes write_kept_response(MutableBytes buffer, Bytes message, const ResponseView& response) {
  message = message.first(response.size);
  ByteWriter writer(buffer);
  const bool opt_is_last = response.opt && response.opt->offset + response.opt->size == message.size();
  writer.put(opt_is_last ? message.first(response.opt->offset) : message);
  if (opt_is_last && !writer.failed()) {
    std::array<std::uint8_t, kMaxOptions> options_buffer;
    ByteWriter options_writer(options_buffer);
    write_options_for_client(options_writer, options_buffer.size(), response.opt->options);
    const Bytes options = options_writer.written();
    if (!options.empty() || response.opt->extended_rcode != 0) {
      write_opt(writer, response.rcode(), response.opt->dnssec_ok, options.size());
      writer.put(options);
    } else {
      std::uint8_t* const count = &buffer[kAdditionalCountOffset];
      store_u16(count, static_cast<std::uint16_t>(load_u16(count) - 1));
    }
  }
  return writer.failed() ? MutableBytes() : buffer.first(writer.size());
}

}  // namespace dotrelay::dns
