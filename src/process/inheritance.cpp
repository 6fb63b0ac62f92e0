// See inheritance.hpp.
#include "process/inheritance.hpp"

#include <algorithm>
#include <charconv>

namespace dotrelay {
namespace {

constexpr std::string_view kWorker = "--worker=";
constexpr std::string_view kDescriptors = "--descriptors=";
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

}  // namespace

std::vector<int> Inheritance::descriptors() const {
  std::vector<int> all = fixed_and_listeners();
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
  std::string list(kDescriptors);
  const std::size_t mailboxes_from = fixed_and_listeners().size();
  std::size_t number = 0;
  for (const int fd : descriptors()) {
    if (number > 0) list += number == mailboxes_from ? '/' : ',';
    list += std::to_string(fd);
    ++number;
  }
  return {std::string(kWorker) + std::to_string(worker), list};
}

std::optional<Inheritance> Inheritance::from_arguments(std::string_view worker, std::string_view descriptors) {
  if (!worker.starts_with(kWorker) || !descriptors.starts_with(kDescriptors)) return std::nullopt;
  worker.remove_prefix(kWorker.size());
  descriptors.remove_prefix(kDescriptors.size());
  Inheritance result;
  const std::optional<int> number = take_number(worker);
  if (!number || *number == 0 || !worker.empty()) return std::nullopt;
  result.worker = static_cast<unsigned>(*number);

  const auto slash = std::min(descriptors.find('/'), descriptors.size());
  std::vector<int> all;
  if (!take_list(descriptors.substr(0, slash), all)) return std::nullopt;
  std::vector<int> mailboxes;
  if (slash < descriptors.size()) {
    if (!take_list(descriptors.substr(slash + 1), mailboxes) || mailboxes.size() < 3) return std::nullopt;
    result.mailbox = mailboxes.front();
    result.mailboxes.assign(mailboxes.begin() + 1, mailboxes.end());
  }
  if (all.size() < kFixed || (all.size() - kFixed) % 2 != 0) return std::nullopt;
  result.control = all[0];
  result.shared_state = all[1];
  result.config = all[2];
  for (std::size_t i = kFixed; i < all.size(); i += 2) result.listeners.emplace_back(all[i], all[i + 1]);
  return result;
}

}  // namespace dotrelay
