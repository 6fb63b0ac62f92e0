// The listening sockets: one SO_REUSEPORT pair of UDP and TCP for each address and each worker. The supervisor holds
// them, so what clients send while a worker is replaced waits in them, and the generations of workers lease them: a
// configuration that keeps an address keeps its sockets, and a pair without a lease is closed.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "config/config.hpp"

#include <cstdint>
#include <list>
#include <utility>
#include <vector>

namespace dotrelay {

struct SocketPair {
  Endpoint address;
  std::uint32_t interface = 0;  ///< the index of the scope's interface; 0: no scope
  std::uint32_t worker = 0;     ///< counted from 1
  UniqueFd udp;
  UniqueFd tcp;
  bool share_port = false;  ///< another relay may have the port, too
  enum class Stage : std::uint8_t {
    opened,  ///< not bound yet
    joined,  ///< bound: clients reach it
    left,    ///< clients reach it no more, as a worker of an earlier generation drains it
  };
  Stage stage = Stage::opened;
  std::uint32_t leases = 0;
};

class ListenSockets;

/// Keeps a pair open.
class SocketLease {
 public:
  SocketLease(ListenSockets& owner, SocketPair& pair) : owner_(&owner), pair_(&pair) { ++pair.leases; }
  SocketLease(SocketLease&& other) noexcept : owner_(other.owner_), pair_(std::exchange(other.pair_, nullptr)) {}
  SocketLease& operator=(SocketLease&&) = delete;
  ~SocketLease();

  [[nodiscard]] SocketPair& pair() const { return *pair_; }

  /// No generation leases the pair anew. The caller takes its sockets from their port.
  void leave() { pair_->stage = SocketPair::Stage::left; }

 private:
  ListenSockets* owner_;
  SocketPair* pair_;
};

/// One pair for each address.
using WorkerSockets = std::vector<SocketLease>;

/// Outlives its leases.
class ListenSockets {
 public:
  /// Waits until the workers of a relay that has just been killed have left the addresses, at most kDepartureLimit:
  /// they do so by themselves as soon as they notice. Does not wait for anything else. To be called before lease(), in
  /// a process that serves no client yet.
  static void await_departure(const ListenConfig& config);
  static constexpr Duration kDepartureLimit = std::chrono::seconds(1);

  /// Pairs for `workers` workers. New ones are not joined yet, but no other process uses their addresses, unless
  /// share_port allows it. For the bindable_addresses() only; it is an error when there are none.
  Result<std::vector<WorkerSockets>> lease(const ListenConfig& config, std::uint32_t workers);

  /// Binds what is not bound yet. Without share_port it fails when another process has come to one of the addresses
  /// since lease(): of two relays that start at the same time one serves.
  Status join(const std::vector<WorkerSockets>& sockets);

  /// Binds a joined pair anew as far as its worker has taken it from the port without being told to: sockets are shared
  /// with the worker, and one that ran wild before it died may have done anything to them. True when that was needed.
  static Result<bool> restore(SocketPair& pair);

  /// Takes in a joined pair that an earlier program opened, or one without sockets that only its workers have.
  SocketLease adopt(SocketPair pair);

  [[nodiscard]] const std::list<SocketPair>& pairs() const { return pairs_; }

 private:
  friend class SocketLease;

  Result<SocketLease> lease_pair(const Endpoint& address, std::uint32_t worker, bool share_port);
  [[nodiscard]] bool is_ours(const Endpoint& address) const;
  Status join(SocketPair& pair);

  std::list<SocketPair> pairs_;  // a list: leases point into it
};

}  // namespace dotrelay
