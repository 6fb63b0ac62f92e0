// See inheritance.hpp.
#include "process/inheritance.hpp"

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

}  // namespace

std::vector<int> Inheritance::descriptors() const {
  std::vector<int> all = {control, shared_state, config};
  for (const auto& [udp, tcp] : listeners) all.insert(all.end(), {udp, tcp});
  return all;
}

std::pair<std::string, std::string> Inheritance::to_arguments() const {
  std::string list(kDescriptors);
  for (const int fd : descriptors()) {
    if (list.back() != '=') list += ',';
    list += std::to_string(fd);
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

  std::vector<int> all;
  for (;;) {
    const std::optional<int> fd = take_number(descriptors);
    if (!fd) return std::nullopt;
    all.push_back(*fd);
    if (descriptors.empty()) break;
    if (descriptors.front() != ',') return std::nullopt;
    descriptors.remove_prefix(1);
  }
  if (all.size() < kFixed || (all.size() - kFixed) % 2 != 0) return std::nullopt;
  result.control = all[0];
  result.shared_state = all[1];
  result.config = all[2];
  for (std::size_t i = kFixed; i < all.size(); i += 2) result.listeners.emplace_back(all[i], all[i + 1]);
  return result;
}

}  // namespace dotrelay
