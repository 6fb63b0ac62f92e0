// The least that a DNS-over-TLS relay can cost: raw epoll, the same system calls in batches, the same TLS library, the
// same padded octets, and no DNS logic, no failover, no limits, no clock. `./dev bench` measures it beside the
// relay, because what a system call or a record costs differs from machine to machine.
//
// It trusts the load: a query is what bench-load writes, with an OPT of 11 octets at its end.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "clients.hpp"
#include "upstream.hpp"

namespace {

using namespace floor_bench;

constexpr std::uint64_t kUdpKey = 0;
constexpr std::uint64_t kListenerKey = 1;
constexpr std::uint64_t kUpstreamKey = 2;
constexpr std::size_t kOpt = 11;
constexpr std::size_t kOptionHeader = 4;
constexpr std::size_t kPaddingBlock = 128;

int bind_port(int type, std::uint16_t port) {
  const int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int on = 1;
  const int buffer = 1 << 21;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (type == SOCK_DGRAM) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
  sockaddr_in local{};
  local.sin_family = AF_INET;
  local.sin_port = htons(port);
  local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, reinterpret_cast<sockaddr*>(&local), sizeof local) != 0 ||
      (type == SOCK_STREAM && listen(fd, 4096) != 0)) {
    std::perror("bench-floor: bind");
    std::exit(1);
  }
  return fd;
}

class Floor {
 public:
  Floor(std::uint16_t port, Upstream& upstream)
      : upstream_(upstream),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        udp_fd_(bind_port(SOCK_DGRAM, port)),
        listener_(bind_port(SOCK_STREAM, port)),
        udp_(udp_fd_),
        tcp_(listener_, epoll_),
        askers_(65536) {
    for (std::uint32_t id = 0; id < 65536; ++id) free_.push_back(static_cast<std::uint16_t>(id));
    watch(udp_fd_, kUdpKey);
    watch(listener_, kListenerKey);
    watch(upstream_.fd(), kUpstreamKey);
  }

  [[noreturn]] void run() {
    const auto relay = [this](const Asker& asker, const std::uint8_t* message, std::size_t size) {
      ask(asker, message, size);
    };
    for (;;) {
      epoll_event events[1024];
      const int count = epoll_wait(epoll_, events, 1024, -1);
      bool answers_wait = false;
      for (int i = 0; i < count; ++i) {
        const std::uint64_t key = events[i].data.u64;
        if (key == kUdpKey) {
          udp_.read(relay);
        } else if (key == kListenerKey) {
          tcp_.accept();
        } else if (key == kUpstreamKey) {
          answers_wait = true;
        } else {
          tcp_.read(key, relay);
        }
      }
      upstream_.flush();
      // Last, as the relay does it: more have come meanwhile, and more together cost less.
      if (answers_wait)
        upstream_.read([this](const std::uint8_t* message, std::size_t size) { answer(message, size); });
      udp_.flush();
      tcp_.flush();
    }
  }

 private:
  void watch(int fd, std::uint64_t key) {
    epoll_event event{.events = EPOLLIN, .data = {.u64 = key}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }

  void ask(Asker asker, const std::uint8_t* message, std::size_t size) {
    if (size < 12 + kOpt || free_.empty()) return;
    const std::uint16_t id = free_.back();
    free_.pop_back();
    asker.id = static_cast<std::uint16_t>(message[0] << 8 | message[1]);
    askers_[id] = asker;
    const std::size_t unpadded = size + kOptionHeader;
    const std::size_t padding = (kPaddingBlock - unpadded % kPaddingBlock) % kPaddingBlock;
    std::uint8_t* const to = upstream_.frame(unpadded + padding);
    std::memcpy(to, message, size);
    to[0] = static_cast<std::uint8_t>(id >> 8);
    to[1] = static_cast<std::uint8_t>(id);
    to[size - 1] = static_cast<std::uint8_t>(kOptionHeader + padding);
    std::memset(to + size, 0, kOptionHeader + padding);
    to[size + 1] = 12;
    to[size + 3] = static_cast<std::uint8_t>(padding);
  }

  void answer(const std::uint8_t* message, std::size_t size) {
    if (size < 12) return;
    const auto id = static_cast<std::uint16_t>(message[0] << 8 | message[1]);
    const Asker& asker = askers_[id];
    asker.tcp ? tcp_.answer(asker, message, size) : udp_.answer(asker, message, size);
    free_.push_back(id);
  }

  Upstream& upstream_;
  int epoll_, udp_fd_, listener_;
  UdpClients udp_;
  TcpClients tcp_;
  std::vector<Asker> askers_;
  std::vector<std::uint16_t> free_;
};

}  // namespace

int main(int count, char** arguments) {
  if (count != 6) {
    std::fprintf(stderr, "usage: bench-floor PORT UPSTREAM-IPV4 UPSTREAM-PORT CA.PEM NAME\n");
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  const auto upstream = std::make_unique<Upstream>(arguments[2], static_cast<std::uint16_t>(std::atoi(arguments[3])),
                                                   arguments[4], arguments[5]);
  fcntl(upstream->fd(), F_SETFL, O_NONBLOCK);
  const auto relay = std::make_unique<Floor>(static_cast<std::uint16_t>(std::atoi(arguments[1])), *upstream);
  std::printf("ready\n");
  std::fflush(stdout);
  relay->run();
}
