// The clients of the load generator: UDP sockets and TCP connections on one epoll, and the journal of their questions.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

namespace faults {

// CLOCK_MONOTONIC, the clock of Python's time.monotonic().
std::int64_t now_ns();

struct Question {
  std::int64_t sent_ns = 0;
  std::int64_t latency_ns = -1;  // -1: no answer
  std::uint8_t rcode = 0;
  bool tcp = false;
  bool done = false;  // answered, or its connection is gone
};

// What was asked and what came of it.
class Journal {
 public:
  explicit Journal(std::string label) : label_(std::move(label)) {}

  // Appends a question; gives its number.
  std::uint32_t begin(bool tcp);
  // The message that asks question `number` under `id`: A IN, RD, an OPT.
  std::string message(std::uint32_t number, std::uint16_t id) const;
  // Judges an answer to question `number`; `late_ns` is how long ago the kernel got it.
  void finish(std::uint32_t number, const std::uint8_t* answer, std::size_t size, std::int64_t late_ns);
  // Its connection is gone: no answer will come.
  void give_up(std::uint32_t number);
  std::size_t open() const { return open_; }

  std::vector<Question> questions;
  long wrong = 0;       // answers with another question
  long unexpected = 0;  // answers to nothing, or a second time
  long refused = 0;     // ICMP port unreachable, or a connection refused
  long closed = 0;      // TCP connections that ended
  long unsent = 0;      // datagrams that the kernel did not take

 private:
  std::string question_section(std::uint32_t number) const;

  std::string label_;
  std::size_t open_ = 0;
};

// Sockets that ask in turn.
class Clients {
 public:
  // `server` is IPv4:PORT. With `short_lived`, a TCP connection is made for a question and closed after its answer.
  Clients(Journal& journal, const std::string& server, int udp, int tcp, bool short_lived);
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;
  ~Clients();

  // Waits until the TCP connections are made, at most two seconds.
  void settle();
  void ask(bool over_tcp);
  // Handles what the sockets have until `deadline_ns`, at least once; returns after the first events.
  void wait(std::int64_t deadline_ns);

 private:
  struct Client {
    int descriptor = -1;
    bool tcp = false;
    bool connected = false;
    std::int64_t reconnect_ns = 0;  // when descriptor is -1
    std::uint16_t next_id = 0;
    std::string unsent;
    std::string received;
    std::unordered_map<std::uint16_t, std::uint32_t> asked;  // ID -> number of the question
  };

  void open(Client& client);
  void lose(Client& client);
  void finish(Client& client);
  void flush(Client& client);
  void read_udp(Client& client);
  void read_tcp(Client& client);
  void on_message(Client& client, const std::uint8_t* message, std::size_t size, std::int64_t late_ns);
  void watch(Client& client, bool writable);

  Journal& journal_;
  sockaddr_storage server_{};
  bool short_lived_;
  int epoll_;
  std::deque<Client> clients_;
  std::vector<Client*> udp_, tcp_;
  std::size_t next_udp_ = 0, next_tcp_ = 0;
};

}  // namespace faults
