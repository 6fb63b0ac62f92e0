// A worker process: one thread, one loop, its own sockets. This is where the object graph of the relay is built.
#pragma once

#include "base/log.hpp"
#include "base/random.hpp"
#include "config/config.hpp"
#include "listener/client_handover.hpp"
#include "listener/source_filter.hpp"
#include "listener/tcp_clients.hpp"
#include "listener/tcp_listener.hpp"
#include "listener/udp_listener.hpp"
#include "net/clock_watch.hpp"
#include "net/handles.hpp"
#include "net/loop.hpp"
#include "net/route_watch.hpp"
#include "process/control_message.hpp"
#include "process/heartbeat.hpp"
#include "process/inheritance.hpp"
#include "process/shared_cache.hpp"
#include "process/shared_state.hpp"
#include "relay/forwarder.hpp"
#include "upstream/authorities.hpp"
#include "upstream/sibling_post.hpp"
#include "upstream/upstream_dialer.hpp"

#include <list>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace dotrelay {

class Worker final : private PollListener {
 public:
  /// The references outlive the worker.
  Worker(const Inheritance& inheritance, const Config& config, const Authorities& authorities, SharedState& shared,
         Log& log);

  /// Serves until the supervisor has it end, or has gone.
  void run();

 private:
  /// Of its sockets. Once closed they are not opened again.
  enum class Listening : std::uint8_t { not_yet, serving, closed };

  /// What becomes of its clients; a later kind never turns into an earlier one.
  ///
  /// | what has happened            | listening sockets                      | clients       |
  /// |------------------------------|----------------------------------------|---------------|
  /// | hand_over, with an heir      | leave the port or stop, as the message | are passed on |
  /// |                              | says of each                           |               |
  /// | hand_over, without one       | the same                               | are answered  |
  /// | dismissed, or the supervisor | leave the port, unless they have been  | are answered  |
  /// | has gone                     | handed over                            |               |
  enum class Ending : std::uint8_t { none, passes_on, answers };

  void on_poll(bool readable, bool writable) noexcept override;
  std::size_t client_limit(const Config& config, std::uint32_t workers, std::size_t inherited);
  std::unique_ptr<SiblingPost> make_post(const Inheritance& inheritance);
  int read_interfaces();
  void beat();
  void shrink();
  void end_turn();
  void serve();
  template <class Leaves>
  void close_listeners(Leaves leaves);
  void hand_over(ControlMessage& message);
  void begin_ending(Ending ending);
  void finish_clients();
  [[nodiscard]] bool drained() const;

  const Config& config_;
  const std::vector<std::pair<int, int>> listeners_;
  Log& log_;
  WorkerSlot& slot_;
  Random random_;
  Loop loop_;
  UpstreamDialer dialer_;
  std::optional<SharedCache> shared_cache_;
  std::optional<AnswerCache> cache_;
  MemoryBudget memory_;
  std::unique_ptr<SiblingPost> post_;  ///< none for a single worker
  Forwarder forwarder_;
  TcpClients tcp_clients_;
  SourceFilter sources_;
  std::list<UdpListener> udp_listeners_;
  std::list<TcpListener> tcp_listeners_;
  Timer forwarder_timer_;
  Timer heartbeat_timer_;
  RouteWatch route_watch_;
  ClockWatch clock_watch_;
  Duration asleep_ = time_asleep();
  // Upstream connections that a flood has used up close a little later. Then their memory also goes back.
  static constexpr int kBeatsToShrink = std::chrono::seconds(3) / kHeartbeatInterval;
  int beats_to_shrink_ = 0;
  std::uint64_t lost_lines_ = 0;  // of the log, as far as they are counted
  std::uint64_t suppressed_lines_ = 0;
  Timer drain_limit_;
  int control_fd_;
  Poller control_;
  std::list<ClientReceiver> receivers_;
  std::optional<ClientHandover> handover_;
  Listening listening_ = Listening::not_yet;
  Ending ending_ = Ending::none;
};

}  // namespace dotrelay
