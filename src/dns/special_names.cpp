// See special_names.hpp.
#include "dns/special_names.hpp"

#include "dns/name.hpp"

#include <array>

namespace dotrelay::dns {
namespace {

constexpr std::uint8_t kResolverArpa[] =
    "\x08resolver\x04"
    "arpa";
constexpr std::uint8_t kOnion[] = "\x05onion";
constexpr std::uint8_t kLocalhost[] = "\x09localhost";
constexpr std::array<std::uint8_t, 4> kLoopback4 = {127, 0, 0, 1};
constexpr std::array<std::uint8_t, 16> kLoopback6 = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

/// As is_at_or_below(), for which nearly every name differs in its last letter already.
bool ends_with(Bytes name, Bytes suffix) {
  return name.size() >= suffix.size() && fold_case(name[name.size() - 2]) == suffix[suffix.size() - 2] &&
         is_at_or_below(name, suffix);
}

}  // namespace

std::optional<LocalAnswer> find_local_answer(const Question& question) {
  if (ends_with(question.name, kResolverArpa) || ends_with(question.name, kOnion)) return LocalAnswer{};
  if (!ends_with(question.name, kLocalhost)) return std::nullopt;
  LocalAnswer answer{Rcode::noerror, {}};
  if (question.type == type::a) answer.address = kLoopback4;
  if (question.type == type::aaaa) answer.address = kLoopback6;
  return answer;
}

}  // namespace dotrelay::dns
