// What an operator reads of a generation.
#include "supervisor/generation_log.hpp"

#include "base/recorded_log.hpp"
#include "supervisor/free_address.hpp"
#include "supervisor/temporary_folder.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

using test::count_in;

TEST_CASE("the beginning names the addresses, and each upstream with how it is reached and authenticated") {
  test::RecordedLog file{LogLevel::debug, "supervisor"};
  ListenSockets sockets;
  GenerationParts parts;
  const Endpoint address = test::free_address();
  parts.sockets = std::move(*sockets.lease(test::listen_on({address}), 2));
  UpstreamConfig upstream;
  upstream.name = "one";
  upstream.tls_name = "a.test";
  upstream.addresses = {*parse_endpoint("192.0.2.1", 853), *parse_endpoint("192.0.2.2:8853", 853)};
  parts.config.upstreams.push_back(upstream);
  upstream.pins.emplace_back();
  parts.config.upstreams.push_back(upstream);
  upstream.ca_file = "/etc/ca.pem";
  upstream.egress = {.source = *parse_ip_address("192.0.2.9"), .interface = *Scope::parse("wwan0"), .mark = 16};
  parts.config.upstreams.push_back(upstream);
  log_beginning(file, parts);
  CHECK(file.has("info    supervisor: listening on " + address.to_text() + " (UDP and TCP)\n"));
  const std::string rest = ": one, TLS name a.test, at 192.0.2.1:853 192.0.2.2:8853";
  CHECK(file.has("upstream 1" + rest + "\n"));
  CHECK(file.has("upstream 2" + rest + ", by pin\n"));
  CHECK(file.has("upstream 3" + rest + ", from 192.0.2.9, by wwan0, with mark 16, by CA and pin\n"));
}

TEST_CASE("totals are a line, and a line for each counter at the level that is asked for") {
  test::RecordedLog file{LogLevel::info, "supervisor"};
  Totals totals;
  totals.add(Counter::answers, 12);
  totals.add(Counter::failed, 3);
  log_totals(file, totals, "stopped", LogLevel::debug);
  CHECK(count_in(file.text(), "\n") == 1);
  CHECK(file.has("supervisor: stopped: 12 answers to clients, 3 of them failures; 0 queries to upstreams over 0"));
  log_totals(file, totals, "so far", LogLevel::info);
  CHECK(count_in(file.text(), "\n") == 2 + kMetricRows.size());
  CHECK(file.has("supervisor: answers 12\n"));
}

TEST_CASE("a refused reload is an error that says why") {
  test::RecordedLog file{LogLevel::debug, "supervisor"};
  log_refused_reload(file, "no file");
  CHECK(file.has("error   supervisor: reload refused, nothing changed: no file\n"));
}

}  // namespace
}  // namespace dotrelay
