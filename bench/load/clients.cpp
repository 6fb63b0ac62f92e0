#include "clients.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace bench {
namespace {

constexpr std::size_t kBatch = 64;
constexpr std::size_t kMaxAnswer = 2048;
constexpr std::size_t kNameDigits = 16;
constexpr std::size_t kNameOffset = 13;  // of the digits in a message: header, length of the label

[[noreturn]] void die(const char* what) {
  std::fprintf(stderr, "bench-load: %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

void put_digits(char* to, std::uint64_t number) {
  for (std::size_t i = kNameDigits; i-- > 0; number >>= 4) to[i] = static_cast<char>('a' + (number & 15));
}

}  // namespace

std::int64_t now_ns() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

void Latencies::add(std::int64_t nanoseconds) {
  const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(nanoseconds, kSteps));
  const auto power = static_cast<std::size_t>(std::bit_width(value) - 1);
  const std::size_t step = (value >> (power - kStepBits)) & (kSteps - 1);
  ++counts_[power * kSteps + step];
  ++total_;
}

double Latencies::percentile(double part) const {
  auto left = static_cast<std::uint64_t>(std::ceil(part * static_cast<double>(total_)));
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] < left) {
      left -= counts_[i];
      continue;
    }
    const double middle = 1 + (static_cast<double>(i % kSteps) + 0.5) / kSteps;
    return std::ldexp(middle, static_cast<int>(i / kSteps)) / 1e6;
  }
  return 0;
}

Clients::Clients(Mode mode, const std::string& server, std::size_t clients, std::size_t in_flight)
    : mode_(mode),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      clients_(mode == Mode::tcp_once ? in_flight : clients),
      slots_(in_flight),
      slot_bits_(static_cast<unsigned>(std::bit_width(in_flight - 1))),
      next_number_(static_cast<std::uint64_t>(now_ns()) << 24) {
  const std::size_t colon = server.rfind(':');
  auto& address = reinterpret_cast<sockaddr_in&>(server_);
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(server.c_str() + colon + 1)));
  if (colon == std::string::npos || inet_pton(AF_INET, server.substr(0, colon).c_str(), &address.sin_addr) != 1) {
    std::fprintf(stderr, "bench-load: not IPV4:PORT: %s\n", server.c_str());
    std::exit(2);
  }
}

Clients::~Clients() {
  for (const Client& client : clients_) close(client.fd);
  close(epoll_);
}

void Clients::watch(std::uint32_t client, std::uint32_t events, int operation) {
  epoll_event event{.events = events, .data = {.u32 = client}};
  if (epoll_ctl(epoll_, operation, clients_[client].fd, &event) != 0) die("epoll_ctl");
}

