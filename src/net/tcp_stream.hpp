// A non-blocking TCP connection on the loop: reads and writes when asked, tells when it can.
#pragma once

#include "base/byte_queue.hpp"
#include "base/unique_fd.hpp"
#include "net/handles.hpp"
#include "net/loop.hpp"

namespace dotrelay {

class TcpStream {
 public:
  /// `listener` hears when the stream can be read or written, as asked for with watch().
  TcpStream(Loop& loop, UniqueFd fd, PollListener& listener) : fd_(std::move(fd)), poller_(loop, fd_.get(), listener) {}

  /// There must be no other copy of a descriptor that is still watched.
  ~TcpStream() { close(); }

  /// Ends the connection before the stream goes: nothing is read, written or watched after that.
  void close() {
    poller_.let_kernel_forget();
    fd_.reset();
  }

  [[nodiscard]] int fd() const { return fd_.get(); }

  void watch(bool readable, bool writable) { poller_.watch(readable, writable); }

  enum class ReadStatus : std::uint8_t { data, nothing_yet, end, error };
  struct ReadResult {
    ReadStatus status = ReadStatus::nothing_yet;
    std::size_t size = 0;
    int error = 0;
  };
  ReadResult read(MutableBytes buffer);

  /// Writes as much of the queue as the kernel takes and removes it. 0, or the errno of a connection that is broken.
  int write(ByteQueue& queue);

  /// Lets the destructor send RST instead of FIN: the peer sees a refusal.
  void reset_on_close();

 private:
  UniqueFd fd_;
  Poller poller_;  // closed before the descriptor
};

}  // namespace dotrelay
