// The start of a supervisor, as far as it comes before there is one.
#include "supervisor/run_supervisor.hpp"

#include "supervisor/listen_sockets.hpp"
#include "supervisor/supervisor_process.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

using Fixture = test::SupervisorProcess;

TEST_CASE_FIXTURE(Fixture, "a configuration that cannot be read or used is an error with the place") {
  SUBCASE("missing") {
    run();
    CHECK(logs(config_file() + ": cannot read the configuration: "));
  }
  SUBCASE("wrong") {
    test::write_file(config_file(), "[listen]\nworkers = 300\n");
    run();
    CHECK(logs(config_file() + ":2:11: "));
  }
  SUBCASE("the address is taken") {
    configure("");
    ListenSockets others;
    const auto leases = others.lease(test::listen_on({address()}), 1);
    REQUIRE(others.join(*leases));
    run();
    CHECK(logs("dotrelay: cannot listen on " + address().to_text()));
  }
  CHECK(exit_status() == 1);
  CHECK(diary() == "");
}

TEST_CASE_FIXTURE(Fixture, "without an address to bind it waits, and reloads meanwhile") {
  const std::string good = [this] {
    configure("# workers: as=old ready");
    return test::content_of(config_file());
  }();
  std::string later = good;
  later.replace(later.find(address().to_text()), address().to_text().size(), "[fe80::1%none-such]:53");
  test::write_file(config_file(), later);
  run();
  CHECK(logs("there is no interface none-such; it is served once there is"));
  test::write_file(config_file(), "[listen]\nworkers = 300\n");
  send(SIGHUP);
  CHECK(logs("error   supervisor: reload refused, nothing changed: " + config_file() + ":2:11: "));
  SUBCASE("until one comes") {
    test::write_file(config_file(), good);
    send(SIGHUP);
    CHECK(logs("ready: 2 workers"));
    CHECK(stop() == 0);
  }
  SUBCASE("until it is stopped") {
    CHECK(stop() == 0);
    CHECK(diary() == "");
  }
}

}  // namespace
}  // namespace dotrelay
