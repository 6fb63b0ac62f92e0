// Addresses, endpoints and ranges: what is read, what is refused, and how they print.
#include "base/address.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

IpAddress ip(std::string_view text) {
  const Result<IpAddress> address = parse_ip_address(text);
  REQUIRE(address);
  return *address;
}

AddressRange range(std::string_view text) {
  const Result<AddressRange> parsed = parse_address_range(text);
  REQUIRE(parsed);
  return *parsed;
}

TEST_CASE("IP literals") {
  CHECK(ip("192.0.2.1").bytes().size() == 4);
  CHECK(equal(ip("192.0.2.1").bytes(), std::array<std::uint8_t, 4>{192, 0, 2, 1}));
  CHECK(ip("::1").bytes().size() == 16);
  CHECK(ip("2001:DB8:0:0:0:0:0:1").to_text() == "2001:db8::1");
  CHECK(ip("2001:db8::1") == ip("2001:db8:0::1"));
  CHECK(ip("255.255.255.255").to_text() == "255.255.255.255");
  CHECK(ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff").to_text() == "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  CHECK_FALSE(ip("0.0.0.0") == ip("::"));
}

TEST_CASE("the unspecified address, of either family") {
  CHECK(ip("0.0.0.0").is_unspecified());
  CHECK(ip("::").is_unspecified());
  CHECK_FALSE(ip("::1").is_unspecified());
  CHECK_FALSE(ip("0.0.0.1").is_unspecified());
}

TEST_CASE("what is no IP literal is refused and named") {
  for (const std::string_view text :
       {"", "localhost", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.04", " 1.2.3.4", "1.2.3.4 ", "0x7f.1", ":",
        ":::", "1::2::3", "[::1]", "fe80::1%eth0", "12345::", "1.2.3.4/8"}) {
    CAPTURE(text);
    const Result<IpAddress> address = parse_ip_address(text);
    REQUIRE_FALSE(address);
    CHECK(address.error().message == "\"" + std::string(text) + "\" is not an IP address");
  }
  CHECK_FALSE(parse_ip_address(std::string_view("1.2.3.4\0", 8)));
}

TEST_CASE("an IPv4-mapped address is the IPv4 address, and a range of them is an IPv4 range") {
  CHECK(ip("::ffff:192.0.2.1") == ip("192.0.2.1"));
  CHECK(ip("::FFFF:c000:201").to_text() == "192.0.2.1");
  CHECK(ip("::fffe:192.0.2.1").is_v6);
  CHECK(range("::ffff:10.0.0.0/104") == range("10.0.0.0/8"));
  CHECK(range("::ffff:192.0.2.1") == range("192.0.2.1"));
  CHECK(range("::ffff:0:0/96").contains(ip("192.0.2.1")));
  CHECK_FALSE(parse_address_range("::ffff:10.0.0.1/104"));
  CHECK_FALSE(parse_address_range("::ffff:10.0.0.0/95"));
  CHECK_FALSE(parse_address_range("::ffff:10.0.0.0/8"));
  CHECK(parse_endpoint("[::ffff:192.0.2.1]:53", 0)->to_text() == "192.0.2.1:53");
}

TEST_CASE("kinds of addresses") {
  for (const std::string_view text : {"127.0.0.1", "127.255.0.3", "::1"}) CHECK(ip(text).is_loopback());
  for (const std::string_view text : {"126.0.0.1", "128.0.0.1", "::", "::2", "7f00::1"})
    CHECK_FALSE(ip(text).is_loopback());
  for (const std::string_view text : {"224.0.0.1", "239.255.255.255", "ff02::1"}) CHECK(ip(text).is_multicast());
  for (const std::string_view text : {"223.255.255.255", "240.0.0.1", "fe80::1"}) CHECK_FALSE(ip(text).is_multicast());
  for (const std::string_view text : {"fe80::1", "febf::1"}) CHECK(ip(text).is_link_local());
  for (const std::string_view text : {"fec0::1", "fe7f::1", "169.254.0.1"}) CHECK_FALSE(ip(text).is_link_local());
  for (const std::string_view text :
       {"127.0.0.53", "::1", "10.255.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1",
        "100.127.255.255", "fc00::1", "fdff::1", "fe80::1", "::ffff:10.0.0.1"}) {
    CAPTURE(text);
    CHECK(ip(text).is_private());
  }
  for (const std::string_view text : {"128.0.0.1",   "9.255.255.255", "11.0.0.1",       "172.15.255.255",
                                      "172.32.0.1",  "192.167.0.1",   "192.169.0.1",    "100.63.255.255",
                                      "100.128.0.1", "169.254.0.1",   "1.1.1.1",        "0.0.0.0",
                                      "::",          "::2",           "fbff::1",        "fe00::1",
                                      "fec0::1",     "2001:db8::1",   "::ffff:1.1.1.1", "64:ff9b::a00:1"}) {
    CAPTURE(text);
    CHECK_FALSE(ip(text).is_private());
  }
}

TEST_CASE("the interface of a link-local address stands behind a percent sign") {
  CHECK(parse_endpoint("[fe80::1%br-lan]:53", 0)->to_text() == "[fe80::1%br-lan]:53");
  CHECK(parse_endpoint("fe80::1%eth0.7", 853)->to_text() == "[fe80::1%eth0.7]:853");
  CHECK(parse_endpoint("fe80::1%2", 853)->scope.name() == std::string_view("2"));
  CHECK(parse_endpoint("fe80::1", 853)->scope.empty());
  CHECK_FALSE(*parse_endpoint("fe80::1%a", 853) == *parse_endpoint("fe80::1%b", 853));
  for (const std::string_view text :
       {"fe80::1%", "[fe80::1%]:53", "[fe80::1]%eth0:53", "fe80::1%sixteen-octets-x", "fe80::1%a/b", "fe80::1%a b",
        "fe80::1%a%b", "fe80::1%..", "fe80::1%\x7f", "127.0.0.1%lo:53", "::ffff:127.0.0.1%lo", "[fe80::1%a:b]:53"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_endpoint(text, 853));
  }
}

TEST_CASE("endpoints with and without a port") {
  const auto text = [](std::string_view written, std::uint16_t default_port) {
    const Result<Endpoint> endpoint = parse_endpoint(written, default_port);
    return endpoint ? endpoint->to_text() : "refused";
  };
  CHECK(text("127.0.0.1:12555", 0) == "127.0.0.1:12555");
  CHECK(text("[::1]:12555", 0) == "[::1]:12555");
  CHECK(text("1.1.1.1", 853) == "1.1.1.1:853");
  CHECK(text("1.1.1.1:8853", 853) == "1.1.1.1:8853");
  CHECK(text("2606:4700:4700::1111", 853) == "[2606:4700:4700::1111]:853");
  CHECK(text("[::1]", 853) == "[::1]:853");
  CHECK(text("0.0.0.0:1", 0) == "0.0.0.0:1");
  CHECK(text("[::]:65535", 0) == "[::]:65535");

  CHECK(text("127.0.0.1", 0) == "refused");
  CHECK(text("::1", 0) == "refused");
  CHECK(text("[::1]", 0) == "refused");
}

TEST_CASE("what is no endpoint is refused, whole or in part") {
  for (const std::string_view text : {"",
                                      ":",
                                      ":53",
                                      "127.0.0.1:",
                                      "127.0.0.1:0",
                                      "127.0.0.1:65536",
                                      "127.0.0.1:4294967349",
                                      "127.0.0.1:99999999999999",
                                      "127.0.0.1:+53",
                                      "127.0.0.1:-1",
                                      "127.0.0.1: 53",
                                      "127.0.0.1:53 ",
                                      "127.0.0.1:0x35",
                                      "127.0.0.1:53:53",
                                      "[127.0.0.1]:53",
                                      "[::1]53",
                                      "[::1]:",
                                      "[::1",
                                      "::1]:53",
                                      "[]:53",
                                      "[",
                                      "[]",
                                      "[[::1]]:53",
                                      "example.com:53",
                                      "localhost"}) {
    CAPTURE(text);
    const Result<Endpoint> endpoint = parse_endpoint(text, 853);
    REQUIRE_FALSE(endpoint);
    CHECK(endpoint.error().message.starts_with("\"" + std::string(text) + "\" is not an IP address"));
  }
}

TEST_CASE("a range holds its own addresses up to the last bit of its prefix") {
  CHECK(range("10.0.0.0/8").contains(ip("10.255.255.255")));
  CHECK_FALSE(range("10.0.0.0/8").contains(ip("11.0.0.0")));
  CHECK(range("172.16.0.0/12").contains(ip("172.31.255.255")));
  CHECK_FALSE(range("172.16.0.0/12").contains(ip("172.32.0.0")));
  CHECK_FALSE(range("172.16.0.0/12").contains(ip("172.15.255.255")));
  CHECK(range("100.64.0.0/10").contains(ip("100.127.255.255")));
  CHECK_FALSE(range("100.64.0.0/10").contains(ip("100.128.0.0")));
  CHECK(range("192.0.2.7").contains(ip("192.0.2.7")));
  CHECK_FALSE(range("192.0.2.7").contains(ip("192.0.2.6")));
  CHECK(range("192.0.2.6/31").contains(ip("192.0.2.7")));
  CHECK(range("fc00::/7").contains(ip("fdff::1")));
  CHECK_FALSE(range("fc00::/7").contains(ip("fe00::")));
  CHECK(range("fe80::/10").contains(ip("febf::1")));
  CHECK_FALSE(range("fe80::/10").contains(ip("fec0::1")));
  CHECK(range("::1").contains(ip("::1")));
  CHECK_FALSE(range("::1/128").contains(ip("::2")));
  CHECK(range("2001:db8::/127").contains(ip("2001:db8::1")));
}

TEST_CASE("everything of one family, never of the other") {
  CHECK(range("0.0.0.0/0").contains(ip("255.255.255.255")));
  CHECK(range("::/0").contains(ip("ffff::")));
  CHECK_FALSE(range("0.0.0.0/0").contains(ip("::")));
  CHECK_FALSE(range("::/0").contains(ip("0.0.0.0")));
  CHECK_FALSE(range("127.0.0.0/8").contains(ip("7f00::1")));
  CHECK(range("127.0.0.0/8").contains(ip("::ffff:127.0.0.1")));
}

TEST_CASE("what is no range is refused") {
  for (const std::string_view text :
       {"", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8/8", "10.0.0.0/ 8",
        "10.0.0.0/255.0.0.0", "::/129", "10/8", "private", "[::1]/128", "10.0.0.0/4294967304"}) {
    CAPTURE(text);
    const Result<AddressRange> parsed = parse_address_range(text);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().message.find("is not an address range") != std::string::npos);
  }
}

