// Control groups in a folder that looks like the kernel's.
#include "process/cgroup.hpp"

#include <cstdlib>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>

namespace dotrelay {
namespace {

using Values = std::vector<std::string>;

class Groups {
 public:
  Groups() {
    char name[] = "/tmp/cgroup-test-XXXXXX";
    folder_ = mkdtemp(name);
  }
  ~Groups() { std::filesystem::remove_all(folder_); }

  void write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((folder_ / path).parent_path());
    std::ofstream(folder_ / path) << text;
  }
  Values values(std::string_view controller, std::string_view file) {
    return cgroup_values(controller, file, {.own = folder_ / "own", .mount = folder_ / "fs"});
  }

 private:
  std::filesystem::path folder_;
};

TEST_CASE("version 2: the limit of a service's own group and of those above it") {
  Groups groups;
  groups.write("own", "0::/system.slice/dotrelay.service\n");
  groups.write("fs/system.slice/dotrelay.service/cpu.max", "50000 100000\n");
  groups.write("fs/system.slice/cpu.max", "max 100000\n");
  CHECK(groups.values("cpu", "cpu.max") == Values{"50000 100000", "max 100000"});
}

TEST_CASE("version 2: a container sees its group as the root") {
  Groups groups;
  groups.write("own", "0::/\n");
  groups.write("fs/memory.max", "134217728\n");
  CHECK(groups.values("memory", "memory.max") == Values{"134217728"});
}

TEST_CASE("a path that only the host sees: the root counts") {
  Groups groups;
  groups.write("own", "0::/kubepods/pod1/container\n");
  groups.write("fs/memory.max", "1\n");
  CHECK(groups.values("memory", "memory.max") == Values{"1"});
}

TEST_CASE("version 1: the controller's own tree, also when it is mounted with another") {
  Groups groups;
  groups.write("own", "11:memory:/pod\n4:cpuacct,cpu:/pod\n1:name=systemd:/\nno line\n");
  groups.write("fs/memory/pod/memory.limit_in_bytes", "9223372036854771712\n");
  groups.write("fs/memory/memory.limit_in_bytes", "5\n");
  groups.write("fs/cpu/pod/cpu.cfs_quota_us", "-1\n");
  CHECK(groups.values("memory", "memory.limit_in_bytes") == Values{"9223372036854771712", "5"});
  CHECK(groups.values("cpu", "cpu.cfs_quota_us") == Values{"-1"});
  CHECK(groups.values("pids", "pids.max").empty());
}

TEST_CASE("no control groups at all") {
  Groups groups;
  CHECK(groups.values("cpu", "cpu.max").empty());
}

}  // namespace
}  // namespace dotrelay
