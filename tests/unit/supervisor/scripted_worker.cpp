// See scripted_worker.hpp.
#include "supervisor/scripted_worker.hpp"

#include "base/read_file.hpp"
#include "process/control_message.hpp"
#include "process/inheritance.hpp"
#include "process/memory_text.hpp"
#include "process/shared_state.hpp"
#include "supervisor/upgrade.hpp"

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <sstream>
#include <string_view>
#include <sys/prctl.h>
#include <unistd.h>

namespace dotrelay::test {
namespace {

constexpr int kBeatMilliseconds = 20;
constexpr int kUsage = 2;
constexpr unsigned kLifeSeconds = 120;

/// The words of the last line that begins so; nothing when there is none.
std::optional<std::string> words_after(const std::string& text, const std::string& beginning) {
  std::optional<std::string> words;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(beginning)) words = line.substr(beginning.size());
  }
  return words;
}

[[noreturn]] void hang() {
  for (;;) pause();
}

/// A test that fails leaves nothing behind: this process ends with its parent, or later by itself.
void limit_life() {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  alarm(kLifeSeconds);
}

/// Of "exit=3".
int status_in(const std::string& word) { return std::atoi(word.c_str() + word.find('=') + 1); }

void note(const std::string& config_file, const std::string& text) {
  const std::string line = text + "\n";
  const UniqueFd diary(open(diary_of(config_file).c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600));
  if (write(diary.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size())) std::abort();
}

class ScriptedWorker {
 public:
  ScriptedWorker(Inheritance inheritance, std::string config_file)
      : inheritance_(std::move(inheritance)), config_file_(std::move(config_file)) {}

  int play() {
    const std::string text = text_in_memory(inheritance_.config);
    const std::string number = std::to_string(inheritance_.worker);
    std::istringstream words(
        words_after(text, "# worker " + number + ":").value_or(words_after(text, "# workers:").value_or("ready")));
    bool started = false;
    for (std::string word; words >> word;) {
      if (word.starts_with("as=")) name_ = word.substr(3) + " ";
      if (!std::exchange(started, true)) note_start();
      if (word == "wait") close(open(gate_of(config_file_).c_str(), O_RDONLY));
      if (word == "ready") say_ready(inheritance_.control);
      if (word == "stay") stays_ = true;
      if (word == "hang") hang();
      if (word.starts_with("exit=")) return status_in(word);
    }
    return obey();
  }

 private:
  void note(const std::string& what) const {
    test::note(config_file_, name_ + std::to_string(inheritance_.worker) + " " + what);
  }

  void note_start() const {
    note("start " + std::to_string(getpid()) + " " + std::to_string(inheritance_.listeners.size()) + " " +
         std::to_string(inheritance_.mailboxes.size()));
  }

  int obey() {
    Result<SharedState> shared = SharedState::map(UniqueFd(inheritance_.shared_state));
    if (!shared) return 1;
    pollfd control{inheritance_.control, POLLIN, 0};
    for (;;) {
      shared->slot(inheritance_.worker - 1).heartbeat.fetch_add(1);
      if (poll(&control, 1, kBeatMilliseconds) <= 0) continue;
      if (!take(receive_control(inheritance_.control))) return 0;
    }
  }

  /// False when the message ends the worker.
  bool take(const ControlMessage& message) {
    if (message.kind == ControlMessage::Kind::serve) note("serve");
    if (message.kind == ControlMessage::Kind::take_clients) note("take_clients");
    if (message.kind == ControlMessage::Kind::hand_over) {
      std::string left;
      for (const bool leaves : message.left) left += leaves ? 'l' : 's';
      note("hand_over " + left);
      return stays_;
    }
    if (message.kind != ControlMessage::Kind::end) return true;
    note("end");
    if (stays_) hang();  // the end would be read again and again
    return false;
  }

  const Inheritance inheritance_;
  const std::string config_file_;
  std::string name_;
  bool stays_ = false;
};

}  // namespace

int play_worker(std::span<char* const> arguments) {
  limit_life();
  if (arguments.size() != 4) return kUsage;
  const std::optional<Inheritance> inheritance = Inheritance::from_arguments(arguments[0], arguments[1]);
  return inheritance ? ScriptedWorker(*inheritance, arguments[3]).play() : kUsage;
}

int play_check(std::span<char* const> arguments) {
  limit_life();
  if (arguments.size() != 6) return kUsage;
  const auto value = [&](std::size_t index) {
    return std::string(arguments[index]).substr(std::string(arguments[index]).find('=') + 1);
  };
  const Result<std::string> text = read_file(arguments[5], 1 << 20);
  if (!text) return 1;
  note(arguments[5], "check start " + std::to_string(getpid()));
  std::istringstream words(words_after(*text, "# check:").value_or("answer"));
  for (std::string word; words >> word;) {
    std::string answer;
    if (word == "answer") answer = takeover_answer(value(3));
    if (word == "wrong") answer = takeover_answer("another token");
    if (word == "wait") close(open(gate_of(arguments[5]).c_str(), O_RDONLY));
    if (word == "hang") hang();
    if (word.starts_with("exit=")) return status_in(word);
    if (write(std::stoi(value(2)), answer.data(), answer.size()) != static_cast<ssize_t>(answer.size())) return 1;
  }
  return 0;
}

}  // namespace dotrelay::test
