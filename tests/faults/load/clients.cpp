#include "clients.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace faults {

namespace {

constexpr std::int64_t reconnect_after_ns = 5'000'000;

std::int64_t clock_ns(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "faults-load: %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

void append_label(std::string& wire, const std::string& label) {
  wire.push_back(static_cast<char>(label.size()));
  wire += label;
}

void append_u16(std::string& wire, unsigned value) {
  wire.push_back(static_cast<char>(value >> 8));
  wire.push_back(static_cast<char>(value & 255));
}

}  // namespace

std::int64_t now_ns() { return clock_ns(CLOCK_MONOTONIC); }

std::uint32_t Journal::begin(bool tcp) {
  questions.push_back({.sent_ns = now_ns(), .tcp = tcp});
  ++open_;
  return static_cast<std::uint32_t>(questions.size() - 1);
}

std::string Journal::question_section(std::uint32_t number) const {
  std::string wire;
  // Each in a domain of its own: one domain has one vote on an upstream, however many of its names are asked for.
  append_label(wire, label_);
  append_label(wire, "q" + std::to_string(number));
  append_label(wire, "example");
  wire.push_back('\0');
  append_u16(wire, 1);
  append_u16(wire, 1);
  return wire;
}

std::string Journal::message(std::uint32_t number, std::uint16_t id) const {
  std::string wire;
  append_u16(wire, id);
  for (unsigned field : {0x0100U, 1U, 0U, 0U, 1U}) append_u16(wire, field);
  wire += question_section(number);
  static constexpr char opt[] = "\0\0\x29\x04\xd0\0\0\0\0\0";  // root, OPT, 1232 octets, no options
  wire.append(opt, sizeof opt);
  return wire;
}

void Journal::finish(std::uint32_t number, const std::uint8_t* answer, std::size_t size, std::int64_t late_ns) {
  Question& question = questions[number];
  const std::string section = question_section(number);
  if (size < 12 + section.size() || std::memcmp(answer + 12, section.data(), section.size()) != 0) {
    ++wrong;
    return;
  }
  if (question.done) {
    ++unexpected;
    return;
  }
  question.latency_ns = now_ns() - late_ns - question.sent_ns;
  question.rcode = answer[3] & 15;
  question.done = true;
  --open_;
}

void Journal::give_up(std::uint32_t number) {
  if (questions[number].done) return;
  questions[number].done = true;
  --open_;
}

Clients::Clients(Journal& journal, const std::string& server, int udp, int tcp, bool short_lived)
    : journal_(journal), short_lived_(short_lived), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  const std::size_t colon = server.rfind(':');
  auto& address = reinterpret_cast<sockaddr_in&>(server_);
  address.sin_family = AF_INET;
  if (colon == std::string::npos || inet_pton(AF_INET, server.substr(0, colon).c_str(), &address.sin_addr) != 1) {
    errno = EINVAL;
    fail("the server's address");
  }
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(server.c_str() + colon + 1)));
  for (int i = 0; i < udp + tcp; ++i) {
    Client& client = clients_.emplace_back();
    client.tcp = i >= udp;
    client.next_id = static_cast<std::uint16_t>(i * 7919);
    (client.tcp ? tcp_ : udp_).push_back(&client);
    if (!client.tcp || !short_lived_) open(client);
  }
}

Clients::~Clients() {
  for (Client& client : clients_) {
    if (client.descriptor >= 0) close(client.descriptor);
  }
  close(epoll_);
}

