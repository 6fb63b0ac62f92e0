// A DNS-over-TLS upstream that keeps its pace under load and can be told to misbehave: the far side of `./dev faults`.
//
// Every question for A gets an address, for TXT 53 KB, every other one an empty NOERROR. One thread, one epoll,
// OpenSSL. Answers that are due at the same time leave in one write, each in
// a record of its own. Commands come line by line on standard input,
// whose end ends it:
//   delay MS     answer this late from now on      idle MS   close connections idle for so long (0: never)
//   reading 0|1  read what is sent, or nothing     stats     print one line of counters
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "tls_connection.hpp"

namespace {

using namespace faults;

constexpr std::uint64_t listener_key = 0;
constexpr std::uint64_t commands_key = 1;
constexpr std::uint64_t first_connection_key = 2;
constexpr std::int64_t tick_ns = 1'000'000;
constexpr int text_records = 200;

std::int64_t now_ns() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "faults-upstream: %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

// The frame that answers a query; empty when it cannot be read.
std::string answer_to(const std::string& query) {
  std::size_t end = 12;
  while (end < query.size() && query[end] != '\0') end += 1U + static_cast<unsigned char>(query[end]);
  end += 5;
  if (end > query.size()) return {};
  const bool address = query.compare(end - 4, 4, std::string("\0\1\0\1", 4)) == 0;
  const bool texts = query.compare(end - 4, 4, std::string("\0\x10\0\1", 4)) == 0;
  const bool opt = query[10] != '\0' || query[11] != '\0';
  std::string answer = query.substr(0, end);
  answer[2] = static_cast<char>(0x80 | (query[2] & 1));
  answer[3] = static_cast<char>(0x80);
  answer[7] = texts ? static_cast<char>(text_records) : address ? '\1' : '\0';
  answer[6] = answer[8] = answer[9] = answer[10] = '\0';
  answer[11] = opt ? '\1' : '\0';
  if (address) answer.append("\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4\xc0\0\2\7", 16);
  for (int i = 0; texts && i < text_records; ++i)
    answer.append("\xc0\x0c\0\x10\0\1\0\0\1\x2c\1\0\xff", 13).append(255, static_cast<char>('a' + i % 26));
  if (opt) answer.append("\0\0\x29\x04\xd0\0\0\0\0\0\0", 11);
  const char prefix[] = {static_cast<char>(answer.size() >> 8), static_cast<char>(answer.size())};
  return answer.insert(0, prefix, sizeof prefix);
}

class Upstream {
 public:
  Upstream(const char* address, std::uint16_t port, const char* chain, const char* key)
      : context_(make_tls_context(chain, key)), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in local{};
    local.sin_family = AF_INET;
    local.sin_port = htons(port);
    if (inet_pton(AF_INET, address, &local.sin_addr) != 1) fail(address);
    if (bind(listener_, reinterpret_cast<sockaddr*>(&local), sizeof local) != 0) fail("bind");
    if (listen(listener_, 512) != 0) fail("listen");
    add(listener_, listener_key);
    add(STDIN_FILENO, commands_key);
  }

  Upstream(const Upstream&) = delete;
  Upstream& operator=(const Upstream&) = delete;
  ~Upstream() {
    connections_.clear();
    SSL_CTX_free(context_);
    close(listener_);
    close(epoll_);
  }

  void set_delay(double milliseconds) { delay_ns_ = static_cast<std::int64_t>(milliseconds * 1e6); }
  void set_idle(double milliseconds) { idle_ns_ = static_cast<std::int64_t>(milliseconds * 1e6); }

  void run() {
    std::int64_t tick = now_ns() + tick_ns;
    while (!ended_) {
      const timespec timeout{0, std::max<std::int64_t>(0, std::min(tick_ns, next_due() - now_ns()))};
      epoll_event events[256];
      const int count = epoll_pwait2(epoll_, events, 256, &timeout, nullptr);
      for (int i = 0; i < count; ++i) on_event(events[i].data.u64);
      const std::int64_t now = now_ns();
      if (now >= tick) {
        late_ns_ = std::max(late_ns_, now - tick);
        tick = now + tick_ns;
        close_idle(now);
      }
      send_due(now);
    }
  }

 private:
  struct Due {
    std::uint64_t connection;
    std::string frame;
  };

  std::int64_t next_due() const { return due_.empty() ? INT64_MAX : due_.begin()->first; }

