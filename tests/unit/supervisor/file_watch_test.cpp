// Changes of files, poll by poll: once for each change, and not before it is stable.
#include "supervisor/file_watch.hpp"

#include "supervisor/temporary_folder.hpp"

#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace dotrelay {
namespace {

namespace fs = std::filesystem;
using test::TemporaryFolder;

TEST_CASE("a rewritten file is a change once, when it is stable") {
  const TemporaryFolder folder;
  test::write_file(folder / "a", "one");
  FileWatch watch;
  watch.set_files({folder / "a"});
  CHECK_FALSE(watch.poll());
  test::write_file(folder / "a", "one, t");
  CHECK_FALSE(watch.poll());
  test::write_file(folder / "a", "one, two");
  CHECK_FALSE(watch.poll());
  CHECK(watch.poll());
  CHECK_FALSE(watch.poll());
}

TEST_CASE("a change that is taken back is none") {
  const TemporaryFolder folder;
  test::write_file(folder / "a", "one");
  FileWatch watch;
  watch.set_files({folder / "a"});
  fs::rename(folder / "a", folder / "b");
  CHECK_FALSE(watch.poll());
  fs::rename(folder / "b", folder / "a");
  CHECK_FALSE(watch.poll());
  CHECK_FALSE(watch.poll());
}

TEST_CASE("another file of the same size and time renamed over it is a change") {
  const TemporaryFolder folder;
  test::write_file(folder / "a", "one");
  test::write_file(folder / "b", "two");
  fs::last_write_time(folder / "b", fs::last_write_time(folder / "a"));
  FileWatch watch;
  watch.set_files({folder / "a"});
  fs::rename(folder / "b", folder / "a");
  CHECK_FALSE(watch.poll());
  CHECK(watch.poll());
}

/// Calls `body` as a user who may not read everything.
template <class Body>
void as_nobody(const Body& body) {
  constexpr uid_t kNobody = 65534;
  const uid_t user = geteuid();
  if (user != 0) return body();
  REQUIRE(seteuid(kNobody) == 0);
  body();
  REQUIRE(seteuid(user) == 0);
}

TEST_CASE("a file that becomes readable is a change, one whose mode is set to what it was is not") {
  const TemporaryFolder folder;
  test::write_file(folder / "a", "one");
  fs::permissions(folder / ".", fs::perms::all);
  fs::permissions(folder / "a", fs::perms::none);
  FileWatch watch;
  as_nobody([&] {
    watch.set_files({folder / "a"});
    CHECK_FALSE(watch.poll());
  });
  fs::permissions(folder / "a", fs::perms::all);
  as_nobody([&] {
    CHECK_FALSE(watch.poll());
    CHECK(watch.poll());
  });
  fs::permissions(folder / "a", fs::perms::all);  // which changes the time of the inode's change
  as_nobody([&] {
    CHECK_FALSE(watch.poll());
    CHECK_FALSE(watch.poll());
  });
}

TEST_CASE("a symbolic link on the way that is swapped is a change") {
  const TemporaryFolder folder;
  for (const char* version : {"one", "two"}) {
    fs::create_directory(folder / version);
    test::write_file(folder / version / "file", "same");
  }
  fs::create_directory_symlink("one", folder / "..data");
  fs::create_symlink("..data/file", folder / "file");
  FileWatch watch;
  watch.set_files({folder / "file"});
  CHECK_FALSE(watch.poll());
  fs::create_directory_symlink("two", folder / "..data_tmp");
  fs::rename(folder / "..data_tmp", folder / "..data");
  CHECK_FALSE(watch.poll());
  CHECK(watch.poll());
}

TEST_CASE("a file that goes or comes is a change") {
  const TemporaryFolder folder;
  FileWatch watch;
  watch.set_files({folder / "a"});
  CHECK_FALSE(watch.poll());
  test::write_file(folder / "a", "");
  CHECK_FALSE(watch.poll());
  CHECK(watch.poll());
  fs::remove(folder / "a");
  CHECK_FALSE(watch.poll());
  CHECK(watch.poll());
}

TEST_CASE("what is accepted is no change; what is known of a path survives another list") {
  const TemporaryFolder folder;
  test::write_file(folder / "a", "one");
  FileWatch watch;
  watch.set_files({folder / "a"});
  test::write_file(folder / "a", "one, two");
  watch.accept();
  CHECK_FALSE(watch.poll());
  CHECK_FALSE(watch.poll());

  test::write_file(folder / "a", "three");
  test::write_file(folder / "b", "new");
  watch.set_files({folder / "b", folder / "a"});
  CHECK_FALSE(watch.poll());
  CHECK(watch.poll());
}

}  // namespace
}  // namespace dotrelay
