// A way to an upstream through a sibling, which sends the queries on a connection of its own: for the forwarder a
// connection like any other, ready from the beginning. It ends when the sibling says so or dies.
#pragma once

#include "relay/connection.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace dotrelay {

class SiblingPost;

class SiblingConnection final : public Connection {
 public:
  /// `post` outlives the connection. `link` is its name there; the others are as in Siblings::connect().
  SiblingConnection(SiblingPost& post, std::uint32_t link, std::uint16_t lender, std::uint16_t address,
                    ConnectionHandle handle)
      : post_(post), link_(link), lender_(lender), address_(address), handle_(handle) {}
  SiblingConnection(const SiblingConnection&) = delete;
  SiblingConnection& operator=(const SiblingConnection&) = delete;
  /// The sibling hears of it.
  ~SiblingConnection() override;

  [[nodiscard]] State state() const override { return state_; }
  /// False also when the sibling does not read what has been sent before.
  bool send(Bytes message) override;
  std::optional<Bytes> next_message() override { return std::exchange(arrived_, std::nullopt); }
  [[nodiscard]] const CloseReason& close_reason() const override { return close_reason_; }
  [[nodiscard]] PathState path(TimePoint, Duration) override { return {}; }
  [[nodiscard]] Duration handshake_silence(TimePoint) override { return {}; }
  [[nodiscard]] bool route_has_changed() const override { return false; }
  [[nodiscard]] std::string description() const override { return "through worker " + std::to_string(lender_); }

  [[nodiscard]] std::uint16_t lender() const { return lender_; }
  [[nodiscard]] ConnectionHandle handle() const { return handle_; }

  /// A message from the sibling; valid until the forwarder has been told.
  void take(Bytes message) { arrived_ = message; }
  /// CloseKind::unreachable: the sibling has sent nothing upstream.
  void end(CloseKind kind, std::string text);

 private:
  SiblingPost& post_;
  const std::uint32_t link_;
  const std::uint16_t lender_;
  const std::uint16_t address_;
  const ConnectionHandle handle_;
  State state_ = State::ready;
  std::optional<Bytes> arrived_;
  CloseReason close_reason_;
};

}  // namespace dotrelay