  void add(int descriptor, std::uint64_t key) {
    epoll_event event{.events = EPOLLIN, .data = {.u64 = key}};
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) != 0) fail("epoll_ctl");
  }

  void on_event(std::uint64_t key) {
    if (key == listener_key) return accept_all();
    if (key == commands_key) return read_commands();
    const auto found = connections_.find(key);
    if (found == connections_.end()) return;
    TlsConnection& connection = *found->second;
    const bool was_ready = connection.ready();
    connection.on_event();
    if (connection.ready() && !was_ready) {
      ++handshakes_;
      resumed_ += connection.resumed();
      connection.set_active(now_ns());
    }
    std::string query;
    while (reading_ && connection.next_message(query)) {
      ++queries_;
      connection.set_active(now_ns());
      if (std::string frame = answer_to(query); !frame.empty()) due_.emplace(now_ns() + delay_ns_, Due{key, frame});
    }
    settle(key, connection);
  }

  // Asks epoll for what the connection needs now, or forgets it.
  void settle(std::uint64_t key, TlsConnection& connection) {
    if (connection.closed()) {
      connections_.erase(key);
      return;
    }
    const bool wants_read = reading_ || !connection.ready();
    epoll_event event{.events = (wants_read ? EPOLLIN : 0U) | (connection.wants_write() ? EPOLLOUT : 0U),
                      .data = {.u64 = key}};
    if (event.events == connection.watched) return;
    connection.watched = event.events;
    epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.descriptor(), &event);
  }

  void accept_all() {
    while (true) {
      const int descriptor = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (descriptor < 0) return;
      const int on = 1;
      setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      ++accepted_;
      const std::uint64_t key = next_key_++;
      auto& connection = connections_.emplace(key, std::make_unique<TlsConnection>(context_, descriptor)).first->second;
      connection->watched = EPOLLIN;
      add(descriptor, key);
    }
  }

  void send_due(std::int64_t now) {
    std::unordered_set<std::uint64_t> sent;
    for (; !due_.empty() && due_.begin()->first <= now; due_.erase(due_.begin())) {
      const Due& due = due_.begin()->second;
      const auto found = connections_.find(due.connection);
      if (found == connections_.end()) continue;
      found->second->send(due.frame);
      sent.insert(due.connection);
    }
    for (const std::uint64_t key : sent) {
      TlsConnection& connection = *connections_.at(key);
      connection.flush();
      connection.set_active(now);
      settle(key, connection);
    }
  }

  void close_idle(std::int64_t now) {
    if (idle_ns_ == 0) return;
    for (auto item = connections_.begin(); item != connections_.end();) {
      const TlsConnection& connection = *item->second;
      const bool idle = connection.ready() && now - connection.active() >= idle_ns_;
      if (idle) item->second->close_in_order();
      item = idle ? connections_.erase(item) : std::next(item);
    }
  }

  void read_commands() {
    char buffer[4096];
    const ssize_t size = read(STDIN_FILENO, buffer, sizeof buffer);
    if (size <= 0) {
      ended_ = true;
      return;
    }
    commands_.append(buffer, static_cast<std::size_t>(size));
    for (std::size_t end; (end = commands_.find('\n')) != std::string::npos; commands_.erase(0, end + 1)) {
      obey(commands_.substr(0, end));
    }
  }

  void obey(const std::string& command) {
    const double value = std::atof(command.c_str() + std::min(command.size(), command.find(' ')));
    if (command.starts_with("delay ")) set_delay(value);
    if (command.starts_with("idle ")) set_idle(value);
    if (command.starts_with("reading ")) {
      reading_ = value != 0;
      for (auto& [key, connection] : connections_) settle(key, *connection);
    }
    if (command == "stats") {
      std::printf("accepted %ld handshakes %ld resumed %ld queries %ld open %zu late-us %ld\n", accepted_, handshakes_,
                  resumed_, queries_, connections_.size(), static_cast<long>(late_ns_ / 1000));
      std::fflush(stdout);
    }
  }

  SSL_CTX* context_;
  int epoll_, listener_ = -1;
  bool ended_ = false, reading_ = true;
  std::int64_t delay_ns_ = 0, idle_ns_ = 0, late_ns_ = 0;
  long accepted_ = 0, handshakes_ = 0, resumed_ = 0, queries_ = 0;
  std::uint64_t next_key_ = first_connection_key;
  std::string commands_;
  std::unordered_map<std::uint64_t, std::unique_ptr<TlsConnection>> connections_;
  std::multimap<std::int64_t, Due> due_;
};

}  // namespace

int main(int count, char** arguments) {
  if (count != 7) {
    std::fprintf(stderr, "usage: faults-upstream IP PORT CHAIN.PEM KEY.PEM DELAY-MS IDLE-MS\n");
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  Upstream upstream(arguments[1], static_cast<std::uint16_t>(std::atoi(arguments[2])), arguments[3], arguments[4]);
  upstream.set_delay(std::atof(arguments[5]));
  upstream.set_idle(std::atof(arguments[6]));
  std::printf("ready\n");
  std::fflush(stdout);
  upstream.run();
  return 0;
}
