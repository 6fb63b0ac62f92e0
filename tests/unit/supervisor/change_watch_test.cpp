// Files that change ask for a reload, also while reloads for other reasons come one after the other.
#include "supervisor/change_watch.hpp"

#include "base/recorded_log.hpp"
#include "supervisor/temporary_folder.hpp"

#include <doctest/doctest.h>

namespace dotrelay {
namespace {

struct Fixture {
  test::TemporaryFolder folder;
  std::string config_file = folder / "relay.toml";
  test::RecordedLog file{LogLevel::debug, "supervisor"};
  ListenSockets sockets;
  Loop loop;
  int wanted = 0;
  ChangeWatch watch{loop, file, sockets, FileWatch(), [this] {
                      ++wanted;
                      loop.stop();
                    }};

  /// Until a reload is wanted; calls `often` all the time.
  template <class Often>
  bool drive(Often often) {
    const TimePoint limit = Clock::now() + std::chrono::seconds(10);
    Timer tick(loop, [&] {
      often();
      if (Clock::now() > limit) loop.stop();
    });
    tick.repeat(ChangeWatch::kFileInterval / 50);
    loop.run();
    return wanted > 0;
  }
};

TEST_CASE_FIXTURE(Fixture, "a changed file asks for a reload, however often other reloads set the files anew") {
  test::write_file(config_file, "one");
  watch.watch_files(config_file);
  watch.begin_polling();
  test::write_file(config_file, "one, two");
  CHECK(drive([&] { watch.watch_files(config_file); }));
  CHECK(wanted == 1);
  CHECK(file.has("info    supervisor: the configuration's files have changed\n"));
}

}  // namespace
}  // namespace dotrelay
