// See file_watch.hpp.
#include "supervisor/file_watch.hpp"

#include <algorithm>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace dotrelay {

std::optional<FileWatch::Stamp> FileWatch::stamp_of(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return std::nullopt;
  const bool readable = faccessat(AT_FDCWD, path.c_str(), R_OK, AT_EACCESS) == 0;
  return Stamp{status.st_dev, status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec, readable};
}

FileWatch::Stamps FileWatch::stamps() const {
  Stamps now;
  for (const std::string& path : paths_) now.push_back(stamp_of(path));
  return now;
}

void FileWatch::set_files(std::vector<std::string> paths) {
  Stamps known;
  for (const std::string& path : paths) {
    const auto before = std::ranges::find(paths_, path);
    known.push_back(before == paths_.end() ? stamp_of(path)
                                           : known_[static_cast<std::size_t>(before - paths_.begin())]);
  }
  if (paths != paths_) changing_.reset();
  paths_ = std::move(paths);
  known_ = std::move(known);
}

bool FileWatch::poll() {
  Stamps now = stamps();
  if (now == known_) {
    changing_.reset();
    return false;
  }
  if (changing_ != now) {
    changing_ = std::move(now);
    return false;
  }
  changing_.reset();
  known_ = std::move(now);
  return true;
}

void FileWatch::accept() {
  known_ = stamps();
  changing_.reset();
}

}  // namespace dotrelay
