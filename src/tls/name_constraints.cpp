// See name_constraints.hpp.
#include "tls/name_constraints.hpp"

#include "tls/der.hpp"

#include <algorithm>
#include <string>

namespace dotrelay {
namespace {

/// RDNs that are compared of one name; X.520 has some twenty attributes.
constexpr std::size_t kMaxRdns = 64;

enum class Match : std::uint8_t { no, yes, unknown };

std::uint8_t lower(std::uint8_t octet) {
  return octet >= 'A' && octet <= 'Z' ? static_cast<std::uint8_t>(octet + 32) : octet;
}

Bytes without_trailing_dot(Bytes name) {
  return !name.empty() && name.back() == '.' ? name.first(name.size() - 1) : name;
}

/// RFC 5280: "any DNS name that can be constructed by simply adding zero or more labels to the left-hand side". With a
/// dot in front, as many CAs write it, at least one label.
bool in_dns_subtree(Bytes name, Bytes subtree) {
  name = without_trailing_dot(name);
  subtree = without_trailing_dot(subtree);
  if (subtree.empty()) return true;
  if (name.size() < subtree.size()) return false;
  if (!equal_ignoring_case(name.last(subtree.size()), subtree)) return false;
  if (subtree[0] == '.') return name.size() > subtree.size();
  return name.size() == subtree.size() || name[name.size() - subtree.size() - 1] == '.';
}

/// `subtree` is an address and a mask of the same size.
bool in_ip_subtree(Bytes address, Bytes subtree) {
  if (subtree.size() != 2 * address.size()) return false;
  for (std::size_t i = 0; i < address.size(); ++i) {
    if (((address[i] ^ subtree[i]) & subtree[address.size() + i]) != 0) return false;
  }
  return true;
}

/// Of a text in one of the character sets that ASCII is part of: letters small, white space as RFC 5280 7.1 wants it.
std::optional<std::string> normalised(const der::Element& value) {
  constexpr std::uint8_t kReadable[] = {der::utf8_string, der::printable_string, der::teletex_string, der::ia5_string,
                                        der::visible_string};
  if (std::ranges::find(kReadable, value.tag) == std::end(kReadable)) return std::nullopt;
  std::string text;
  for (const std::uint8_t octet : value.content) {
    if (octet == ' ' && (text.empty() || text.back() == ' ')) continue;
    text.push_back(static_cast<char>(lower(octet)));
  }
  if (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

/// Two RelativeDistinguishedNames, SETs of attributes in the order that DER wants.
Match same_rdn(Bytes left, Bytes right) {
  if (equal(left, right)) return Match::yes;
  der::Reader lefts(left);
  der::Reader rights(right);
  while (!lefts.at_end() || !rights.at_end()) {
    const std::optional<Bytes> left_attribute = lefts.next(der::sequence);
    const std::optional<Bytes> right_attribute = rights.next(der::sequence);
    if (!left_attribute || !right_attribute) return lefts.at_end() == rights.at_end() ? Match::unknown : Match::no;
    der::Reader left_parts(*left_attribute);
    der::Reader right_parts(*right_attribute);
    const std::optional<Bytes> left_type = left_parts.next(der::object_identifier);
    const std::optional<Bytes> right_type = right_parts.next(der::object_identifier);
    const std::optional<der::Element> left_value = left_parts.next();
    const std::optional<der::Element> right_value = right_parts.next();
    if (!left_type || !right_type || !left_value || !right_value) return Match::unknown;
    if (!equal(*left_type, *right_type)) return Match::no;
    if (equal(left_value->whole, right_value->whole)) continue;
    const std::optional<std::string> left_text = normalised(*left_value);
    const std::optional<std::string> right_text = normalised(*right_value);
    if (!left_text || !right_text) return Match::unknown;
    if (*left_text != *right_text) return Match::no;
  }
  return Match::yes;
}

/// Whether the name begins with the RDNs of the subtree.
Match in_directory_subtree(Bytes name, Bytes subtree) {
  der::Reader name_outer(name);
  der::Reader subtree_outer(subtree);
  const std::optional<Bytes> name_rdns = name_outer.next(der::sequence);
  const std::optional<Bytes> subtree_rdns = subtree_outer.next(der::sequence);
  if (!name_rdns || !subtree_rdns) return Match::unknown;
  der::Reader names(*name_rdns);
  der::Reader subtrees(*subtree_rdns);
  for (std::size_t i = 0; !subtrees.at_end(); ++i) {
    if (names.at_end()) return Match::no;
    const std::optional<Bytes> rdn = names.next(der::set);
    const std::optional<Bytes> wanted = subtrees.next(der::set);
    if (!rdn || !wanted || i == kMaxRdns) return Match::unknown;
    if (const Match match = same_rdn(*rdn, *wanted); match != Match::yes) return match;
  }
  return Match::yes;
}

Match in_subtree(const GeneralName& name, const GeneralName& subtree) {
  switch (name.form) {
    case NameForm::dns:
      return in_dns_subtree(name.content, subtree.content) ? Match::yes : Match::no;
    case NameForm::ip:
      return in_ip_subtree(name.content, subtree.content) ? Match::yes : Match::no;
    case NameForm::directory:
      return in_directory_subtree(name.content, subtree.content);
    default:
      return Match::unknown;
  }
}

bool is_dns_subtree(Bytes text) {
  return std::ranges::all_of(text, [](std::uint8_t octet) {
    const std::uint8_t small = lower(octet);
    return (small >= 'a' && small <= 'z') || (octet >= '0' && octet <= '9') || octet == '-' || octet == '_' ||
           octet == '.';
  });
}

/// An IPv4 or IPv6 address and a mask without holes, as in CIDR.
bool is_ip_subtree(Bytes range) {
  if (range.size() != 8 && range.size() != 32) return false;
  bool ended = false;
  for (const std::uint8_t octet : range.last(range.size() / 2)) {
    for (int bit = 7; bit >= 0; --bit) {
      const bool set = (octet >> bit & 1) != 0;
      if (set && ended) return false;
      ended = ended || !set;
    }
  }
  return true;
}

bool is_sound(const GeneralName& subtree) {
  if (subtree.form == NameForm::dns) return is_dns_subtree(subtree.content);
  if (subtree.form == NameForm::ip) return is_ip_subtree(subtree.content);
  if (subtree.form != NameForm::directory) return true;
  der::Reader name(subtree.content);
  return name.next(der::sequence).has_value() && name.at_end();
}

}  // namespace

bool equal_ignoring_case(Bytes left, Bytes right) {
  return std::ranges::equal(left, right, [](std::uint8_t a, std::uint8_t b) { return lower(a) == lower(b); });
}

/// GeneralSubtrees: each a base, a minimum that must be 0, and no maximum.
bool NameConstraints::read_subtrees(Bytes content, std::vector<GeneralName>& subtrees) {
  constexpr std::uint8_t kMinimum = der::context + 0;
  der::Reader list(content);
  if (list.at_end()) return false;
  while (!list.at_end()) {
    const std::optional<Bytes> subtree = list.next(der::sequence);
    if (!subtree || subtrees.size() == kMaxSubtrees) return false;
    der::Reader parts(*subtree);
    const std::optional<der::Element> base = parts.next();
    if (!base || (base->tag & 0xc0) != der::context || (base->tag & 0x1f) > 8) return false;
    const GeneralName name{static_cast<NameForm>(base->tag & 0x1f), base->content};
    if (!is_sound(name)) return false;
    subtrees.push_back(name);
    if (const std::optional<Bytes> minimum = parts.next(kMinimum);
        minimum && !std::ranges::all_of(*minimum, [](std::uint8_t octet) { return octet == 0; })) {
      return false;
    }
    if (!parts.at_end()) return false;
  }
  return true;
}

std::optional<NameConstraints> NameConstraints::parse(Bytes value) {
  constexpr std::uint8_t kPermitted = der::context + der::constructed + 0;
  constexpr std::uint8_t kExcluded = der::context + der::constructed + 1;
  der::Reader outer(value);
  const std::optional<Bytes> content = outer.next(der::sequence);
  if (!content || content->empty() || !outer.at_end()) return std::nullopt;
  der::Reader parts(*content);
  NameConstraints constraints;
  for (const auto& [tag, subtrees] :
       {std::pair{kPermitted, &constraints.permitted_}, std::pair{kExcluded, &constraints.excluded_}}) {
    if (parts.next_tag() != tag) continue;
    const std::optional<Bytes> list = parts.next(tag);
    if (!list || !read_subtrees(*list, *subtrees)) return std::nullopt;
  }
  if (!parts.at_end()) return std::nullopt;
  return constraints;
}

NameConstraints::Verdict NameConstraints::judge(const GeneralName& name) const {
  bool uncertain = false;
  for (const GeneralName& subtree : excluded_) {
    if (subtree.form != name.form) continue;
    const Match match = in_subtree(name, subtree);
    if (match == Match::yes) return Verdict::forbidden;
    uncertain = uncertain || match == Match::unknown;
  }
  bool constrained = false;
  bool permitted = false;
  bool perhaps = false;
  for (const GeneralName& subtree : permitted_) {
    if (subtree.form != name.form) continue;
    constrained = true;
    const Match match = in_subtree(name, subtree);
    permitted = permitted || match == Match::yes;
    perhaps = perhaps || match == Match::unknown;
  }
  if (constrained && !permitted) return perhaps ? Verdict::unknown : Verdict::forbidden;
  return uncertain ? Verdict::unknown : Verdict::allowed;
}

}  // namespace dotrelay
