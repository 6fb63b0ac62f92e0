// An upstream that costs next to nothing, so that what a benchmark of the forwarder measures is the forwarder: no octet
// of a query is copied, and answers are made in advance. It relies on the queries being those of samples(), in turn.
#pragma once

#include "measuring.hpp"
#include "relay/connection.hpp"
#include "samples.hpp"

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace dotrelay::bench {

class InstantUpstream final : public Dialer {
 public:
  InstantUpstream() {
    for (const Sample& sample : samples()) answers_.push_back(sample.answer);
  }

  std::uint32_t way_to(std::size_t, std::size_t) override { return 1; }

  std::unique_ptr<Connection> dial(std::size_t upstream, std::size_t address, ConnectionHandle handle,
                                   std::uint16_t) override {
    check(!handle_ && upstream == 0 && address == 0, "the first upstream is dialled, and no other");
    handle_ = handle;
    return std::make_unique<Line>(*this);
  }

  [[nodiscard]] ConnectionHandle handle() const { return handle_; }
  [[nodiscard]] std::size_t sent() const { return sent_; }

  /// Has answers to the next `count` queries, which the forwarder reads when it is told of activity.
  void answer(std::size_t count) { due_ += count; }

 private:
  static constexpr std::size_t kPlaces = 256;

  class Line final : public Connection {
   public:
    explicit Line(InstantUpstream& owner) : owner_(owner) {}

    [[nodiscard]] State state() const override { return State::ready; }

    bool send(Bytes message) override {
      owner_.ids_[owner_.sent_++ % kPlaces] = load_u16(message.data());
      return true;
    }

    std::optional<Bytes> next_message() override {
      if (owner_.answered_ == owner_.due_) return std::nullopt;
      const std::size_t place = owner_.answered_++ % kPlaces;
      Octets& answer = owner_.answers_[place];
      store_u16(answer.data(), owner_.ids_[place]);
      return answer;
    }

    [[nodiscard]] const CloseReason& close_reason() const override { return reason_; }
    [[nodiscard]] PathState path(TimePoint, Duration) override { return {}; }
    [[nodiscard]] Duration handshake_silence(TimePoint) override { return {}; }
    [[nodiscard]] bool route_has_changed() const override { return false; }
    [[nodiscard]] std::string description() const override { return "instant"; }

   private:
    InstantUpstream& owner_;
    CloseReason reason_;
  };

  ConnectionHandle handle_;
  std::array<std::uint16_t, kPlaces> ids_{};  ///< of the messages that were sent, in turn
  std::vector<Octets> answers_;               ///< to the samples, in turn
  std::size_t sent_ = 0;
  std::size_t answered_ = 0;
  std::size_t due_ = 0;
};

}  // namespace dotrelay::bench
