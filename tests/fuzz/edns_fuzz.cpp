// Arbitrary octets as the options of an OPT record: reading them, carrying them up, and down again.
#include "fuzz.hpp"

#include "dns/client_response.hpp"
#include "dns/edns.hpp"
#include "dns/upstream_query.hpp"

#include <vector>

using namespace dotrelay;
using namespace dotrelay::dns;

namespace {

/// Options are taken from the front, each within what is left, and end exactly where options_well_formed() says.
void check_walk(Bytes options) {
  Bytes rest = options;
  std::size_t walked = 0;
  while (const auto option = take_option(rest)) {
    walked += 4 + option->data.size();
    assert(rest.size() == options.size() - walked);
    assert(option->data.empty() || option->data.data() + option->data.size() == rest.data());
  }
  assert(rest.size() == options.size() - walked);
  assert(options_well_formed(options) == rest.empty());
}

/// What goes up is well-formed, holds only what may go up, and makes a query of whole padding blocks.
void check_carried(const Opt& opt) {
  const auto carried = carried_options(opt);
  if (!carried) return;
  assert(carried->size() <= kMaxCarriedOptions && options_well_formed(*carried));
  Bytes rest = *carried;
  while (const auto option = take_option(rest)) assert(carried_upstream(option->code));

  const std::vector<std::uint8_t> root = {0};
  std::vector<std::uint8_t> message(kMaxUpstreamQuery);
  message.resize(
      write_upstream_query(message, {.id = 7, .flags = 0xffff, .question = {root, 1, 1}, .options = *carried}));
  assert(message.size() % kPaddingBlock == 0);
  const QueryVerdict verdict = parse_query(message);
  assert(verdict.kind == QueryVerdict::Kind::relay && verdict.query.opt);
  assert(equal(verdict.query.opt->options.first(carried->size()), *carried));
}

/// As the OPT of a query and of an answer: a sound one is taken, another is not.
void check_in_message(Bytes options) {
  if (options.size() > 60'000) return;
  std::vector<std::uint8_t> message(kMaxMessage);
  ByteWriter writer(message);
  writer.u16(1);
  writer.u16(0);
  for (const std::uint16_t count : {1, 0, 0, 1}) writer.u16(count);
  for (const std::uint8_t octet : {0, 0, 1, 0, 1}) writer.u8(octet);
  write_opt(writer, Rcode::noerror, false, options.size());
  writer.put(options);
  const Bytes written = writer.written();

  const QueryVerdict verdict = parse_query(written);
  const bool sound = options_well_formed(options);
  assert(verdict.kind == (sound ? QueryVerdict::Kind::relay : QueryVerdict::Kind::answer));
  assert(sound || verdict.rcode == Rcode::formerr);
  const Asker asker(verdict.query, {.tcp = true, .keepalive = 300});

  store_u16(&message[2], flag::qr);
  const auto response = parse_response(written);
  assert(response.has_value() == sound);
  if (!response) return;
  std::vector<std::uint8_t> buffer(kResponseBuffer);
  const Bytes answer = write_relayed_response(buffer, written, *response, asker, response->question->name);
  const auto again = parse_response(answer);
  assert(again && again->opt);
  assert(again->explained_by_dnssec() == response->explained_by_dnssec() ||
         again->opt->options.size() < options.size());
  Bytes rest = again->opt->options;
  while (const auto option = take_option(rest)) {
    assert(carried_to_client(option->code) || (option->code == option::tcp_keepalive && asker.keepalive));
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes options(data, size);
  check_walk(options);
  Opt opt;
  opt.options = options;
  check_carried(opt);
  check_in_message(options);
  return 0;
}
