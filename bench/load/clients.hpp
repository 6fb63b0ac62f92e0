// The clients of the load: UDP sockets or TCP connections on one epoll, which keep a number of questions in flight and
// ask the next one as soon as an answer has come.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace bench {

// CLOCK_MONOTONIC.
std::int64_t now_ns();

enum class Mode : std::uint8_t {
  udp,
  tcp,       // persistent connections, pipelined
  tcp_once,  // a connection for each question, closed by the client after the answer
};

// Latencies in classes of 1/64 of a power of two, so that a percentile is right to 2 %.
class Latencies {
 public:
  void add(std::int64_t nanoseconds);
  [[nodiscard]] double percentile(double part) const;  // in milliseconds

 private:
  static constexpr std::size_t kStepBits = 6;
  static constexpr std::size_t kSteps = std::size_t{1} << kStepBits;
  std::array<std::uint64_t, 64 * kSteps> counts_{};
  std::uint64_t total_ = 0;
};

struct Tally {
  std::uint64_t answered = 0;
  std::uint64_t lost = 0;    // no answer within kPatience
  std::uint64_t wrong = 0;   // not NOERROR, or the answer to another question
  std::uint64_t failed = 0;  // connections that could not be made, or broke
  Latencies latencies;
};

class Clients {
 public:
  static constexpr std::int64_t kPatience = 3'000'000'000;

  // `clients` sockets share `in_flight` questions; in the mode tcp_once every question has a socket of its own.
  Clients(Mode mode, const std::string& server, std::size_t clients, std::size_t in_flight);
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;
  ~Clients();

  // Makes the connections of the mode tcp. False when some could not be made.
  bool connect();

  // Asks until `end`, or until `limit` questions have been asked, then waits for what is owed.
  Tally run(std::int64_t end, std::uint64_t limit);

  // How many of the connections the server has closed meanwhile.
  std::size_t count_closed();

 private:
  static constexpr std::size_t kMaxQuestion = 128;

  struct Client {
    int fd = -1;
    bool connected = false;
    bool queued = false;             // has something to flush
    std::string output;              // TCP: frames to send. UDP: the same, one datagram each
    std::string input;               // TCP: the beginning of a frame
    std::vector<std::uint32_t> due;  // slots whose question is to be written
  };

  // A question in flight. Its ID is its slot's number with a generation above it, so that a late answer is recognised.
  struct Slot {
    std::uint64_t number = 0;  // of the question; part of its name
    std::int64_t sent_ns = 0;
    std::uint32_t client = 0;
    std::uint16_t generation = 0;
    bool busy = false;
  };

  void ask(std::uint32_t slot, std::uint32_t client);
  std::size_t write_question(std::uint32_t slot, char* buffer) const;
  void ask_next(std::uint32_t slot);
  void open(std::uint32_t client);
  void on_event(std::uint32_t client, std::uint32_t events);
  void read_udp(std::uint32_t client);
  void read_tcp(std::uint32_t client);
  void on_answer(std::uint32_t client, const unsigned char* message, std::size_t size);
  void fail(std::uint32_t client);
  void flush();
  void flush_udp(Client& client);
  void flush_tcp(std::uint32_t number);
  void give_up_late(std::int64_t now);
  void watch(std::uint32_t client, std::uint32_t events, int operation);

  Mode mode_;
  sockaddr_storage server_{};
  int epoll_;
  std::vector<Client> clients_;
  std::vector<Slot> slots_;
  unsigned slot_bits_ = 1;
  std::uint64_t next_number_;  // names differ over all runs: no cache is to answer
  std::vector<std::uint32_t> to_flush_;
  std::size_t next_client_ = 0;
  std::size_t busy_ = 0;
  std::uint64_t asked_ = 0;
  std::uint64_t limit_ = 0;
  bool asking_ = false;
  Tally tally_;
};

}  // namespace bench
