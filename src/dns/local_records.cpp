// See local_records.hpp.
#include "dns/local_records.hpp"

#include <array>
#include <cassert>

namespace dotrelay::dns {
namespace {

constexpr std::uint32_t kLocalTtl = 10800;  // as BIND's and Unbound's built-in localhost zones
/// How long clients remember that a local zone does not have a name (RFC 2308 5). RFC 6303 3 shows three hours. Here a
/// reload may give the zone to an upstream, and what clients ask again until then costs no more than this answer.
constexpr std::uint32_t kNegativeTtl = 300;

std::array<std::uint8_t, 2> pointer_to(std::size_t offset) {
  std::array<std::uint8_t, 2> pointer;
  store_u16(pointer.data(), static_cast<std::uint16_t>(0xc000 | offset));
  return pointer;
}

/// `owner`: where its name stands in the message.
void write_record(ByteWriter& writer, std::size_t owner, std::uint16_t type, std::uint32_t ttl, Bytes data) {
  writer.put(pointer_to(owner));
  writer.u16(type);
  writer.u16(klass::in);
  writer.u32(ttl);
  writer.u16(static_cast<std::uint16_t>(data.size()));
  writer.put(data);
}

/// The SOA that RFC 6303 3 proposes, but for the time that a negative answer is kept.
void write_local_soa(ByteWriter& writer, std::size_t apex) {
  constexpr std::uint8_t kMailbox[] =
      "\x06nobody\x07"
      "invalid";
  std::array<std::uint8_t, 2 + sizeof kMailbox + 20> buffer;
  ByteWriter data(buffer);
  data.put(pointer_to(apex));
  data.put(kMailbox);
  for (const std::uint32_t number : {1U, 3600U, 1200U, 604800U, kNegativeTtl}) data.u32(number);
  assert(!data.failed());
  write_record(writer, apex, type::soa, kNegativeTtl, data.written());
}

/// An answer of a zone without a record that was asked for has the zone's SOA (RFC 2308 3).
bool is_negative(const LocalAnswer& answer) {
  return answer.address.empty() && !answer.soa && !answer.ns && !answer.apex.empty();
}

}  // namespace

Counts count_local_records(const LocalAnswer& answer) {
  const int answers = (answer.address.empty() ? 0 : 1) + (answer.soa ? 1 : 0) + (answer.ns ? 1 : 0);
  return {1, static_cast<std::uint16_t>(answers), static_cast<std::uint16_t>(is_negative(answer) ? 1 : 0), 0};
}

void write_local_records(ByteWriter& writer, const Question& question, const LocalAnswer& answer) {
  const std::size_t apex = kHeaderSize + question.name.size() - answer.apex.size();
  if (!answer.address.empty()) write_record(writer, kHeaderSize, question.type, kLocalTtl, answer.address);
  if (answer.soa || is_negative(answer)) write_local_soa(writer, apex);
  if (answer.ns) write_record(writer, apex, type::ns, kNegativeTtl, pointer_to(apex));
}

}  // namespace dotrelay::dns
