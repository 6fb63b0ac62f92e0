// See worker.hpp.
#include "worker/worker.hpp"

#include "base/heap.hpp"
#include "config/parser.hpp"
#include "listener/client_handover.hpp"
#include "listener/source_filter.hpp"
#include "listener/tcp_clients.hpp"
#include "listener/tcp_listener.hpp"
#include "listener/udp_listener.hpp"
#include "net/clock_watch.hpp"
#include "net/handles.hpp"
#include "net/interfaces.hpp"
#include "net/loop.hpp"
#include "net/route_watch.hpp"
#include "process/control_message.hpp"
#include "process/descriptor_plan.hpp"
#include "process/heartbeat.hpp"
#include "process/memory_plan.hpp"
#include "process/memory_text.hpp"
#include "process/shared_state.hpp"
#include "process/system_limits.hpp"
#include "relay/forwarder.hpp"
#include "tls/tls_library.hpp"
#include "upstream/dot_dialer.hpp"
#include "upstream/sibling_post.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <list>
#include <memory>
#include <optional>
#include <sys/prctl.h>
#include <utility>
#include <vector>

namespace dotrelay {
namespace {

/// After the deadline of the youngest query, what is left at a drain is clients that do not read.
constexpr Duration kDrainSlack = std::chrono::seconds(1);

std::uint32_t memory_chunks(const Config& config, std::uint32_t workers) {
  return budget_chunks(memory_limit(config.limits.memory, memory_for_relay(), workers), workers);
}

std::uint32_t share_of(std::uint32_t limit, std::uint32_t workers) { return (limit + workers - 1) / workers; }

class Worker final : private PollListener {
 public:
  Worker(const Inheritance& inheritance, const Config& config, const Authorities& authorities, SharedState& shared,
         Log& log)
      : config_(config),
        listeners_(inheritance.listeners),
        log_(log),
        slot_(shared.slot(inheritance.worker - 1)),
        dialer_(config, authorities, loop_, slot_.counters, {shared.tickets(), inheritance.worker}),
        memory_(shared.memory(), inheritance.worker - 1, memory_chunks(config, shared.workers())),
        post_(make_post(inheritance)),
        forwarder_({.config = config,
                    .dialer = dialer_,
                    .counters = slot_.counters,
                    .memory = memory_,
                    .log = log,
                    .random = random_,
                    .siblings = post_.get()},
                   shared.health(),
                   post_ ? SharedConnections(shared.connections(), inheritance.worker - 1, shared.workers())
                         : SharedConnections()),
        tcp_clients_(loop_, forwarder_, slot_.counters, memory_,
                     client_limit(config, shared.workers(), inheritance.descriptors().size()), config.limits.tcp_idle),
        sources_(config.listen.allow, shared.slot(0).denied_told_at, slot_.counters, log),
        forwarder_timer_(loop_, [this] { forwarder_.on_timer(loop_.now()); }),
        heartbeat_timer_(loop_, [this] { beat(); }),
        route_watch_(loop_,
                     [this] {
                       forwarder_.on_network_change(loop_.now());
                       read_interfaces();
                     }),
        clock_watch_(loop_, [this] { forwarder_.on_clock_set(loop_.now()); }),
        drain_limit_(loop_, [this] { loop_.stop(); }),
        control_fd_(inheritance.control),
        control_(loop_, inheritance.control, *this) {
    dialer_.report_to(forwarder_);
    if (post_) post_->report_to(forwarder_, forwarder_.lending());
    loop_.on_turn_end([this] { end_turn(); });
    heartbeat_timer_.repeat(kHeartbeatInterval);
    control_.watch(true, false);
    if (!route_watch_.active() && inheritance.worker == 1) {  // once for the relay
      log_.warning("changes of this machine's addresses and routes will not be noticed: no netlink socket: " +
                   std::string(std::strerror(route_watch_.error())));
    }
    if (const int error = read_interfaces(); error != 0 && inheritance.worker == 1) {
      log_.warning("this machine's addresses are not served by \"loopback\" and \"local\" in listen.allow: " +
                   std::string(std::strerror(error)));
    }
  }

