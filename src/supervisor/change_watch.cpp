// See change_watch.hpp.
#include "supervisor/change_watch.hpp"

#include "supervisor/loaded_config.hpp"

#include <utility>

namespace dotrelay {

ChangeWatch::ChangeWatch(Loop& loop, Log& log, const ListenSockets& sockets, FileWatch files,
                         std::function<void()> reload_wanted)
    : log_(log),
      reload_wanted_(std::move(reload_wanted)),
      files_(std::move(files)),
      addresses_(loop, log, [this] { reload_wanted_(); }),
      ports_(loop, log, sockets),
      file_timer_(loop, [this] { poll_files(); }) {}

void ChangeWatch::watch(const GenerationParts& parts) {
  addresses_.watch(parts);
  ports_.watch(parts.config.listen.share_port);
}

void ChangeWatch::watch_files(const std::string& config_file) { files_.set_files(files_of_config(config_file)); }

void ChangeWatch::poll_files() {
  if (!files_.poll()) return;
  log_.info("the configuration's files have changed");
  reload_wanted_();
}

}  // namespace dotrelay
