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

/// In nearly every name the last letter tells that it is none of them.
Bytes special_name_with_last_letter_of(Bytes name) {
  if (name.size() < 2) return {};
  switch (fold_case(name[name.size() - 2])) {
    case 'a':
      return kResolverArpa;
    case 'n':
      return kOnion;
    case 't':
      return kLocalhost;
    default:
      return {};
  }
}

}  // namespace

std::optional<LocalAnswer> find_local_answer(const Question& question) {
  const Bytes special = special_name_with_last_letter_of(question.name);
  if (special.empty() || !is_at_or_below(question.name, special)) return std::nullopt;
  if (special.data() == kOnion) return LocalAnswer{Rcode::nxdomain, {}};
  LocalAnswer answer{Rcode::noerror, {}};
  if (special.data() == kResolverArpa) return answer;
  if (question.type == type::a) answer.address = kLoopback4;
  if (question.type == type::aaaa) answer.address = kLoopback6;
  return answer;
}

}  // namespace dotrelay::dns