  void run() {
    say_ready(control_fd_);  // to nobody, if the supervisor has gone: end of file follows at once
    loop_.run();
  }

 private:
  std::size_t client_limit(const Config& config, std::uint32_t workers, std::size_t inherited) {
    const std::uint32_t wanted = share_of(config.limits.tcp_clients, workers);
    const std::uint64_t descriptors = raise_descriptor_limit();
    const std::uint64_t reserved = worker_descriptors(inherited, config.upstreams.size());
    const std::uint64_t possible = descriptors > reserved ? descriptors - reserved : 1;
    if (possible >= wanted) return wanted;
    log_.warning("serving at most " + std::to_string(possible) + " TCP clients instead of " + std::to_string(wanted) +
                 ": the limit of open files (nofile) is " + std::to_string(descriptors));
    return possible;
  }

  std::unique_ptr<SiblingPost> make_post(const Inheritance& inheritance) {
    if (inheritance.mailbox < 0) return nullptr;
    return std::make_unique<SiblingPost>(loop_, static_cast<std::uint16_t>(inheritance.worker), inheritance.mailbox,
                                         inheritance.mailboxes);
  }

  /// 0, or the errno.
  int read_interfaces() {
    if (!sources_.depends_on_interfaces()) return 0;
    int error = 0;
    if (const auto addresses = interface_addresses(error)) sources_.use(*addresses);
    return error;
  }

  void beat() {
    slot_.heartbeat.fetch_add(1, std::memory_order_relaxed);
    log_.tell_of_losses();
    slot_.counters.add(Counter::log_lines_lost, log_.lost() - std::exchange(lost_lines_, log_.lost()));
    slot_.counters.add(Counter::log_lines_suppressed,
                       log_.suppressed() - std::exchange(suppressed_lines_, log_.suppressed()));
    if (memory_.flood_is_over()) {
      shrink();
      beats_to_shrink_ = kBeatsToShrink;
    } else if (beats_to_shrink_ > 0 && --beats_to_shrink_ == 0) {
      shrink();
    }
    // The clock stands still while the machine is suspended, so the forwarder cannot notice by itself.
    if (const Duration asleep = time_asleep(); asleep - std::exchange(asleep_, asleep) > std::chrono::seconds(1)) {
      forwarder_.on_sleep(loop_.now());
    }
  }

  void shrink() {
    forwarder_.shrink();
    tcp_clients_.shrink();
    for (UdpListener& listener : udp_listeners_) listener.shrink();
    give_back_heap();
  }

  void end_turn() {
    if (draining_ && drained()) return loop_.stop();
    forwarder_timer_.set(forwarder_.next_timeout(loop_.now()));
  }

  void on_poll(bool, bool) noexcept override {
    for (;;) {
      ControlMessage message = receive_control(control_fd_);
      switch (message.kind) {
        case ControlMessage::Kind::nothing_yet:
          return;
        case ControlMessage::Kind::end:
          control_.watch(false, false);
          return leave();
        case ControlMessage::Kind::serve:
          serve();
          break;
        case ControlMessage::Kind::take_clients:
          receivers_.emplace_back(loop_, std::move(message.channel), tcp_clients_, sources_);
          break;
        case ControlMessage::Kind::hand_over:
          hand_over(message);
          break;
        case ControlMessage::Kind::ready:
        case ControlMessage::Kind::unknown:
          break;
      }
    }
  }

  void serve() {
    if (draining_ || !udp_listeners_.empty()) return;
    for (const auto& [udp, tcp] : listeners_) {
      udp_listeners_.emplace_back(loop_, udp, forwarder_, sources_, slot_.counters);
      tcp_listeners_.emplace_back(loop_, tcp, tcp_clients_, sources_, slot_.counters, log_);
    }
  }