void Clients::open(std::uint32_t number) {
  Client& client = clients_[number];
  const int type = mode_ == Mode::udp ? SOCK_DGRAM : SOCK_STREAM;
  client.fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (client.fd < 0) die("socket");
  const int on = 1;
  if (mode_ != Mode::udp) setsockopt(client.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  client.input.clear();
  client.connected = true;
  if (::connect(client.fd, reinterpret_cast<sockaddr*>(&server_), sizeof(sockaddr_in)) != 0) {
    if (errno != EINPROGRESS) die("connect");
    client.connected = false;
  }
  watch(number, client.connected ? EPOLLIN : EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
}

bool Clients::connect() {
  if (mode_ == Mode::tcp_once) return true;
  for (std::uint32_t i = 0; i < clients_.size(); ++i) {
    open(i);
    // A listen queue is not to overflow: it would cost a second each time.
    const std::int64_t end = now_ns() + kPatience;
    while (!clients_[i].connected) {
      epoll_event event;
      if (now_ns() > end) return false;
      if (epoll_wait(epoll_, &event, 1, 1000) == 1) on_event(event.data.u32, event.events);
      if (clients_[i].fd < 0) return false;
    }
  }
  return true;
}

Tally Clients::run(std::int64_t end, std::uint64_t limit) {
  tally_ = {};
  asked_ = 0;
  limit_ = limit;
  asking_ = true;
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) ask_next(slot);
  flush();
  std::int64_t check = now_ns() + kPatience / 4;
  while (busy_ > 0) {
    epoll_event events[256];
    const int count = epoll_wait(epoll_, events, 256, 100);
    const std::int64_t now = now_ns();
    if (now >= end) asking_ = false;
    for (int i = 0; i < count; ++i) on_event(events[i].data.u32, events[i].events);
    flush();
    if (now < check) continue;
    give_up_late(now);
    check = now + kPatience / 4;
  }
  return tally_;
}

std::size_t Clients::count_closed() {
  std::size_t closed = 0;
  for (const Client& client : clients_) {
    char octet;
    closed += client.fd < 0 || recv(client.fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
  }
  return closed;
}

// In the round of the clients; a connection that is made for a question belongs to its slot.
void Clients::ask_next(std::uint32_t slot) {
  if (!asking_ || asked_ >= limit_) return;
  std::uint32_t client = slot;
  if (mode_ != Mode::tcp_once) {
    client = static_cast<std::uint32_t>(next_client_);
    next_client_ = (next_client_ + 1) % clients_.size();
  }
  ask(slot, client);
}

void Clients::ask(std::uint32_t slot_number, std::uint32_t client_number) {
  Slot& slot = slots_[slot_number];
  Client& client = clients_[client_number];
  slot.number = next_number_++;
  ++asked_;
  slot.client = client_number;
  slot.sent_ns = now_ns();
  ++slot.generation;
  slot.busy = true;
  ++busy_;
  if (client.fd < 0) open(client_number);
  client.due.push_back(slot_number);
  if (client.queued) return;
  client.queued = true;
  to_flush_.push_back(client_number);
}

// A IN with RD and an OPT that offers 1232 octets.
std::size_t Clients::write_question(std::uint32_t slot_number, char* buffer) const {
  const Slot& slot = slots_[slot_number];
  const auto id = static_cast<std::uint16_t>(slot_number | static_cast<unsigned>(slot.generation) << slot_bits_);
  static constexpr char kHeader[] = "\0\0\1\0\0\1\0\0\0\0\0\1\x10";
  static constexpr char kRest[] = "\5bench\7example\0\0\1\0\1\0\0\x29\x04\xd0\0\0\0\0\0\0";
  std::memcpy(buffer, kHeader, sizeof kHeader - 1);
  buffer[0] = static_cast<char>(id >> 8);
  buffer[1] = static_cast<char>(id);
  put_digits(buffer + kNameOffset, slot.number);
  std::memcpy(buffer + kNameOffset + kNameDigits, kRest, sizeof kRest - 1);
  return kNameOffset + kNameDigits + sizeof kRest - 1;
}

void Clients::on_event(std::uint32_t number, std::uint32_t events) {
  Client& client = clients_[number];
  if (client.fd < 0) return;
  if (mode_ == Mode::udp) return read_udp(number);
  if (!client.connected && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(client.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return fail(number);
    client.connected = true;
    watch(number, EPOLLIN, EPOLL_CTL_MOD);
    flush_tcp(number);
  } else if ((events & EPOLLOUT) != 0) {
    watch(number, EPOLLIN, EPOLL_CTL_MOD);
    flush_tcp(number);
  }
  if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0 && client.fd >= 0) read_tcp(number);
}

void Clients::read_udp(std::uint32_t number) {
  static unsigned char buffers[kBatch][kMaxAnswer];
  iovec vectors[kBatch];
  mmsghdr headers[kBatch] = {};
  for (std::size_t i = 0; i < kBatch; ++i) {
    vectors[i] = {buffers[i], kMaxAnswer};
    headers[i].msg_hdr.msg_iov = &vectors[i];
    headers[i].msg_hdr.msg_iovlen = 1;
  }
  const int count = recvmmsg(clients_[number].fd, headers, kBatch, MSG_DONTWAIT, nullptr);
  for (int i = 0; i < count; ++i) on_answer(number, buffers[i], headers[i].msg_len);
}

void Clients::read_tcp(std::uint32_t number) {
  static char buffer[64 * 1024];
  Client& client = clients_[number];
  const ssize_t size = recv(client.fd, buffer, sizeof buffer, 0);
  if (size < 0 && errno == EAGAIN) return;
  if (size <= 0) return fail(number);
  std::string joined;
  const char* octets = buffer;
  auto left = static_cast<std::size_t>(size);
  if (!client.input.empty()) {
    joined = client.input.append(buffer, left);
    octets = joined.data();
    left = joined.size();
  }
  while (left >= 2) {
    const auto* prefix = reinterpret_cast<const unsigned char*>(octets);
    const std::size_t length = static_cast<std::size_t>(prefix[0]) << 8 | prefix[1];
    if (left < 2 + length) break;
    on_answer(number, prefix + 2, length);
    if (mode_ == Mode::tcp_once) return;  // the next question has a connection of its own
    octets += 2 + length;
    left -= 2 + length;
  }
  client.input.assign(octets, left);
}

void Clients::on_answer(std::uint32_t number, const unsigned char* message, std::size_t size) {
  if (size < kNameOffset + kNameDigits) {
    ++tally_.wrong;
    return;
  }
  const unsigned id = static_cast<unsigned>(message[0]) << 8 | message[1];
  const std::uint32_t slot_number = id & ((1U << slot_bits_) - 1);
  if (slot_number >= slots_.size()) {
    ++tally_.wrong;
    return;
  }
  Slot& slot = slots_[slot_number];
  char digits[kNameDigits];
  put_digits(digits, slot.number);
  // A late answer, to a question that has been given up, is counted as lost already.
  if (!slot.busy || slot.client != number || std::memcmp(message + kNameOffset, digits, kNameDigits) != 0) return;
  (message[3] & 15) == 0 && (message[2] & 0x80) != 0 ? ++tally_.answered : ++tally_.wrong;
  tally_.latencies.add(now_ns() - slot.sent_ns);
  slot.busy = false;
  --busy_;
  if (mode_ == Mode::tcp_once) {
    close(clients_[number].fd);
    clients_[number].fd = -1;
  }
  ask_next(slot_number);
}

// A connection is gone, and with it what it owed.
void Clients::fail(std::uint32_t number) {
  Client& client = clients_[number];
  ++tally_.failed;
  close(client.fd);
  client.fd = -1;
  client.output.clear();
  client.due.clear();
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    if (!slots_[i].busy || slots_[i].client != number) continue;
    slots_[i].busy = false;
    --busy_;
    ++tally_.lost;
    ask_next(i);
  }
}

void Clients::flush() {
  // fail() within may queue more.
  for (std::size_t i = 0; i < to_flush_.size(); ++i) {
    const std::uint32_t number = to_flush_[i];
    clients_[number].queued = false;
    mode_ == Mode::udp ? flush_udp(clients_[number]) : flush_tcp(number);
  }
  to_flush_.clear();
}

void Clients::flush_udp(Client& client) {
  char buffers[kBatch][kMaxQuestion];
  iovec vectors[kBatch];
  mmsghdr headers[kBatch] = {};
  for (std::size_t done = 0; done < client.due.size();) {
    const std::size_t count = std::min(kBatch, client.due.size() - done);
    for (std::size_t i = 0; i < count; ++i) {
      vectors[i] = {buffers[i], write_question(client.due[done + i], buffers[i])};
      headers[i].msg_hdr.msg_iov = &vectors[i];
      headers[i].msg_hdr.msg_iovlen = 1;
    }
    if (sendmmsg(client.fd, headers, static_cast<unsigned>(count), 0) <= 0) break;  // they count as lost
    done += count;
  }
  client.due.clear();
}

void Clients::flush_tcp(std::uint32_t number) {
  Client& client = clients_[number];
  for (const std::uint32_t slot : client.due) {
    char buffer[2 + kMaxQuestion];
    const std::size_t size = write_question(slot, buffer + 2);
    buffer[0] = static_cast<char>(size >> 8);
    buffer[1] = static_cast<char>(size);
    client.output.append(buffer, size + 2);
  }
  client.due.clear();
  if (!client.connected || client.output.empty()) return;
  const ssize_t sent = send(client.fd, client.output.data(), client.output.size(), MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) return fail(number);
  client.output.erase(0, static_cast<std::size_t>(std::max<ssize_t>(sent, 0)));
  if (!client.output.empty()) watch(number, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
}

void Clients::give_up_late(std::int64_t now) {
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (!slot.busy || now - slot.sent_ns < kPatience) continue;
    slot.busy = false;
    --busy_;
    ++tally_.lost;
    if (mode_ == Mode::tcp_once) {
      close(clients_[slot.client].fd);
      clients_[slot.client].fd = -1;
      clients_[slot.client].output.clear();
      clients_[slot.client].due.clear();
    }
    ask_next(i);
  }
  flush();
}

}  // namespace bench