void Clients::open(Client& client) {
  client.descriptor = socket(AF_INET, (client.tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (client.descriptor < 0) fail("socket");
  const int on = 1;
  if (client.tcp) {
    setsockopt(client.descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  } else {
    // The kernel's time of arrival: an answer is not late because this process was.
    setsockopt(client.descriptor, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
  }
  const int result = connect(client.descriptor, reinterpret_cast<sockaddr*>(&server_), sizeof(sockaddr_in));
  if (result != 0 && errno != EINPROGRESS) {
    journal_.refused += errno == ECONNREFUSED;
    close(client.descriptor);
    client.descriptor = -1;
    client.reconnect_ns = now_ns() + reconnect_after_ns;
    return;
  }
  client.connected = !client.tcp;
  epoll_event event{.events = EPOLLIN | (client.tcp ? EPOLLOUT : 0U), .data = {.ptr = &client}};
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, client.descriptor, &event) != 0) fail("epoll_ctl");
}

void Clients::watch(Client& client, bool writable) {
  epoll_event event{.events = EPOLLIN | (writable ? EPOLLOUT : 0U), .data = {.ptr = &client}};
  epoll_ctl(epoll_, EPOLL_CTL_MOD, client.descriptor, &event);
}

// The connection is gone; what it was owed is lost, for a client does not ask twice.
void Clients::lose(Client& client) {
  close(client.descriptor);
  client.descriptor = -1;
  client.reconnect_ns = now_ns() + reconnect_after_ns;
  if (client.connected) ++journal_.closed;
  client.connected = false;
  client.unsent.clear();
  client.received.clear();
  for (const auto& [id, number] : client.asked) journal_.give_up(number);
  client.asked.clear();
}

// The end of a short connection: it got its answers.
void Clients::finish(Client& client) {
  close(client.descriptor);
  client.descriptor = -1;
  client.connected = false;
  client.received.clear();
}

void Clients::settle() {
  if (short_lived_) return;
  const std::int64_t end = now_ns() + 2'000'000'000;
  for (bool all = false; !all && now_ns() < end;) {
    wait(now_ns() + 10'000'000);
    all = true;
    for (const Client* client : tcp_) all = all && client->connected;
  }
}

void Clients::ask(bool over_tcp) {
  std::vector<Client*>& group = over_tcp ? tcp_ : udp_;
  if (group.empty()) fail("no client of that transport");
  Client& client = *group[(over_tcp ? next_tcp_ : next_udp_)++ % group.size()];
  const std::uint16_t id = client.next_id++;
  const std::uint32_t number = journal_.begin(over_tcp);
  const std::string message = journal_.message(number, id);
  client.asked[id] = number;
  if (client.tcp) {
    if (short_lived_ && client.descriptor < 0) open(client);
    if (short_lived_ && client.descriptor < 0) return lose(client);
    append_u16(client.unsent, static_cast<unsigned>(message.size()));
    client.unsent += message;
    if (client.connected) flush(client);
    return;
  }
  // An error left from an earlier datagram (ICMP) is reported here once; the datagram itself was not sent.
  ssize_t sent = send(client.descriptor, message.data(), message.size(), 0);
  if (sent < 0 && errno == ECONNREFUSED) {
    ++journal_.refused;
    sent = send(client.descriptor, message.data(), message.size(), 0);
  }
  if (sent < 0) ++journal_.unsent;
}

void Clients::flush(Client& client) {
  const ssize_t sent = send(client.descriptor, client.unsent.data(), client.unsent.size(), MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) {
    lose(client);
    return;
  }
  client.unsent.erase(0, sent > 0 ? static_cast<std::size_t>(sent) : 0);
  watch(client, !client.unsent.empty());
}

void Clients::on_message(Client& client, const std::uint8_t* message, std::size_t size, std::int64_t late_ns) {
  const auto found =
      size < 12 ? client.asked.end() : client.asked.find(static_cast<std::uint16_t>(message[0] << 8 | message[1]));
  if (found == client.asked.end()) {
    ++journal_.unexpected;
    return;
  }
  journal_.finish(found->second, message, size, late_ns);
  if (journal_.questions[found->second].done) client.asked.erase(found);
}

void Clients::read_udp(Client& client) {
  while (true) {
    std::uint8_t buffer[4096];
    alignas(cmsghdr) char control[64];
    iovec part{buffer, sizeof buffer};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    const ssize_t size = recvmsg(client.descriptor, &header, 0);
    if (size < 0) {
      if (errno == EAGAIN) return;
      ++journal_.refused;
      continue;
    }
    std::int64_t late = 0;
    for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item)) {
      if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_TIMESTAMPNS) continue;
      timespec arrived{};
      std::memcpy(&arrived, CMSG_DATA(item), sizeof arrived);
      late = clock_ns(CLOCK_REALTIME) - (static_cast<std::int64_t>(arrived.tv_sec) * 1'000'000'000 + arrived.tv_nsec);
    }
    on_message(client, buffer, static_cast<std::size_t>(size), late);
  }
}

void Clients::read_tcp(Client& client) {
  char buffer[65536];
  const ssize_t size = recv(client.descriptor, buffer, sizeof buffer, 0);
  if (size < 0 && errno == EAGAIN) return;
  if (size <= 0) {
    journal_.refused += size < 0 && errno == ECONNREFUSED;
    lose(client);
    return;
  }
  client.received.append(buffer, static_cast<std::size_t>(size));
  std::size_t position = 0;
  const auto* octets = reinterpret_cast<const std::uint8_t*>(client.received.data());
  while (client.received.size() - position >= 2) {
    const std::size_t length = static_cast<std::size_t>(octets[position] << 8 | octets[position + 1]);
    if (client.received.size() - position - 2 < length) break;
    on_message(client, octets + position + 2, length, 0);
    position += 2 + length;
  }
  client.received.erase(0, position);
  if (short_lived_ && client.asked.empty()) finish(client);
}

void Clients::wait(std::int64_t deadline_ns) {
  const std::int64_t now = now_ns();
  for (Client* client : tcp_) {
    if (!short_lived_ && client->descriptor < 0 && now >= client->reconnect_ns) open(*client);
  }
  const std::int64_t left = std::max<std::int64_t>(0, deadline_ns - now);
  const timespec timeout{.tv_sec = left / 1'000'000'000, .tv_nsec = left % 1'000'000'000};
  epoll_event events[256];
  const int count = epoll_pwait2(epoll_, events, 256, &timeout, nullptr);
  for (int i = 0; i < count; ++i) {
    Client& client = *static_cast<Client*>(events[i].data.ptr);
    if (!client.tcp) {
      read_udp(client);
      continue;
    }
    if ((events[i].events & EPOLLOUT) != 0 && (events[i].events & (EPOLLERR | EPOLLHUP)) == 0) {
      client.connected = true;
      flush(client);
    }
    if (client.descriptor >= 0 && (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) read_tcp(client);
  }
}

}  // namespace faults