  /// The supervisor stops or has gone. Nobody will serve these sockets after this worker, so another relay on the same
  /// port is to get all clients from now on. (One that has handed its sockets over has a successor that needs them.)
  void leave() {
    if (!handed_over_) {
      for (UdpListener& listener : udp_listeners_) listener.leave();
      for (TcpListener& listener : tcp_listeners_) listener.leave();
    }
    finish_clients();
  }

  /// A new generation of workers has begun to serve.
  void hand_over(ControlMessage& message) {
    handed_over_ = true;
    std::size_t number = 0;
    for (UdpListener& listener : udp_listeners_) message.leaves(number++) ? listener.leave() : listener.stop();
    number = 0;
    for (TcpListener& listener : tcp_listeners_) message.leaves(number++) ? listener.leave() : listener.stop();
    if (draining_ || !message.channel) return finish_clients();
    begin_drain();
    handover_.emplace(loop_, std::move(message.channel), tcp_clients_);
    tcp_clients_.hand_over(*handover_);
  }

  /// The listeners have taken their last clients.
  void finish_clients() {
    begin_drain();
    tcp_clients_.drain();  // first: those whom the receivers add must not be passed on any more
    handover_.reset();
    for (ClientReceiver& receiver : receivers_) receiver.receive_all();
  }

  void begin_drain() {
    if (std::exchange(draining_, true)) return;
    drain_limit_.set(Clock::now() + config_.relay.deadline + kDrainSlack);
  }

  /// A predecessor that still drains sends its clients here, to be answered or passed on.
  [[nodiscard]] bool drained() const {
    return forwarder_.idle() && tcp_clients_.empty() && std::ranges::all_of(receivers_, &ClientReceiver::ended) &&
           std::ranges::all_of(udp_listeners_, [](const UdpListener& listener) { return listener.flushed(); });
  }

  const Config& config_;
  const std::vector<std::pair<int, int>> listeners_;
  Log& log_;
  WorkerSlot& slot_;
  Random random_;
  Loop loop_;
  DotDialer dialer_;
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
  bool draining_ = false;
  bool handed_over_ = false;
};

}  // namespace

int run_worker(const Inheritance& inheritance, const std::string& config_file) {
  begin_heap();
  for (const int fd : inheritance.descriptors()) {
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
      std::fputs("dotrelay: --worker is for the supervisor only\n", stderr);
      return 2;
    }
  }
  for (const auto& [udp, tcp] : inheritance.listeners) {
    for (const int fd : {udp, tcp}) fcntl(fd, F_SETFL, O_NONBLOCK);  // as they were opened, whatever a predecessor did
  }
  const std::string name = "dotrelay-" + std::to_string(inheritance.worker);
  prctl(PR_SET_NAME, name.c_str());  // for ps and ss: it was executed as "exe"
  Log early(LogLevel::info, "worker " + std::to_string(inheritance.worker));
  const Result<Config> config = parse_config(text_in_memory(inheritance.config), config_file);
  if (!config) {
    early.error(config.error().message);
    return 1;
  }
  Log log(config->log_level, "worker " + std::to_string(inheritance.worker));
  Result<SharedState> shared = SharedState::map(UniqueFd(inheritance.shared_state));
  if (!shared || inheritance.worker > shared->workers() || shared->tickets().size() != config->address_count()) {
    log.error(shared ? "the shared memory has no place for this worker" : shared.error().message);
    return 1;
  }
  if (!start_tls_library()) {
    log.error("the TLS library cannot start: the system gives no random numbers");
    return 1;
  }
  const Result<Authorities> authorities = Authorities::load(*config, config_file);
  if (!authorities) {
    log.error(authorities.error().message);
    return 1;
  }
  Worker worker(inheritance, *config, *authorities, *shared, log);
  worker.run();
  return 0;
}

}  // namespace dotrelay
