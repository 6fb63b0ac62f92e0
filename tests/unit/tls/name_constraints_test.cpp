// Name constraints octet by octet: what is read, what is refused, what a subtree holds. Whole chains are in
// certificate_matrix_test.cpp.
#include "tls/name_constraints.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

namespace dotrelay::test {
namespace {

using Octets = std::vector<std::uint8_t>;
using Verdict = NameConstraints::Verdict;

Octets text(const std::string& from) { return {from.begin(), from.end()}; }

Octets tlv(int tag, const std::vector<Octets>& parts) {
  Octets content;
  for (const Octets& part : parts) content.insert(content.end(), part.begin(), part.end());
  Octets out = {static_cast<std::uint8_t>(tag)};
  if (content.size() < 128) {
    out.push_back(static_cast<std::uint8_t>(content.size()));
  } else {
    out.insert(out.end(),
               {0x82, static_cast<std::uint8_t>(content.size() >> 8), static_cast<std::uint8_t>(content.size())});
  }
  out.insert(out.end(), content.begin(), content.end());
  return out;
}

Octets subtree(int form, const Octets& base, const std::vector<Octets>& more = {}) {
  std::vector<Octets> parts = {tlv(form == 4 ? 0xa4 : 0x80 + form, {base})};
  parts.insert(parts.end(), more.begin(), more.end());
  return tlv(0x30, parts);
}

Octets permitted(const std::vector<Octets>& subtrees) { return tlv(0x30, {tlv(0xa0, subtrees)}); }
Octets excluded(const std::vector<Octets>& subtrees) { return tlv(0x30, {tlv(0xa1, subtrees)}); }

Octets name_of(const std::vector<std::pair<int, std::string>>& common_names) {
  std::vector<Octets> rdns;
  for (const auto& [tag, value] : common_names) {
    rdns.push_back(tlv(0x31, {tlv(0x30, {tlv(0x06, {{0x55, 0x04, 0x03}}), tlv(tag, {text(value)})})}));
  }
  return tlv(0x30, rdns);
}

Verdict judge(const Octets& value, NameForm form, const Octets& name) {
  const auto constraints = NameConstraints::parse(value);
  REQUIRE(constraints);
  return constraints->judge({form, name});
}

TEST_CASE("names of hosts: a subtree holds its name and what has more labels") {
  const auto host = [](const char* constraint, const char* name) {
    return judge(permitted({subtree(2, text(constraint))}), NameForm::dns, text(name)) == Verdict::allowed;
  };
  CHECK(host("a.test", "a.test"));
  CHECK(host("a.test", "A.TEST."));
  CHECK(host("a.test", "x.y.a.test"));
  CHECK_FALSE(host("a.test", "xa.test"));
  CHECK_FALSE(host("a.test", "test"));
  CHECK(host(".a.test", "x.a.test"));
  CHECK_FALSE(host(".a.test", "a.test"));
  CHECK(host("", "anything"));
  CHECK(judge(excluded({subtree(2, {})}), NameForm::dns, text("anything")) == Verdict::forbidden);
  CHECK(judge(excluded({subtree(2, text("a.test"))}), NameForm::ip, {127, 0, 0, 1}) == Verdict::allowed);
}

TEST_CASE("addresses: only of the same family, under the mask") {
  const Octets net = {10, 1, 0, 0, 255, 255, 0, 0};
  CHECK(judge(permitted({subtree(7, net)}), NameForm::ip, {10, 1, 2, 3}) == Verdict::allowed);
  CHECK(judge(permitted({subtree(7, net)}), NameForm::ip, {10, 2, 2, 3}) == Verdict::forbidden);
  CHECK(judge(permitted({subtree(7, net)}), NameForm::ip, Octets(16, 0)) == Verdict::forbidden);
  CHECK(judge(excluded({subtree(7, Octets(32, 0))}), NameForm::ip, Octets(16, 9)) == Verdict::forbidden);
  CHECK(judge(excluded({subtree(7, Octets(32, 0))}), NameForm::ip, {10, 1, 2, 3}) == Verdict::allowed);
}

TEST_CASE("directory names: the first RDNs, letters and spaces aside; other character sets are not guessed") {
  const auto within = [](const Octets& constraint, const Octets& name) {
    return judge(excluded({subtree(4, constraint)}), NameForm::directory, name);
  };
  const Octets constraint = name_of({{0x13, "Some  Org"}});
  CHECK(within(constraint, name_of({{0x0c, "some org"}})) == Verdict::forbidden);
  CHECK(within(constraint, name_of({{0x0c, " SOME ORG "}, {0x0c, "host"}})) == Verdict::forbidden);
  CHECK(within(constraint, name_of({{0x0c, "other"}})) == Verdict::allowed);
  CHECK(within(constraint, name_of({})) == Verdict::allowed);
  CHECK(within(constraint, name_of({{0x1e, "\0s\0o"}})) == Verdict::unknown);
  CHECK(within(name_of({}), name_of({{0x0c, "all"}})) == Verdict::forbidden);
  CHECK(judge(permitted({subtree(4, constraint)}), NameForm::directory, name_of({{0x1e, "x"}})) == Verdict::unknown);
}

TEST_CASE("names of another form are only said to be constrained") {
  CHECK(judge(permitted({subtree(1, text("x.test"))}), NameForm::rfc822, text("a@x.test")) == Verdict::unknown);
  CHECK(judge(excluded({subtree(6, text("x.test"))}), NameForm::uri, text("https://y.test")) == Verdict::unknown);
  CHECK(judge(excluded({subtree(6, text("x.test"))}), NameForm::dns, text("x.test")) == Verdict::allowed);
}

TEST_CASE("what cannot be enforced is refused") {
  const Octets good = subtree(2, text("a.test"));
  const auto refused = [](const Octets& value) { return !NameConstraints::parse(value); };
  CHECK_FALSE(refused(permitted({good})));
  CHECK_FALSE(refused(permitted({subtree(2, text("a.test"), {tlv(0x80, {{0}})})})));
  CHECK(refused({}));
  CHECK(refused(tlv(0x30, {})));
  CHECK(refused(permitted({})));
  CHECK(refused(permitted({subtree(2, text("a.test"), {tlv(0x80, {{1}})})})));  // a minimum
  CHECK(refused(permitted({subtree(2, text("a.test"), {tlv(0x81, {{3}})})})));  // a maximum
  CHECK(refused(permitted({subtree(2, text("*.test"))})));
  CHECK(refused(permitted({subtree(7, {10, 0, 0, 0})})));
  CHECK(refused(permitted({subtree(7, {10, 0, 0, 0, 255, 0, 255, 0})})));
  CHECK(refused(permitted({subtree(4, text("no name"))})));
  CHECK(refused(permitted({tlv(0x30, {tlv(0x82, {text("a.test")}), tlv(0x82, {text("b.test")})})})));
  Octets longer = permitted({good});
  longer.push_back(0);
  CHECK(refused(longer));
  CHECK(refused(tlv(0x30, {tlv(0xa1, {good}), tlv(0xa0, {good})})));  // the wrong order
  for (std::size_t size = 0; size < permitted({good}).size(); ++size) {
    Octets cut = permitted({good});
    cut.resize(size);
    CHECK(refused(cut));
  }
  CHECK_FALSE(refused(permitted(std::vector<Octets>(NameConstraints::kMaxSubtrees, good))));
  CHECK(refused(permitted(std::vector<Octets>(NameConstraints::kMaxSubtrees + 1, good))));
}

}  // namespace
}  // namespace dotrelay::test
