// See worker.hpp.
#include "worker/worker.hpp"

#include "base/heap.hpp"
#include "cache/freshness.hpp"
#include "net/interfaces.hpp"
#include "process/descriptor_plan.hpp"
#include "process/memory_plan.hpp"
#include "process/system_limits.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <unistd.h>

namespace dotrelay {
namespace {

/// After the deadline of the youngest query, what is left at a drain is clients that do not read.
constexpr Duration kDrainSlack = std::chrono::seconds(1);

std::uint32_t memory_chunks(const Config& config, const std::optional<SharedCache>& cache, std::uint32_t workers) {
  return budget_chunks(memory_limit(config.limits.memory, memory_for_relay(), workers), cache ? cache->size() : 0,
                       workers);
}

std::optional<SharedCache> map_cache(const Inheritance& inheritance, Log& log) {
  if (inheritance.cache < 0) return std::nullopt;
  Result<SharedCache> cache = SharedCache::map(UniqueFd(inheritance.cache));
  if (cache) return std::optional<SharedCache>(std::move(*cache));
  log.warning("no answer is kept: " + cache.error().message);
  return std::nullopt;
}

/// The number of the process, which no other has that writes to the cache, also none of another generation.
std::optional<AnswerCache> open_cache(const std::optional<SharedCache>& shared, const CacheConfig& config) {
  if (!shared) return std::nullopt;
  const auto stale = std::chrono::duration_cast<std::chrono::seconds>(config.stale).count();
  return std::optional<AnswerCache>(std::in_place, shared->view(), static_cast<std::uint32_t>(getpid()),
                                    std::max(static_cast<std::uint32_t>(stale), kFailureMemorySeconds));
}

std::uint32_t share_of(std::uint32_t limit, std::uint32_t workers) { return (limit + workers - 1) / workers; }

}  // namespace

Worker::Worker(const Inheritance& inheritance, const Config& config, const Authorities& authorities,
               SharedState& shared, Log& log)
    : config_(config),
      listeners_(inheritance.listeners),
      log_(log),
      slot_(shared.slot(inheritance.worker - 1)),
      dialer_(config, authorities, loop_, slot_.counters, {shared.tickets(), inheritance.worker}),
      shared_cache_(map_cache(inheritance, log)),
      cache_(open_cache(shared_cache_, config.cache)),
      memory_(shared.memory(), inheritance.worker - 1, memory_chunks(config, shared_cache_, shared.workers())),
      post_(make_post(inheritance)),
      forwarder_({.config = config,
                  .dialer = dialer_,
                  .counters = slot_.counters,
                  .memory = memory_,
                  .log = log,
                  .random = random_,
                  .siblings = post_.get(),
                  .cache = cache_ ? &*cache_ : nullptr},
                 shared.health(),
                 post_ ? SharedConnections(shared.connections(), inheritance.worker - 1, shared.workers())
                       : SharedConnections()),
      tcp_clients_(loop_, forwarder_, slot_.counters, memory_,
                   {client_limit(config, shared.workers(), inheritance.descriptors().size()), config.limits.tcp_idle}),
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

void Worker::run() {
  say_ready(control_fd_);  // end of file follows at once if the supervisor has gone
  loop_.run();
}

std::size_t Worker::client_limit(const Config& config, std::uint32_t workers, std::size_t inherited) {
  const std::uint32_t wanted = share_of(config.limits.tcp_clients, workers);
  const std::uint64_t descriptors = raise_descriptor_limit();
  const std::uint64_t reserved = worker_descriptors(inherited, config.upstreams.size());
  const std::uint64_t possible = descriptors > reserved ? descriptors - reserved : 1;
  if (possible >= wanted) return wanted;
  log_.warning("serving at most " + std::to_string(possible) + " TCP clients instead of " + std::to_string(wanted) +
               ": the limit of open files (nofile) is " + std::to_string(descriptors));
  return possible;
}

std::unique_ptr<SiblingPost> Worker::make_post(const Inheritance& inheritance) {
  if (inheritance.mailbox < 0) return nullptr;
  return std::make_unique<SiblingPost>(loop_, static_cast<std::uint16_t>(inheritance.worker), inheritance.mailbox,
                                       inheritance.mailboxes);
}

/// 0, or the errno.
int Worker::read_interfaces() {
  if (!sources_.depends_on_interfaces()) return 0;
  int error = 0;
  if (const auto addresses = interface_addresses(error)) sources_.use(*addresses);
  return error;
}

void Worker::beat() {
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

void Worker::shrink() {
  forwarder_.shrink();
  tcp_clients_.shrink();
  for (UdpListener& listener : udp_listeners_) listener.shrink();
  give_back_heap();
}

void Worker::end_turn() {
  if (ending_ != Ending::none && drained()) return loop_.stop();
  forwarder_timer_.set(forwarder_.next_timeout(loop_.now()));
}

void Worker::on_poll(bool, bool) noexcept {
  for (;;) {
    ControlMessage message = receive_control(control_fd_);
    switch (message.kind) {
      case ControlMessage::Kind::nothing_yet:
        return;
      case ControlMessage::Kind::end:
        control_.watch(false, false);
        // No successor has these sockets: another relay on the same port is to get all clients from now on.
        close_listeners([](std::size_t) { return true; });
        return finish_clients();
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

void Worker::serve() {
  if (ending_ != Ending::none || listening_ != Listening::not_yet) return;
  listening_ = Listening::serving;
  for (const auto& [udp, tcp] : listeners_) {
    udp_listeners_.emplace_back(loop_, udp, forwarder_, sources_, slot_.counters);
    tcp_listeners_.emplace_back(loop_, tcp, tcp_clients_, sources_, TcpListener::Reports{slot_.counters, log_});
  }
}

/// `leaves`: whether the sockets of an address leave their port; others have a successor that reads them.
template <class Leaves>
void Worker::close_listeners(Leaves leaves) {
  if (std::exchange(listening_, Listening::closed) == Listening::closed) return;
  std::size_t number = 0;
  for (UdpListener& listener : udp_listeners_) leaves(number++) ? listener.leave_port() : listener.stop();
  number = 0;
  for (TcpListener& listener : tcp_listeners_) leaves(number++) ? listener.leave_port() : listener.stop();
}

/// A new generation of workers has begun to serve.
void Worker::hand_over(ControlMessage& message) {
  close_listeners([&](std::size_t number) { return message.leaves(number); });
  if (ending_ != Ending::none || !message.channel) return finish_clients();
  begin_ending(Ending::passes_on);
  handover_.emplace(loop_, std::move(message.channel), tcp_clients_);
  tcp_clients_.hand_over(*handover_);
}

/// The clients are answered here, those too that are about to be passed on.
void Worker::finish_clients() {
  begin_ending(Ending::answers);
  tcp_clients_.drain();  // first: those that the receivers add must not be passed on any more
  handover_.reset();
  for (ClientReceiver& receiver : receivers_) receiver.receive_all();
}

void Worker::begin_ending(Ending ending) {
  if (std::exchange(ending_, ending) != Ending::none) return;
  drain_limit_.set(Clock::now() + config_.relay.deadline + kDrainSlack);
}

/// A predecessor that still drains sends its clients here, to be answered or passed on.
bool Worker::drained() const {
  return forwarder_.idle() && tcp_clients_.empty() && std::ranges::all_of(receivers_, &ClientReceiver::ended) &&
         std::ranges::all_of(udp_listeners_, [](const UdpListener& listener) { return listener.flushed(); });
}

}  // namespace dotrelay
