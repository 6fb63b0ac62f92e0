// Configuration files as their writers see them: what is read, and for each class of mistake the one line that is
// printed.
#include "config/parser.hpp"

#include "config/defaults.hpp"

#include <algorithm>
#include <doctest/doctest.h>

namespace dotrelay {
namespace {

using namespace std::chrono_literals;

/// Goes behind what a test is about, so that positions in that begin at line 1.
const std::string kUpstream =
    "[[upstream]]\n"
    "name = \"one\"\n"
    "addresses = [\"192.0.2.1\"]\n"
    "tls_name = \"dns.example\"\n";

Config parse(const std::string& text) {
  const Result<Config> config = parse_config(text, "test.toml");
  if (!config) FAIL(config.error().message);
  return *config;
}

/// The error without the file's name, or "fine".
std::string error_of(const std::string& text) {
  const Result<Config> config = parse_config(text, "test.toml");
  if (config) return "fine";
  const std::string& message = config.error().message;
  CHECK(std::ranges::none_of(message, [](char c) { return static_cast<unsigned char>(c) < ' '; }));
  REQUIRE(message.starts_with("test.toml:"));
  return message.substr(std::string_view("test.toml:").size());
}

/// The error of a file that has an upstream besides `text`.
std::string error_in(const std::string& text) { return error_of(text + "\n" + kUpstream); }

/// The error of one more line in an [[upstream]] table that has all it needs; that line is line 5.
std::string error_in_upstream(const std::string& line) { return error_of(kUpstream + line + "\n"); }

std::vector<std::string> texts(const std::vector<Endpoint>& endpoints) {
  std::vector<std::string> result;
  for (const Endpoint& endpoint : endpoints) result.push_back(endpoint.to_text());
  return result;
}

IpAddress ip(std::string_view text) { return *parse_ip_address(text); }

TEST_CASE("hedge is a percentage, slow a duration") {
  const auto relay = [](const std::string& keys) {
    return parse_config(
        "[relay]\n" + keys + "\n[[upstream]]\nname = \"a\"\naddresses = [\"192.0.2.1\"]\ntls_name = \"a.example\"\n",
        "f.toml");
  };
  CHECK(relay("")->relay.hedge == 0.1);
  CHECK(relay("")->relay.slow == std::chrono::milliseconds(400));
  CHECK(relay("hedge = \"25%\"")->relay.hedge == 0.25);
  CHECK(relay("hedge = \"0%\"")->relay.hedge == 0);
  CHECK(relay("hedge = \"0\"")->relay.hedge == 0);
  CHECK(relay("slow = \"1s\"")->relay.slow == std::chrono::seconds(1));
  for (const auto* bad : {"hedge = \"10\"", "hedge = \"101%\"", "hedge = \"-1%\"", "hedge = \"ten\"",
                          "hedge = \"10%%\"", "hedge = 10", "slow = \"49ms\"", "slow = \"61s\""}) {
    CAPTURE(bad);
    const Result<Config> config = relay(bad);
    REQUIRE_FALSE(config);
    CHECK(config.error().message.starts_with("f.toml:2:"));
    CHECK(config.error().message.find("allowed: ") != std::string::npos);
  }
}

/// The error of an upstream at `address`, at which `listen` follows in a table of its own.
std::string error_at(const std::string& address, const std::string& listen = "127.0.0.1:12555") {
  return error_of("[[upstream]]\nname = \"one\"\ntls_name = \"dns.example\"\naddresses = [\"192.0.2.1\", \"" + address +
                  "\"]\n[listen]\naddresses = [\"" + listen + "\"]\n");
}

TEST_CASE("addresses at which nothing can be served or reached") {
  const auto listen = [](const std::string& address) {
    return error_in("[listen]\naddresses = [\"" + address + "\"]");
  };
  CHECK(listen("224.0.0.1:53").starts_with("2:14: listen.addresses: \"224.0.0.1:53\" is a multicast address"));
  CHECK(listen("[ff02::1]:53").find("is a multicast address") != std::string::npos);
  CHECK(listen("255.255.255.255:53").find("is a broadcast address") != std::string::npos);
  CHECK(listen("[fe80::1]:53").find("lacks its interface") != std::string::npos);
  CHECK(listen("[2001:db8::1%eth0]:53").find("only link-local addresses") != std::string::npos);
  CHECK(listen("[fe80::1%br-lan]:53") == "fine");
  CHECK(listen("[::ffff:192.0.2.1]:53") == "fine");
  CHECK(listen("127.0.0.1:53\", \"[::ffff:127.0.0.1]:53").find("is listed twice") != std::string::npos);

  CHECK(error_at("ff02::1").starts_with("4:27: upstream.addresses: \"ff02::1\" is a multicast address"));
  CHECK(error_at("239.1.1.1").find("is a multicast address") != std::string::npos);
  CHECK(error_at("0.0.0.0").find("is no address of a server") != std::string::npos);
  CHECK(error_at("::").find("is no address of a server") != std::string::npos);
  CHECK(error_at("fe80::1").find("lacks its interface") != std::string::npos);
  CHECK(error_at("fe80::1%eth0") == "fine");
}

TEST_CASE("an upstream that is the relay itself") {
  const auto* const itself = "4:27: upstream.addresses: 127.0.0.1:12555 is the relay itself (listen.addresses)";
  CHECK(error_at("127.0.0.1:12555") == itself);
  CHECK(error_at("127.0.0.1:12555", "0.0.0.0:12555") == itself);
  CHECK(error_at("::ffff:127.0.0.1") == "fine");
  CHECK(error_at("[::1]:53", "[::]:53").starts_with("4:27: upstream.addresses: [::1]:53 is the relay itself"));
  CHECK(error_at("[fe80::1%a]:53", "[fe80::1%a]:53").find("is the relay itself") != std::string::npos);
  CHECK(error_at("[fe80::1%a]:53", "[fe80::1%b]:53") == "fine");
  CHECK(error_at("127.0.0.1:12556") == "fine");
  CHECK(error_at("[::1]:12555", "0.0.0.0:12555") == "fine");
  CHECK(error_at("192.0.2.2:12555", "0.0.0.0:12555") == "fine");  // unless this machine has it: judge_by_host()
  CHECK(error_of("[[upstream]]\nname = \"one\"\ntls_name = \"a.test\"\naddresses = [\"[::1]:12555\"]\n")
            .find("is the relay itself") != std::string::npos);
}

TEST_CASE("source, interface and mark of an upstream") {
  const Config config = parse(kUpstream + "source = \"198.51.100.1\"\ninterface = \"wwan0\"\nmark = 0x10\n");
  const Egress& egress = config.upstreams[0].egress;
  CHECK(egress.source == ip("198.51.100.1"));
  CHECK(egress.interface.name() == "wwan0");
  CHECK(egress.mark == 16);
  CHECK(config.upstreams[0].mark_position.line == 7);
  CHECK(parse(kUpstream).upstreams[0].egress == Egress{});

  CHECK(error_in_upstream("mark = 4294967295") == "fine");
  CHECK(error_in_upstream("mark = 4294967296").starts_with("5:8: upstream.mark: 4294967296 is out of range"));
  CHECK(error_in_upstream("mark = 0").starts_with("5:8: upstream.mark: 0 is out of range"));
  CHECK(error_in_upstream("interface = \"\"").starts_with("5:13: upstream.interface: \"\" is no name of an interface"));
  CHECK(error_in_upstream("interface = \"sixteen-octets-x\"").find("is no name") != std::string::npos);
  CHECK(error_in_upstream("source = \"0.0.0.0\"").starts_with("5:10: upstream.source: \"0.0.0.0\" is no address"));
  CHECK(error_in_upstream("source = \"192.0.2.1:53\"").find("is not an IP address") != std::string::npos);
}

TEST_CASE("what the keys of an upstream ask of each other") {
  CHECK(error_in_upstream("source = \"2001:db8::1\"")
            .starts_with("3:14: upstream.addresses: 192.0.2.1:853 cannot be reached from the source 2001:db8::1"));
  const auto at = [](const std::string& address, const std::string& line) {
    return error_of("[[upstream]]\nname = \"one\"\ntls_name = \"a.test\"\naddresses = [\"" + address + "\"]\n" + line);
  };
  CHECK(at("fe80::1", "").starts_with("4:14: upstream.addresses: [fe80::1]:853 is link-local and lacks its interface"));
  CHECK(at("fe80::1", "interface = \"eth0\"") == "fine");
  CHECK(at("fe80::1%eth0", "interface = \"eth0\"") == "fine");
  CHECK(at("fe80::1%eth0", "interface = \"eth1\"").find("is on another interface than eth1") != std::string::npos);
  CHECK(at("2001:db8::1", "source = \"fe80::2\"").starts_with("5:10: upstream.source: a link-local address needs"));
  CHECK(at("2001:db8::1", "source = \"fe80::2\"\ninterface = \"eth0\"") == "fine");
}

TEST_CASE("one upstream is enough; the rest are defaults") {
  const Config config = parse(kUpstream);
  CHECK(texts(config.listen.addresses) == std::vector<std::string>{"127.0.0.1:12555", "[::1]:12555"});
  CHECK(config.listen.addresses_are_default);
  CHECK(config.listen.workers == 0);
  CHECK_FALSE(config.listen.share_port);
  CHECK(config.relay.deadline == 4s);
  CHECK(config.limits.tcp_clients == 10'000);
  CHECK(config.limits.tcp_idle == 30s);
  CHECK(config.limits.memory == 0);
  CHECK(config.cache.size == 4 << 20);
  CHECK(config.cache.max_ttl == 24h);
  CHECK(config.cache.stale == 1h);
  CHECK(config.log_level == LogLevel::info);
  REQUIRE(config.upstreams.size() == 1);
  const UpstreamConfig& upstream = config.upstreams[0];
  CHECK(upstream.name == "one");
  CHECK(texts(upstream.addresses) == std::vector<std::string>{"192.0.2.1:853"});
  CHECK(upstream.tls_name == "dns.example");
  CHECK(upstream.ca_file.empty());
  CHECK(upstream.pins.empty());
  CHECK_FALSE(upstream.refused_is_final);
}

TEST_CASE("the default allow list is loopback, private and local, and nothing else") {
  const AllowList allow = parse(kUpstream).listen.allow;
  CHECK(allow.own_addresses);
  CHECK(allow.link_networks);
  for (const std::string_view inside :
       {"127.0.0.1", "127.255.255.255", "::1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
        "169.254.1.1", "fc00::1", "fdff::1", "fe80::1"}) {
    CAPTURE(inside);
    CHECK(allow.contains(ip(inside)));
  }
  for (const std::string_view outside :
       {"126.255.255.255", "128.0.0.1", "::2", "::", "0.0.0.0", "11.0.0.1", "172.32.0.1", "192.169.0.1", "100.128.0.1",
        "1.1.1.1", "2001:db8::1", "fec0::1", "255.255.255.255"}) {
    CAPTURE(outside);
    CHECK_FALSE(allow.contains(ip(outside)));
  }
}

TEST_CASE("the words of allow") {
  const auto allow = [](const std::string& list) {
    return parse("[listen]\nallow = " + list + "\n" + std::string(kUpstream)).listen.allow;
  };
  CHECK(allow(R"(["loopback"])").own_addresses);
  CHECK_FALSE(allow(R"(["loopback"])").link_networks);
  CHECK_FALSE(allow(R"(["private", "192.0.2.0/24"])").own_addresses);
  CHECK(allow(R"(["local"])").link_networks);
  CHECK(allow(R"(["local"])").ranges.empty());
  CHECK_FALSE(allow(R"(["local"])").own_addresses);
}

TEST_CASE("every key is read") {
  const Config config = parse(R"(
[listen]
addresses = ["0.0.0.0:53", "[2001:db8::1]:5353"]
allow = ["192.0.2.0/24", "loopback"]
workers = 256
share_port = true

[[upstream]]
name = "first"
addresses = ["192.0.2.1", "127.0.0.1:8853", "2001:db8::53", "[::1]:8853"]
tls_name = "DNS.Example."
ca_file = "/etc/ssl/own.pem"
pins = ["sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="]
refused_is_final = true

[[upstream]]
name = "second"
addresses = ["192.0.2.2"]
tls_name = "192.0.2.2"

[relay]
deadline = "1500ms"

[limits]
tcp_clients = 1
tcp_idle = "1h"

[log]
level = "debug"
)");
  CHECK(texts(config.listen.addresses) == std::vector<std::string>{"0.0.0.0:53", "[2001:db8::1]:5353"});
  CHECK_FALSE(config.listen.addresses_are_default);
  CHECK(config.listen.allow.contains(ip("192.0.2.255")));
  CHECK(config.listen.allow.contains(ip("::1")));
  CHECK_FALSE(config.listen.allow.contains(ip("10.0.0.1")));  // the default list is replaced, not extended
  CHECK(config.listen.workers == 256);
  CHECK(config.listen.share_port);
  REQUIRE(config.upstreams.size() == 2);
  CHECK(config.upstreams[0].name == "first");
  CHECK(texts(config.upstreams[0].addresses) ==
        std::vector<std::string>{"192.0.2.1:853", "127.0.0.1:8853", "[2001:db8::53]:853", "[::1]:8853"});
  CHECK(config.upstreams[0].tls_name == "DNS.Example");
  CHECK(config.upstreams[0].ca_file == "/etc/ssl/own.pem");
  CHECK(config.upstreams[0].ca_file_position.line == 12);
  CHECK(config.upstreams[0].ca_file_position.column == 11);
  REQUIRE(config.upstreams[0].pins.size() == 1);
  CHECK(config.upstreams[0].pins[0][0] == 0xe3);  // the SHA-256 of nothing: e3b0c442 ... 7852b855
  CHECK(config.upstreams[0].pins[0][31] == 0x55);
  CHECK(config.upstreams[0].refused_is_final);
  CHECK(config.upstreams[1].name == "second");
  CHECK_FALSE(config.upstreams[1].refused_is_final);
  CHECK(config.upstreams[1].tls_name == "192.0.2.2");
  CHECK(config.relay.deadline == 1500ms);
  CHECK(config.limits.tcp_clients == 1);
  CHECK(config.limits.tcp_idle == 1h);
  CHECK(config.log_level == LogLevel::debug);
}

TEST_CASE("the same in other spellings of TOML") {
  CHECK(parse("listen.workers = 3\n" + kUpstream).listen.workers == 3);
  CHECK(parse("listen = { workers = 3 }\n" + kUpstream).listen.workers == 3);
  CHECK(parse("[listen]\nworkers = 0x10\n" + kUpstream).listen.workers == 16);
  CHECK(parse("upstream = [{ name = 'x', addresses = ['192.0.2.1'], tls_name = 'y' }]\n").upstreams.size() == 1);
  CHECK(parse("\xef\xbb\xbf# a byte order mark\r\n[log]\r\nlevel = \"error\"\r\n" + kUpstream).log_level ==
        LogLevel::error);
  CHECK(parse("# Grüße aus Köln\n" + kUpstream + "ca_file = \"/etc/Ämter.pem\"\n").upstreams[0].ca_file ==
        "/etc/Ämter.pem");
}

TEST_CASE("no upstream") {
  CHECK(error_of("") == " no upstream: at least one [[upstream]] table with name, addresses and tls_name is needed");
  CHECK(error_of("[log]\nlevel = \"info\"\n").starts_with(" no upstream"));
  CHECK(error_of("upstream = []\n") == "1:12: upstream must be written as [[upstream]] tables");
}

TEST_CASE("an upstream that lacks a key") {
  CHECK(error_of("\n[[upstream]]\nname = \"a\"\n") ==
        "2:1: [[upstream]] needs the key \"addresses\": 1 to 16 IP addresses, each with or without a port");
  CHECK(error_of("[[upstream]]\naddresses = [\"192.0.2.1\"]\ntls_name = \"a\"\n")
            .starts_with("1:1: [[upstream]] needs the key \"name\""));
  CHECK(error_of("[[upstream]]\nname = \"a\"\naddresses = [\"192.0.2.1\"]\n")
            .starts_with("1:1: [[upstream]] needs the key \"tls_name\""));
}

TEST_CASE("unknown keys and tables, with the nearest known one") {
  CHECK(error_in("[listen]\n  adresses = [\"127.0.0.1:53\"]") ==
        "2:3: unknown key \"adresses\" in [listen]; did you mean \"addresses\"?");
  CHECK(error_in_upstream("tlsname = \"a\"") ==
        "5:1: unknown key \"tlsname\" in [[upstream]]; did you mean \"tls_name\"?");
  CHECK(error_in("\n[listne]") == "2:2: unknown table \"listne\"; did you mean \"listen\"?");
  CHECK(error_in("[[upstreams]]") == "1:3: unknown table \"upstreams\"; did you mean \"upstream\"?");
  CHECK(error_in("[status]\nlisten = 1") ==
        "1:2: unknown table \"status\"; there is: listen upstream local_upstream zone relay cache limits log");
  CHECK(error_in("workers = 1") ==
        "1:1: unknown key \"workers\"; there is: listen upstream local_upstream zone relay cache limits log");
  CHECK(error_in("[log]\nformat = \"json\"") == "2:1: unknown key \"format\" in [log]; there is: level");
  CHECK(error_in("[relay]\npolicy = \"x\"").starts_with("2:1: unknown key \"policy\" in [relay]"));
}

TEST_CASE("a table written as something else") {
  CHECK(error_in("listen = 3") == "1:10: listen must be written as a [listen] table");
  CHECK(error_in("[[listen]]") == "1:1: listen must be written as a [listen] table");
  CHECK(error_of("[upstream]\nname = \"a\"\n") == "1:1: upstream must be written as [[upstream]] tables");
  CHECK(error_of("upstream = [1]\n") == "1:12: upstream must be written as [[upstream]] tables");
  CHECK(error_in_upstream("[upstream.more]").find("unknown key \"more\" in [[upstream]]") != std::string::npos);
}

TEST_CASE("wrong types") {
  CHECK(error_in("[listen]\nworkers = \"2\"") == "2:11: listen.workers must be an integer; allowed: 0 to 256");
  CHECK(error_in("[listen]\nworkers = 2.0") == "2:11: listen.workers must be an integer; allowed: 0 to 256");
  CHECK(error_in("[listen]\nshare_port = 1").starts_with("2:14: listen.share_port must be true or false"));
  CHECK(error_in("[listen]\naddresses = \"127.0.0.1:53\"")
            .starts_with("2:13: listen.addresses must be a list of strings"));
  CHECK(error_in("[listen]\naddresses = [\n  \"127.0.0.1:53\",\n  53]")
            .starts_with("4:3: listen.addresses must be a list of strings"));
  CHECK(error_in("[relay]\ndeadline = 4").starts_with("2:12: relay.deadline must be a string; allowed: a duration"));
  CHECK(error_in("[relay]\ndeadline = 1979-05-27").starts_with("2:12: relay.deadline must be a string"));
  CHECK(error_in("[log]\nlevel = true").starts_with("2:9: log.level must be a string"));
  CHECK(error_in("[log.level]").find("log.level must be a string") != std::string::npos);
  CHECK(error_of("[[upstream]]\nname = 1\n").starts_with("2:8: upstream.name must be a string"));
}

TEST_CASE("numbers out of range") {
  CHECK(error_in("[listen]\nworkers = 257") == "2:11: listen.workers: 257 is out of range; allowed: 0 to 256");
  CHECK(error_in("[listen]\nworkers = -1") == "2:11: listen.workers: -1 is out of range; allowed: 0 to 256");
  CHECK(error_in("[listen]\nworkers = 4294967296").starts_with("2:11: listen.workers: 4294967296 is out of range"));
  CHECK(error_in("[listen]\nworkers = 99999999999999999999").starts_with("2:"));
  CHECK(
      error_in("[limits]\ntcp_clients = 0").starts_with("2:15: limits.tcp_clients: 0 is out of range; allowed: 1 to"));
  CHECK(error_in("[limits]\ntcp_clients = 1000001").starts_with("2:15: limits.tcp_clients: 1000001 is out of range"));
}

TEST_CASE("[cache]: none, a size, and how long an answer lives") {
  CHECK(parse("[cache]\nsize = \"0\"\n" + kUpstream).cache.size == 0);
  CHECK(parse("[cache]\nsize = \"64KiB\"\n" + kUpstream).cache.size == 64 << 10);
  CHECK(parse("[cache]\nmax_ttl = \"7d\"\nstale = \"0s\"\n" + kUpstream).cache.stale == Duration{});
  CHECK(parse("[cache]\nmax_ttl = \"7d\"\n" + kUpstream).cache.max_ttl == 168h);
  CHECK(error_in("[cache]\nsize = \"63KiB\"") ==
        "2:8: cache.size: \"63KiB\" is out of range; allowed: \"0\" for no cache, or a size from 64KiB to 1GiB");
  CHECK(error_in("[cache]\nsize = \"off\"").starts_with("2:8: cache.size: \"off\" is not a size"));
  CHECK(error_in("[cache]\nstale = \"61m\"") ==
        "2:9: cache.stale: \"61m\" is out of range; allowed: a duration from 0s to 1h");
  CHECK(error_in("[cache]\nmax_ttl = \"0s\"") ==
        "2:11: cache.max_ttl: \"0s\" is out of range; allowed: a duration from 1s to 7d");
}

TEST_CASE("durations") {
  const auto deadline = [](const std::string& text) { return "[relay]\ndeadline = \"" + text + "\"\n" + kUpstream; };
  CHECK(parse(deadline("100ms")).relay.deadline == 100ms);
  CHECK(parse(deadline("60s")).relay.deadline == 60s);
  CHECK(parse(deadline("1m")).relay.deadline == 60s);
  CHECK(parse("[limits]\nmemory = \"8MiB\"\n" + kUpstream).limits.memory == 8 << 20);
  CHECK(parse("[limits]\nmemory = \"64GiB\"\n" + kUpstream).limits.memory == std::uint64_t{64} << 30);
  CHECK(parse("[limits]\nmemory = \"auto\"\n" + kUpstream).limits.memory == 0);
  CHECK(error_in("[limits]\nmemory = \"512KiB\"")
            .starts_with("2:10: limits.memory: \"512KiB\" is out of range; allowed"));
  CHECK(error_in("[limits]\nmemory = \"8MB\"").starts_with("2:10: limits.memory: \"8MB\" is not a size"));
  CHECK(error_in("[limits]\nmemory = 8").starts_with("2:10: limits.memory"));
  CHECK(parse("[limits]\ntcp_idle = \"1h\"\n" + kUpstream).limits.tcp_idle == 3600s);
  for (const std::string text : {"99ms", "0s", "61s", "60001ms", "2m", "1h", "4294967295h"}) {
    CAPTURE(text);
    CHECK(error_of(deadline(text)) ==
          "2:12: relay.deadline: \"" + text + "\" is out of range; allowed: a duration from 100ms to 60s");
  }
  // So many hours that 64 bits of nanoseconds would come round to 0.1 s, 1 s or 50 s.
  for (const std::string text : {"5124096h", "15372287h", "4000000000h"}) {
    CAPTURE(text);
    CHECK(error_of(deadline(text)).find("is out of range") != std::string::npos);
  }
  for (const std::string text :
       {"", "4", "s", "4 s", " 4s", "4s ", "-4s", "+4s", "4S", "4sec", "1.5s", "4294967296s", "1m30s", "0x4s"}) {
    CAPTURE(text);
    CHECK(error_of(deadline(text)).starts_with("2:12: relay.deadline: \"" + text + "\" is not a duration"));
  }
}

TEST_CASE("addresses") {
  CHECK(
      error_in("[listen]\naddresses = [\"127.0.0.1\"]") ==
      "2:14: listen.addresses: \"127.0.0.1\" is not an IP address with a port (\"127.0.0.1:12555\", \"[::1]:12555\"); "
      "allowed: 1 to 64 IP addresses, each with a port");
  CHECK(error_in("[listen]\naddresses = [\"127.0.0.1:53\", \"localhost:53\"]")
            .starts_with("2:30: listen.addresses: \"localhost:53\" is not"));
  CHECK(error_in("[listen]\naddresses = []").starts_with("2:13: listen.addresses: 0 entries; allowed: 1 to 64"));
  CHECK(error_in("[listen]\naddresses = [\"[::1]:53\", \"[0::1]:53\"]")
            .starts_with("2:26: listen.addresses: \"[0::1]:53\" is listed twice"));
  CHECK(error_of("[[upstream]]\naddresses = [\"one.one.one.one\"]\n")
            .starts_with("2:14: upstream.addresses: \"one.one.one.one\" is not an IP address with an optional port"));
  CHECK(error_of("[[upstream]]\naddresses = []\n").starts_with("2:13: upstream.addresses: 0 entries"));
  CHECK(error_of("[[upstream]]\naddresses = [\"1.1.1.1\", \"1.1.1.1:853\"]\n").find("is listed twice") !=
        std::string::npos);

  std::string many;
  for (int i = 0; i <= 16; ++i) many += "\"192.0.2." + std::to_string(i) + "\", ";
  CHECK(error_of("[[upstream]]\naddresses = [" + many + "]\n")
            .starts_with("2:13: upstream.addresses: 17 entries; allowed: 1 to 16"));
}

TEST_CASE("allow lists") {
  CHECK(error_in("[listen]\nallow = [\"everyone\"]")
            .starts_with("2:10: listen.allow: \"everyone\" is not an address range"));
  CHECK(error_in("[listen]\nallow = [\"10.0.0.1/8\"]")
            .starts_with("2:10: listen.allow: \"10.0.0.1/8\" has bits set behind its prefix length"));
  CHECK(error_in("[listen]\nallow = []").starts_with("2:9: listen.allow: 0 entries"));
  CHECK(parse("[listen]\nallow = [\"0.0.0.0/0\", \"::/0\"]\n" + kUpstream).listen.allow.contains(ip("203.0.113.7")));
}

TEST_CASE("upstream names") {
  CHECK(error_of(kUpstream + kUpstream) == "6:8: upstream.name: another upstream is called \"one\" already");
  CHECK(error_of("[[upstream]]\nname = \"\"\n")
            .starts_with("2:8: upstream.name: \"\" is not such a name; allowed: 1 to 64 printable"));
  CHECK(error_of("[[upstream]]\nname = \"a b\"\n").starts_with("2:8: upstream.name"));
  CHECK(error_of("[[upstream]]\nname = \"" + std::string(65, 'x') + "\"\n").starts_with("2:8: upstream.name"));
  CHECK(error_of("[[upstream]]\nname = \"Zürich\"\n").starts_with("2:8: upstream.name"));
}

TEST_CASE("more upstreams than there may be") {
  std::string text;
  for (int i = 0; i < 17; ++i) {
    text +=
        "[[upstream]]\nname = \"u" + std::to_string(i) + "\"\naddresses = [\"192.0.2.1\"]\ntls_name = \"a.example\"\n";
  }
  CHECK(error_of(text) == "65:1: more than 16 [[upstream]] tables");
  CHECK(parse(text.substr(0, text.rfind("[["))).upstreams.size() == 16);
}

TEST_CASE("names that no certificate can carry") {
  const auto with = [](const std::string& name) {
    return "[[upstream]]\nname = \"a\"\naddresses = [\"192.0.2.1\"]\ntls_name = \"" + name + "\"\n";
  };
  for (const std::string name : {"", ".", "..", "a..b", ".a", "a..", "a b", "*.example", "[::1]", "1.2.3.256", "1.2.3",
                                 "dns.example:853", "https://dns.example", "dns.exämple"}) {
    CAPTURE(name);
    CHECK(error_of(with(name)) ==
          "4:12: upstream.tls_name: \"" + name +
              "\" is neither a host name nor an IP address; allowed: a host name or an IP address");
  }
  CHECK(error_of(with(std::string(254, 'a'))).starts_with("4:12: upstream.tls_name"));
  CHECK(parse(with("dns_1.ex-ample.")).upstreams[0].tls_name == "dns_1.ex-ample");
  CHECK(parse(with("1dot1.example")).upstreams[0].tls_name == "1dot1.example");
  CHECK(parse(with("2001:DB8:0::1")).upstreams[0].tls_name == "2001:db8::1");
}

TEST_CASE("files and pins") {
  CHECK(error_in_upstream("ca_file = \"\"") ==
        "5:11: upstream.ca_file: the path is empty; allowed: the path of a PEM file");
  CHECK(error_in_upstream("ca_file = \"/a\\u0000b\"").starts_with("5:11: upstream.ca_file: the path has a NUL in it"));
  const std::string hash = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
  CHECK(error_in_upstream("pins = [\"sha256/" + hash + "\"]") == "fine");
  CHECK(error_in_upstream("pins = []").starts_with("5:8: upstream.pins: 0 entries"));
  for (const std::string& pin :
       {std::string("sha256/"), hash, "sha1/" + hash, "SHA256/" + hash, "sha256/" + hash.substr(0, 43),
        "sha256/" + hash + "=", "sha256/" + hash.substr(0, 42) + "V=",  // bits left over
        "sha256/" + hash.substr(0, 42) + "==", "sha256/-" + hash.substr(1), "sha256/ " + hash.substr(1)}) {
    CAPTURE(pin);
    CHECK(
        error_in_upstream("pins = [\"" + pin + "\"]").starts_with("5:9: upstream.pins: \"" + pin + "\" is not a pin"));
  }
}

TEST_CASE("log levels") {
  CHECK(error_in("[log]\nlevel = \"verbose\"") ==
        "2:9: log.level: \"verbose\" is not a log level; allowed: \"debug\", \"info\", \"warning\" or \"error\"");
  CHECK(error_in("[log]\nlevel = \"INFO\"").starts_with("2:9: log.level"));
}

TEST_CASE("what is no TOML") {
  CHECK(error_in("[listen").starts_with("1:8: "));
  CHECK(error_in("[listen]\nworkers = ").starts_with("2:11: "));
  CHECK(error_in("[listen]\nworkers = 1\nworkers = 2").starts_with("3:11: "));
  CHECK(error_in("[listen]\n[listen]").starts_with("2:1: "));
  CHECK(error_in("[=]").starts_with("1:2: "));  // where toml++ 3.3 has an assertion of its own
  CHECK(error_in("[[,]]").starts_with("1:3: "));
  CHECK(error_in("[]").starts_with("1:2: "));
  CHECK(error_of("a = \"b").starts_with("1:"));
  CHECK(error_of("a = [1,\n2,").starts_with("2:"));
  CHECK(error_of(std::string("a\0b = 1", 7)).starts_with("1:2: "));
  CHECK(error_of("a = \"\xc3\x28\"").starts_with("1:5: "));
}

TEST_CASE("octets beyond ASCII outside of strings and comments are errors like others, with their place") {
  CHECK(error_in("[listen]\nwörkers = 1").starts_with("2:2: "));
  CHECK(error_in("[log]\nlevel = “info”").starts_with("2:9: "));
  CHECK(error_in("ünknown = 1").starts_with("1:1: "));
  CHECK(error_in("[ü]").starts_with("1:2: "));
  CHECK(error_of("\xff\xfe").starts_with("1:1: "));
  CHECK(error_of("a = 0'.'[\xcb\x85").starts_with("1:"));
}

TEST_CASE("keys of very many parts end in an error, not in a crash") {
  std::string key = "a";
  for (int i = 0; i < 300'000; ++i) key += ".a";
  CHECK(error_of(key + " = 1\n") == "1:1: more than 10000 dots in one line");
  CHECK(error_of("[" + key + "]\n") == "1:1: more than 10000 dots in one line");
}

TEST_CASE("an error is one line of bounded length, whatever the file says") {
  CHECK(error_in("[log]\nlevel = \"a\\nb\\u001b[2J\"")
            .starts_with("2:9: log.level: \"a\\x0ab\\x1b[2J\" is not a log level"));
  CHECK(error_in("\"a\\nb\" = 1").starts_with("1:1: unknown key \"a\\x0ab\""));
  CHECK(error_in("[log]\nlevel = \"" + std::string(100'000, 'x') + "\"").size() < 1100);
  CHECK(error_in(std::string(100'000, 'x') + " = 1").size() < 1100);
}

TEST_CASE("the printed defaults are a file that parses to the defaults") {
  const std::string defaults = defaults_as_toml();
  const Config printed = parse(defaults + kUpstream);
  const Config built_in = parse(kUpstream);
  CHECK(printed.listen.addresses == built_in.listen.addresses);
  CHECK(printed.listen.allow.ranges == built_in.listen.allow.ranges);
  CHECK(printed.listen.workers == built_in.listen.workers);
  CHECK(printed.listen.share_port == built_in.listen.share_port);
  CHECK(printed.relay.deadline == built_in.relay.deadline);
  CHECK(printed.limits.tcp_clients == built_in.limits.tcp_clients);
  CHECK(printed.limits.tcp_idle == built_in.limits.tcp_idle);
  CHECK(printed.log_level == built_in.log_level);
  CHECK(error_of(defaults).starts_with(" no upstream"));
}

TEST_CASE("position_prefix leaves out a position that there is not") {
  CHECK(position_prefix("a.toml", {3, 7}) == "a.toml:3:7: ");
  CHECK(position_prefix("a.toml", {}) == "a.toml: ");
}

}  // namespace
}  // namespace dotrelay
