// See inheritance.hpp.
#include "process/inheritance.hpp"

#include <algorithm>
#include <charconv>

namespace dotrelay {
namespace {

constexpr std::string_view kWorker = "--worker=";
constexpr std::string_view kDescriptors = "--descriptors=";
constexpr char kCacheMark = '+';
constexpr char kMailboxesMark = '/';
constexpr std::size_t kFixed = 3;  // control, shared state, configuration

std::optional<int> take_number(std::string_view& text) {
  int number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc{} || number < 0) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

/// Numbers with commas between them, to the end of the text.
bool take_list(std::string_view text, std::vector<int>& numbers) {
  for (;;) {
    const std::optional<int> number = take_number(text);
    if (!number) return false;
    numbers.push_back(*number);
    if (text.empty()) return true;
    if (text.front() != ',') return false;
    text.remove_prefix(1);
  }
}

std::string to_list(const std::vector<int>& numbers) {
  std::string text;
  for (const int number : numbers) text.append(text.empty() ? "" : ",").append(std::to_string(number));
  return text;
}

/// Cuts off what stands behind the mark, and the mark. Nothing when it is not there.
std::optional<std::string_view> take_behind(std::string_view& text, char mark) {
  const std::size_t place = text.find(mark);
  if (place == std::string_view::npos) return std::nullopt;
  const std::string_view behind = text.substr(place + 1);
  text = text.substr(0, place);
  return behind;
}

}  // namespace

std::vector<int> Inheritance::descriptors() const {
  std::vector<int> all = fixed_and_listeners();
  if (cache >= 0) all.push_back(cache);
  if (mailbox < 0) return all;
  all.push_back(mailbox);
  all.insert(all.end(), mailboxes.begin(), mailboxes.end());
  return all;
}

std::vector<int> Inheritance::fixed_and_listeners() const {
  std::vector<int> all = {control, shared_state, config};
  for (const auto& [udp, tcp] : listeners) all.insert(all.end(), {udp, tcp});
  return all;
}

std::pair<std::string, std::string> Inheritance::to_arguments() const {
  std::string text = std::string(kDescriptors) + to_list(fixed_and_listeners());
  if (cache >= 0) text += kCacheMark + std::to_string(cache);
  if (mailbox >= 0) {
    std::vector<int> all = {mailbox};
    all.insert(all.end(), mailboxes.begin(), mailboxes.end());
    text += kMailboxesMark + to_list(all);
  }
  return {std::string(kWorker) + std::to_string(worker), text};
}

std::optional<Inheritance> Inheritance::from_arguments(std::string_view worker, std::string_view descriptors) {
  if (!worker.starts_with(kWorker) || !descriptors.starts_with(kDescriptors)) return std::nullopt;
  worker.remove_prefix(kWorker.size());
  descriptors.remove_prefix(kDescriptors.size());
  Inheritance result;
  const std::optional<int> number = take_number(worker);
  if (!number || *number == 0 || !worker.empty()) return std::nullopt;
  result.worker = static_cast<unsigned>(*number);

  if (const auto list = take_behind(descriptors, kMailboxesMark)) {
    std::vector<int> mailboxes;
    if (!take_list(*list, mailboxes) || mailboxes.size() < 3) return std::nullopt;
    result.mailbox = mailboxes.front();
    result.mailboxes.assign(mailboxes.begin() + 1, mailboxes.end());
  }
  if (auto text = take_behind(descriptors, kCacheMark)) {
    const std::optional<int> cache = take_number(*text);
    if (!cache || !text->empty()) return std::nullopt;
    result.cache = *cache;
  }
  std::vector<int> all;
  if (!take_list(descriptors, all)) return std::nullopt;
  if (all.size() < kFixed || (all.size() - kFixed) % 2 != 0) return std::nullopt;
  result.control = all[0];
  result.shared_state = all[1];
  result.config = all[2];
  for (std::size_t i = kFixed; i < all.size(); i += 2) result.listeners.emplace_back(all[i], all[i + 1]);
  return result;
}

}  // namespace dotrelay
