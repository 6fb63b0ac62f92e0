// A stream over loopback: octets, its end, a reset.
#include "net/tcp_stream.hpp"

#include "net/acceptor.hpp"
#include "net/loopback.hpp"

#include <optional>
#include <vector>

namespace dotrelay::test {
namespace {

TEST_CASE("a stream: octets, nothing yet, the end, a reset, and a queue longer than the kernel takes") {
  Loop loop;
  Deaf deaf;
  const UniqueFd server = listener(loopback(), Protocol::tcp);
  int error = 0;
  std::optional<TcpStream> near;
  near.emplace(loop, begin_connect(bound_to(server), {}, error), deaf);
  wait_readable(server.get());
  TcpStream far(loop, accept_connection(server.get()).fd, deaf);
  std::vector<std::uint8_t> buffer(1 << 16);
  CHECK(far.read(buffer).status == TcpStream::ReadStatus::nothing_yet);

  ByteQueue queue;
  queue.append(std::vector<std::uint8_t>(32 << 20, 7));
  CHECK(near->write(queue) == 0);
  CHECK_FALSE(queue.empty());
  std::size_t received = 0;
  while (received < 32 << 20) {
    wait_readable(far.fd());
    const auto result = far.read(buffer);
    REQUIRE(result.status == TcpStream::ReadStatus::data);
    received += result.size;
    REQUIRE(near->write(queue) == 0);
  }
  CHECK(queue.empty());

  TcpStream::ReadStatus expected = TcpStream::ReadStatus::end;
  SUBCASE("closed") { near.reset(); }
  SUBCASE("one side closed") { shutdown(near->fd(), SHUT_WR); }
  SUBCASE("reset") {
    near->reset_on_close();
    near.reset();
    expected = TcpStream::ReadStatus::error;
  }
  wait_readable(far.fd());
  CHECK(far.read(buffer).status == expected);
}

}  // namespace
}  // namespace dotrelay::test
