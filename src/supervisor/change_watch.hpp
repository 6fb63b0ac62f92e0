// What a supervisor notices of its surroundings: files of the configuration that change and listen addresses that come
// want a reload; sockets of other programs on its ports are told.
#pragma once

#include "base/log.hpp"
#include "net/handles.hpp"
#include "supervisor/address_watch.hpp"
#include "supervisor/file_watch.hpp"
#include "supervisor/generation.hpp"
#include "supervisor/port_watch.hpp"

#include <functional>
#include <string>

namespace dotrelay {

class ChangeWatch {
 public:
  static constexpr Duration kFileInterval = std::chrono::seconds(1);

  /// `reload_wanted` is called each time that something wants one. The references outlive the object.
  ChangeWatch(Loop& loop, Log& log, const ListenSockets& sockets, FileWatch files, std::function<void()> reload_wanted);

  /// The generation that serves from now on.
  void watch(const GenerationParts& parts);

  /// Looks again and again whether files have changed.
  void begin_polling() { file_timer_.repeat(kFileInterval); }
  /// The files of this configuration count from now on.
  void watch_files(const std::string& config_file);
  /// What is there now is no change.
  void accept_files() { files_.accept(); }

 private:
  void poll_files();

  Log& log_;
  std::function<void()> reload_wanted_;
  FileWatch files_;
  AddressWatch addresses_;
  PortWatch ports_;
  Timer file_timer_;
};

}  // namespace dotrelay
