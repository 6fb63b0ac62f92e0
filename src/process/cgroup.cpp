// See cgroup.hpp.
#include "process/cgroup.hpp"

#include <algorithm>
#include <fstream>

namespace dotrelay {
namespace {

/// Whether a list such as "cpu,cpuacct" has the controller.
bool lists(std::string_view controllers, std::string_view controller) {
  for (;;) {
    const std::size_t comma = controllers.find(',');
    if (controllers.substr(0, comma) == controller) return true;
    if (comma == std::string_view::npos) return false;
    controllers.remove_prefix(comma + 1);
  }
}

void add_first_line(std::vector<std::string>& values, const std::string& path) {
  std::ifstream file(path);
  if (std::string line; std::getline(file, line) && !line.empty()) values.push_back(std::move(line));
}

}  // namespace

// A line is "number:controllers:path", of version 2 "0::path" (cgroups(7)). The path may be one that only the host
// sees; then none of its folders is there but the root.
std::vector<std::string> cgroup_values(std::string_view controller, std::string_view file, const CgroupFiles& files) {
  std::vector<std::string> values;
  std::ifstream own(files.own);
  for (std::string line; std::getline(own, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string_view controllers = std::string_view(line).substr(first + 1, second - first - 1);
    if (!controllers.empty() && !lists(controllers, controller)) continue;
    const std::string root = controllers.empty() ? files.mount : files.mount + "/" + std::string(controller);
    for (std::string path = line.substr(second + 1);; path.erase(path.rfind('/'))) {
      if (path == "/") path.clear();
      add_first_line(values, root + path + "/" + std::string(file));
      if (path.find('/') == std::string::npos) break;
    }
  }
  return values;
}

}  // namespace dotrelay
