// See framed_connection.hpp.
#include "upstream/framed_connection.hpp"

#include "dns/framing.hpp"
#include "net/sockets.hpp"

#include <cassert>
#include <cerrno>
#include <utility>

namespace dotrelay {
namespace {

/// Reads of 64 KiB in one turn: an upstream that sends without end must not starve the others.
constexpr int kMaxReadsPerTurn = 8;

/// Buffers that a burst has made larger than this are given back.
constexpr std::size_t kKeptBufferBytes = 64 * 1024;

bool means_no_route(int error) {
  return error == ENETUNREACH || error == EHOSTUNREACH || error == ENETDOWN || error == EADDRNOTAVAIL ||
         error == EAFNOSUPPORT || error == ENODEV || error == EPERM || error == EACCES;
}

}  // namespace

void FramedConnection::begin() {
  begin_again();
  if (state_ == State::closed) wiring_.loop.flush_at_turn_end(*this);  // dial() reports nothing inside the call
}

void FramedConnection::begin_closed(std::string why) {
  end(CloseKind::no_route, std::move(why));
  wiring_.loop.flush_at_turn_end(*this);
}

void FramedConnection::begin_again() {
  tcp_connected_ = false;
  state_ = State::connecting;
  close_reason_ = {};
  writes_ = {};
  int error = 0;
  UniqueFd fd = begin_connect(way_.endpoint, way_.egress, error, way_.segment_limit);
  if (!fd) return end_by_errno(error);
  stream_.emplace(wiring_.loop, std::move(fd), static_cast<PollListener&>(*this));
  stream_->watch(false, true);
}

bool FramedConnection::send(Bytes message) {
  assert(state_ == State::ready);
  if (frames_.size() + outgoing().size() + message.size() > kMaxQueuedBytes) return false;
  frames_.append(dns::frame_prefix(message.size()));
  frames_.append(message);
  wiring_.loop.flush_at_turn_end(*this);
  return true;
}

std::optional<Bytes> FramedConnection::next_message() {
  if (!tcp_connected_) return std::nullopt;
  ByteQueue& frames = incoming_frames();
  frames.consume(frame_to_consume_);
  frame_to_consume_ = 0;
  const std::optional<Bytes> message = dns::first_frame(frames.bytes());
  if (message) {
    frame_to_consume_ = dns::kFramePrefix + message->size();
  } else if (frames.empty()) {
    frames.shrink(kKeptBufferBytes);
  }
  return message;
}

std::optional<TcpFacts> FramedConnection::tcp_facts() const {
  return tcp_connected_ ? ask_tcp(stream_->fd()) : std::nullopt;
}

PathState FramedConnection::path(TimePoint now, Duration delay) {
  const std::optional<TcpFacts> facts = tcp_facts();
  if (!facts) return {};
  const UnacknowledgedWrites::Verdict verdict = writes_.judge(*facts, now, delay);
  return {verdict.silent, verdict.look_again, verdict.late, facts->round_trip};
}

bool FramedConnection::route_has_changed() const {
  return !stream_ || dotrelay::route_has_changed(stream_->fd(), way_.endpoint, way_.egress);
}

void FramedConnection::on_poll(bool readable, bool writable) noexcept {
  if (state_ == State::closed) return;
  if (state_ == State::ready) {
    if (writable) write();
    if (!readable) return;
    answers_wait_ = true;
    return wiring_.loop.flush_at_turn_end(*this);
  }
  advance_connecting(readable, writable);
  wiring_.events.on_activity(wiring_.handle, wiring_.loop.now());  // may destroy this
}

void FramedConnection::advance_connecting(bool readable, bool writable) {
  if (tcp_connected_) {
    if (readable) read();
    if (writable && state_ != State::closed) write();
  } else if (const int error = take_socket_error(stream_->fd())) {
    end_by_errno(error);
  } else {
    tcp_connected_ = true;
    if (const std::optional<TcpFacts> facts = tcp_facts()) writes_.begin(*facts);
    on_connected();
  }
  if (state_ == State::closed) recover();
}

void FramedConnection::read() {
  for (int i = 0; i < kMaxReadsPerTurn && state_ != State::closed; ++i) {
    const MutableBytes buffer = wiring_.loop.scratch();
    const TcpStream::ReadResult result = stream_->read(buffer);
    switch (result.status) {
      case TcpStream::ReadStatus::data:
        take_octets(buffer.first(result.size));
        if (result.size < buffer.size()) return;  // the kernel has no more
        break;
      case TcpStream::ReadStatus::nothing_yet:
        return;
      case TcpStream::ReadStatus::end:
        return end_by_end_of_stream();
      case TcpStream::ReadStatus::error:
        return end_by_errno(result.error);
    }
  }
}

void FramedConnection::write() {
  if (state_ == State::closed) return;
  ByteQueue& queue = outgoing();
  const std::size_t queued = queue.size();
  const int error = stream_->write(queue);
  if (const std::size_t left = queue.size(); left != queued) writes_.add(queued - left, wiring_.loop.now());
  // A write that fails may leave the reason to be read (an alert): only a read ends the connection.
  if (error != 0) queue.clear();
  stream_->watch(true, !queue.empty());
}

// Everything that was sent in this turn leaves in one write. Answers are read only then: while clients were read more
// of them have come, and more together cost less.
void FramedConnection::flush() noexcept {
  if (state_ == State::ready) {
    encode(frames_);
    write();
    if (outgoing().empty()) outgoing().shrink(kKeptBufferBytes);
    frames_.shrink(kKeptBufferBytes);
  }
  const bool read_answers = std::exchange(answers_wait_, false) && state_ == State::ready;
  if (read_answers) read();
  if (read_answers || state_ == State::closed) {
    wiring_.events.on_activity(wiring_.handle, wiring_.loop.now());  // may destroy this
  }
}

void FramedConnection::end(CloseKind kind, std::string text) {
  if (state_ == State::closed) return;
  state_ = State::closed;
  close_reason_ = {kind, std::move(text)};
  if (stream_) stream_->watch(false, false);
}

void FramedConnection::end_by_end_of_stream() {
  if (state_ == State::ready) return end(CloseKind::closed_by_peer, "closed by the server");
  end(CloseKind::unreachable, "connection closed during the TLS handshake");  // one without TLS is ready at once
}

void FramedConnection::end_by_errno(int error) {
  if (state_ == State::ready) {
    return end(error == ETIMEDOUT ? CloseKind::timed_out : CloseKind::closed_by_peer, errno_text(error));
  }
  if (error == ETIMEDOUT) return end(CloseKind::timed_out, errno_text(error));
  end(means_no_route(error) ? CloseKind::no_route : CloseKind::unreachable, errno_text(error));
}

}  // namespace dotrelay
