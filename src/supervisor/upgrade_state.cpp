// See upgrade_state.hpp.
#include "supervisor/upgrade_state.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace dotrelay {
namespace {

constexpr std::string_view kTitle = "dotrelay-handover ";
constexpr std::string_view kProgram = "program";

/// The words of one line. Reading past the end, or a word that is no number, sets failed() for good.
class Words {
 public:
  explicit Words(std::string_view line) : rest_(line) {}

  std::string_view word() {
    if (rest_.empty()) failed_ = true;
    const std::string_view word = rest_.substr(0, rest_.find(' '));
    rest_.remove_prefix(std::min(rest_.size(), word.size() + 1));
    return word;
  }

  std::string_view rest() { return std::exchange(rest_, {}); }

  template <class Number>
  Number number(Number least) {
    const std::string_view text = word();
    Number value{};
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc{} || end != text.data() + text.size() || value < least) failed_ = true;
    return value;
  }

  [[nodiscard]] bool failed() const { return failed_ || !rest_.empty(); }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

Generation::RunningWorker read_worker(Words& words) {
  Generation::RunningWorker worker;
  worker.number = words.number<std::uint32_t>(1);
  worker.pid = words.number<pid_t>(2);  // 1 is init, or this process
  worker.control = words.number(0);
  return worker;
}

bool read_listener(Words& words, UpgradeState& state) {
  const Result<Endpoint> address = parse_endpoint(words.word(), 0);
  if (!address) return false;
  UpgradeState::Listener listener;
  listener.address = *address;
  listener.worker = words.number<std::uint32_t>(1);
  listener.udp = words.number(0);
  listener.tcp = words.number(0);
  if (listener.worker > kMaxWorkers) return false;
  state.listeners.push_back(listener);
  return true;
}

/// False when the line is damaged.
bool read_line(std::string_view line, UpgradeState& state) {
  Words words(line);
  const std::string_view what = words.word();
  if (what == kProgram) {
    state.program = words.rest();
    return !state.program.empty();
  }
  if (what == "config") {
    state.config = words.number(0);
  } else if (what == "listener") {
    if (!read_listener(words, state)) return false;
  } else if (what == "mailbox") {
    UpgradeState::WorkerMailbox mailbox;
    mailbox.worker = words.number<std::uint32_t>(1);
    mailbox.reading = words.number(0);
    mailbox.writing = words.number(0);
    if (mailbox.worker != state.mailboxes.size() + 1) return false;
    state.mailboxes.push_back(mailbox);
  } else if (what == "generation") {
    state.generations.push_back({.shared = words.number(-1)});
  } else if (what == "cache") {
    if (state.generations.empty()) return false;
    state.generations.back().cache = words.number(0);
  } else if (what == "worker") {
    if (state.generations.empty()) return false;
    state.generations.back().running.push_back(read_worker(words));
  } else if (what == "holds") {
    const Result<Endpoint> address = parse_endpoint(words.word(), 0);
    if (!address || state.generations.empty()) return false;
    state.generations.back().holds.push_back(*address);
  } else if (what == "counter") {
    const std::string_view name = words.word();
    const auto value = words.number<std::uint64_t>(0);
    const auto* const row = std::ranges::find(kMetricRows, name, &MetricRow::name);
    if (row != kMetricRows.end() && row->kind == MetricKind::counter) state.counters.add(*row, value);
  } else {
    return true;
  }
  return !words.failed();
}

}  // namespace

std::string UpgradeState::to_text() const {
  std::string text = std::string(kTitle) + std::to_string(kVersion) + "\n";
  text += std::string(kProgram) + " " + program + "\n";
  text += "config " + std::to_string(config) + "\n";
  for (const Listener& listener : listeners) {
    text += "listener " + listener.address.to_text() + " " + std::to_string(listener.worker) + " " +
            std::to_string(listener.udp) + " " + std::to_string(listener.tcp) + "\n";
  }
  for (const WorkerMailbox& mailbox : mailboxes) {
    text += "mailbox " + std::to_string(mailbox.worker) + " " + std::to_string(mailbox.reading) + " " +
            std::to_string(mailbox.writing) + "\n";
  }
  for (const Workers& generation : generations) {
    text += "generation " + std::to_string(generation.shared) + "\n";
    if (generation.cache >= 0) text += "cache " + std::to_string(generation.cache) + "\n";
    for (const auto& worker : generation.running) {
      text += "worker " + std::to_string(worker.number) + " " + std::to_string(worker.pid) + " " +
              std::to_string(worker.control) + "\n";
    }
    for (const Endpoint& address : generation.holds) text += "holds " + address.to_text() + "\n";
  }
  for (const MetricRow& row : kMetricRows) {
    const std::uint64_t value = counters.get(row);
    if (value > 0) text += "counter " + std::string(row.name) + " " + std::to_string(value) + "\n";
  }
  return text;
}

Result<UpgradeState> UpgradeState::from_text(std::string_view text) {
  UpgradeState state;
  bool first = true;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return Error{"the handover breaks off"};
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (std::exchange(first, false)) {
      if (line != std::string(kTitle) + std::to_string(kVersion)) {
        return Error{"the handover is of a version that this program does not know"};
      }
    } else if (!read_line(line, state)) {
      return Error{"the handover has a damaged line: " + std::string(line)};
    }
  }
  if (state.program.empty() || state.config < 0 || state.listeners.empty() || state.generations.empty()) {
    return Error{"the handover is incomplete"};
  }
  for (const auto& worker : state.generations.front().running) {
    if (std::ranges::find(state.listeners, worker.number, &Listener::worker) == state.listeners.end()) {
      return Error{"the handover has a worker without listeners"};
    }
  }
  return state;
}

std::vector<int> UpgradeState::descriptors() const {
  std::vector<int> all = {config};
  for (const Listener& listener : listeners) all.insert(all.end(), {listener.udp, listener.tcp});
  for (const WorkerMailbox& mailbox : mailboxes) all.insert(all.end(), {mailbox.reading, mailbox.writing});
  for (const Workers& generation : generations) {
    for (const int memory : {generation.shared, generation.cache}) {
      if (memory >= 0) all.push_back(memory);
    }
    for (const auto& worker : generation.running) all.push_back(worker.control);
  }
  return all;
}

}  // namespace dotrelay
