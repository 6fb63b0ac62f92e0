// Sockets of the kinds the relay needs, opened with all their options, and endpoints to and from the kernel's form.
#pragma once

#include "base/address.hpp"
#include "base/egress.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <optional>
#include <string>
#include <sys/socket.h>

namespace dotrelay {

/// An endpoint in the kernel's form.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);

  [[nodiscard]] sockaddr* raw() { return reinterpret_cast<sockaddr*>(&storage); }
  [[nodiscard]] const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

/// With the index that the scope's interface has now. If there is none, the kernel refuses the address (ENODEV,
/// ENETUNREACH).
SocketAddress to_socket_address(const Endpoint& endpoint);
/// The address is IPv4 or IPv6, and all of it is there.
Endpoint to_endpoint(const sockaddr& address);
inline Endpoint to_endpoint(const SocketAddress& address) { return to_endpoint(*address.raw()); }

/// "connection refused", "address in use": errno in lower-case words.
std::string errno_text(int error);

enum class Protocol : std::uint8_t { udp, tcp };

/// Whether another socket has the endpoint: binds without SO_REUSEPORT and closes again. 0, or the errno. One that has
/// left the port (leave_port) does not count.
int probe_bind(const Endpoint& endpoint, Protocol protocol);

/// Whether all sockets that have the endpoint are of this user and share it (SO_REUSEPORT).
bool is_shared_by_this_user(const Endpoint& endpoint, Protocol protocol);

/// A non-blocking, CLOEXEC socket for join_port(), with SO_REUSEPORT and all other options. It can be bound to an
/// address that the machine does not have yet. IPv6 sockets serve IPv6 only. Wildcard UDP sockets report the
/// destination address of each datagram. The errno in `error` when it fails.
UniqueFd make_listener(const Endpoint& endpoint, Protocol protocol, int& error);

/// Binds the socket (and listens, for TCP): from now on the kernel gives it its share of the clients. 0, or the errno.
int join_port(int fd, const Endpoint& endpoint, Protocol protocol);

/// As join_port() for the first socket of a group: fails with EADDRINUSE when another socket has the port, except those
/// that have left it. Of several processes that claim a TCP port at the same time exactly one gets it; for UDP that
/// holds as long as no socket that has left is there.
int claim_port(int fd, const Endpoint& endpoint, Protocol protocol);

/// The index of the interface to which the address of a link-local socket belongs; 0 for others.
std::uint32_t bound_interface(int fd);

/// A socket as begin_connect() makes it.
UniqueFd open_stream(const Endpoint& peer);

/// Lets the new socket take this way. 0, or the errno: EPERM (mark, interface), ENODEV (interface), EADDRNOTAVAIL.
int set_egress(int fd, const Egress& egress);

/// Begins to connect; the socket is non-blocking, without Nagle's delay, and ends by itself when the peer is gone for
/// about 10 s. Segments have at most `segment_limit` octets either way, as far as the peer heeds it; 0: no limit. The
/// errno in `error` when that fails at once.
UniqueFd begin_connect(const Endpoint& endpoint, const Egress& egress, int& error, std::uint16_t segment_limit = 0);

/// Lets the TCP socket send without Nagle's delay. Connections inherit it from the socket that accepts them.
void disable_nagle(int fd);

/// Takes the socket out of the group of those that share its port, while answers can still be sent from it: the kernel
/// gives what arrives from now on to the others, also when another process holds the same socket. What a listening
/// socket still has queued is reset; datagrams that are queued can still be read. May be repeated.
void leave_port(int fd, Protocol protocol);

/// Whether a socket that was bound (and listened) gets no new clients any more, as after leave_port().
bool has_left_port(int fd, Protocol protocol);

/// Lets closing the TCP socket send RST instead of FIN: the peer sees a refusal.
void reset_on_close(int fd);

/// Octets of memory that the kernel keeps for the socket: what was not sent or not acknowledged yet, what was not read,
/// with its own overhead. 0 where it does not tell (before Linux 4.12).
std::size_t kernel_memory(int fd);

/// The pending error of a socket, which is cleared by asking.
int take_socket_error(int fd);

/// The source address from which the kernel would now send to `peer` by `egress`; nothing when there is no way. No
/// packet leaves.
std::optional<IpAddress> source_towards(const Endpoint& peer, const Egress& egress);

/// Whether the kernel would now connect to `peer` by `egress` from another source address than that of the socket,
/// which is connected to it or about to be, or has no way to it any more. No packet leaves. Routes that differ by
/// protocol (`ip rule ... ipproto tcp`), or by flow with a source each, read as changed: the kernel is asked for a
/// datagram.
bool route_has_changed(int fd, const Endpoint& peer, const Egress& egress);

}  // namespace dotrelay
