// Which questions share a hash: those that differ in the case of letters only.
#include "cache/cache_key.hpp"

#include "dns/message_builder.hpp"

#include <doctest/doctest.h>
#include <set>

namespace dotrelay {
namespace {

TEST_CASE("letters of any case have one hash, every other difference another") {
  const test::Octets name = test::name("www.example.com");
  const test::Octets spelled = test::name("WWW.eXample.COM");
  const test::Octets other = test::name("www.example.con");
  const test::Octets longer = test::name("a.www.example.com");
  const HashKey hash_key{1, 2};
  const CacheKey key{.question = {name, 1, 1}, .zone = 0, .flags = 0};
  CHECK(hash_of(key, hash_key) == hash_of({{spelled, 1, 1}, 0, 0}, hash_key));

  const std::set<std::uint64_t> hashes{
      hash_of(key, hash_key),
      hash_of(key, {1, 3}),
      hash_of({{other, 1, 1}, 0, 0}, hash_key),
      hash_of({{longer, 1, 1}, 0, 0}, hash_key),
      hash_of({{name, 28, 1}, 0, 0}, hash_key),
      hash_of({{name, 1, 3}, 0, 0}, hash_key),
      hash_of({{name, 1, 1}, 1, 0}, hash_key),
      hash_of({{name, 1, 1}, 256, 0}, hash_key),
      hash_of({{name, 1, 1}, 0, CacheKey::kDnssecOk}, hash_key),
      hash_of({{name, 1, 1}, 0, CacheKey::kCheckingDisabled}, hash_key),
      hash_of({{name, 1, 1}, 0, CacheKey::kAuthenticData}, hash_key),
  };
  CHECK(hashes.size() == 11);
}

}  // namespace
}  // namespace dotrelay