TEST_CASE("bits behind the prefix are an error: the writer meant something else") {
  for (const std::string_view text : {"10.1.0.0/8", "192.0.2.1/31", "0.0.0.1/0", "fd00::1/8", "2001:db8::1/127"}) {
    CAPTURE(text);
    const Result<AddressRange> parsed = parse_address_range(text);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().message == "\"" + std::string(text) + "\" has bits set behind its prefix length");
  }
}

TEST_CASE("networks as numbers: the first bits and the family, and nothing else") {
  const auto number = [](std::string_view text) { return network_number(*parse_ip_address(text), 24, 56); };
  CHECK(number("192.0.2.1") == number("192.0.2.254"));
  CHECK(number("192.0.2.1") != number("192.0.3.1"));
  CHECK(number("2001:db8::1") == number("2001:db8:0:ff::"));
  CHECK(number("2001:db8::1") != number("2001:db8:0:100::"));
  CHECK(number("0.0.0.0") != number("::"));
  CHECK(number("0.0.0.0") != 0);
  CHECK(network_number(*parse_ip_address("192.0.2.1"), 32, 56) !=
        network_number(*parse_ip_address("192.0.2.2"), 32, 56));
}

TEST_CASE("the network of an address") {
  const auto network = [](std::string_view text, std::uint8_t bits) {
    return network_of(*parse_ip_address(text), bits);
  };
  CHECK(network("192.0.2.77", 24) == *parse_address_range("192.0.2.0/24"));
  CHECK(network("192.0.2.77", 26) == *parse_address_range("192.0.2.64/26"));
  CHECK(network("192.0.2.77", 32) == *parse_address_range("192.0.2.77"));
  CHECK(network("192.0.2.77", 0) == *parse_address_range("0.0.0.0/0"));
  CHECK(network("2001:db8:1:2:3::4", 61) == *parse_address_range("2001:db8:1::/61"));
  CHECK(network("2001:db8::1", 128) == *parse_address_range("2001:db8::1"));
}

}  // namespace
}  // namespace dotrelay
