// A configuration file with what it names, read and judged.
#include "supervisor/loaded_config.hpp"

#include "net/own_network.hpp"
#include "supervisor/temporary_folder.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

struct Fixture {
  test::TemporaryFolder folder;
  std::string file = folder / "relay.toml";

  /// With these lines in its one upstream.
  [[nodiscard]] std::string text(const std::string& lines, const std::string& listen = "127.0.0.1:12555") const {
    return "[listen]\naddresses = [\"" + listen +
           "\"]\n[[upstream]]\nname = \"one\"\naddresses = [\"192.0.2.1\"]\ntls_name = \"a.test\"\n" + lines + "\n";
  }
  [[nodiscard]] std::string error_of(const std::string& written) const {
    test::write_file(file, written);
    const Result<LoadedConfig> loaded = load_config(file);
    return loaded ? "" : loaded.error().message;
  }

  static constexpr const char* kPin = "pins = [\"sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"]";
};

TEST_CASE_FIXTURE(Fixture, "the text, what it means, and what the machine says to it") {
  test::write_file(file, text(kPin, "203.0.113.77:12555"));
  const Result<LoadedConfig> loaded = load_config(file);
  REQUIRE(loaded);
  CHECK(loaded->text == text(kPin, "203.0.113.77:12555"));
  CHECK(loaded->config.upstreams[0].tls_name == "a.test");
  CHECK(loaded->warnings.empty());
  REQUIRE(loaded->verdict.warnings.size() == 1);
  CHECK(loaded->verdict.warnings[0].starts_with(file + ":2:14: listen.addresses: 203.0.113.77:12555 is not"));
}

TEST_CASE_FIXTURE(Fixture, "errors name the file, and the line where there is one") {
  CHECK(load_config(file).error().message.starts_with(file + ": cannot read the configuration: "));
  CHECK(error_of("[listen]\nworkers = 300\n").starts_with(file + ":2:11: "));
  const std::string missing = folder / "none.pem";
  const std::string error = error_of(text("ca_file = \"" + missing + "\""));
  CHECK(error.starts_with(file + ":7:11: "));
  CHECK(error.find(missing) != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "what cannot work on this machine is an error: here the upstream is the relay itself") {
  test::in_own_network([this] {
    std::string own = text(kPin, "0.0.0.0:12555");
    own.replace(own.find("192.0.2.1"), 9, "192.0.2.1:12555");
    test::set_loopback(true);
    CHECK(error_of(own) == "");
    test::add_address();
    CHECK(error_of(own).starts_with(file + ":5:14: upstream.addresses: "));
  });
}

TEST_CASE_FIXTURE(Fixture,
                  "the files of a configuration: itself and its CA files, itself alone when it cannot be read") {
  using Files = std::vector<std::string>;
  CHECK(files_of_config(file) == Files{file});
  test::write_file(file, "[listen]\nworkers = 300\n");
  CHECK(files_of_config(file) == Files{file});
  test::write_file(file, text(kPin));
  CHECK(files_of_config(file) == Files{file});
  test::write_file(file, text("ca_file = \"/none/ca.pem\""));
  CHECK(files_of_config(file) == Files{file, "/none/ca.pem"});
}

}  // namespace
}  // namespace dotrelay
