// Notices that files have changed, by asking for their status again and again: that works on every file system, and
// follows the symbolic links that a Kubernetes volume swaps. Opens no file and has no clock: its owner polls.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace dotrelay {

class FileWatch {
 public:
  /// Watches these paths from now on. What is known of a path that was watched before stays known.
  void set_files(std::vector<std::string> paths);

  /// True once for each change, when the poll before saw the same: then the writing is over.
  bool poll();

  /// What is there now is no change.
  void accept();

 private:
  struct Stamp {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t size = 0;
    std::int64_t seconds = 0;
    std::int64_t nanoseconds = 0;
    /// What chmod, chown and the like change. The time of the inode's change (ctime) would tell more, but also each
    /// time that a file's owner is set to what it was, as older kubelets do every minute in the volumes of a Pod with
    /// fsGroup.
    bool readable = false;

    friend bool operator==(const Stamp&, const Stamp&) = default;
  };
  using Stamps = std::vector<std::optional<Stamp>>;  ///< of each path; nothing where no file is

  static std::optional<Stamp> stamp_of(const std::string& path);
  [[nodiscard]] Stamps stamps() const;

  std::vector<std::string> paths_;
  Stamps known_;
  std::optional<Stamps> changing_;
};

}  // namespace dotrelay
