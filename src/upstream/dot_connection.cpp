// See dot_connection.hpp.
#include "upstream/dot_connection.hpp"

#include "dns/framing.hpp"
#include "net/sockets.hpp"

#include <cassert>
#include <cerrno>
#include <ctime>
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

CloseKind close_kind(TlsSession::FailureKind kind) {
  switch (kind) {
    case TlsSession::FailureKind::authentication:
      return CloseKind::authentication;
    case TlsSession::FailureKind::unsupported:  // the server is well, and a new session does what this one did
      return CloseKind::closed_by_peer;
    case TlsSession::FailureKind::other:
      return CloseKind::tls;
  }
  return CloseKind::tls;
}

}  // namespace

DotConnection::DotConnection(const Environment& environment, ConnectionHandle handle, const Way& way,
                             const TlsClientContext& tls)
    : environment_(environment), handle_(handle), way_(way), tls_(tls) {
  begin();
  if (state_ == State::closed) environment_.loop.flush_at_turn_end(*this);  // dial() reports nothing inside the call
}

void DotConnection::begin() {
  int error = 0;
  UniqueFd fd = begin_connect(way_.endpoint, way_.egress, error, way_.segment_limit);
  if (!fd) return end_by_errno(error);
  stream_.emplace(environment_.loop, std::move(fd), static_cast<PollListener&>(*this));
  stream_->watch(false, true);
}

DotConnection::~DotConnection() {
  if (state_ != State::ready) return;
  session_->close();
  stream_->write(session_->outgoing());
}

bool DotConnection::send(Bytes message) {
  assert(state_ == State::ready);
  if (unencrypted_.size() + session_->outgoing().size() + message.size() > kMaxQueuedBytes) return false;
  unencrypted_.append(dns::frame_prefix(message.size()));
  unencrypted_.append(message);
  environment_.loop.flush_at_turn_end(*this);
  return true;
}

std::optional<Bytes> DotConnection::next_message() {
  if (!session_) return std::nullopt;
  ByteQueue& plaintext = session_->plaintext();
  plaintext.consume(frame_to_consume_);
  frame_to_consume_ = 0;
  const std::optional<Bytes> message = dns::first_frame(plaintext.bytes());
  if (message) {
    frame_to_consume_ = dns::kFramePrefix + message->size();
  } else if (plaintext.empty()) {
    plaintext.shrink(kKeptBufferBytes);
  }
  return message;
}

PathState DotConnection::path(TimePoint now, Duration delay) {
  const std::optional<TcpFacts> facts = tcp_connected_ ? ask_tcp(stream_->fd()) : std::nullopt;
  if (!facts) return {};
  const UnacknowledgedWrites::Verdict verdict = writes_.judge(*facts, now, delay);
  return {verdict.silent, verdict.look_again, verdict.late, facts->round_trip};
}

Duration DotConnection::handshake_silence(TimePoint now) {
  if (state_ != State::handshaking || !tcp_connected_) return {};
  const std::optional<TcpFacts> facts = ask_tcp(stream_->fd());
  if (!facts || facts->segments_in_flight > 0 || facts->octets_unsent > 0) return {};
  // Acknowledgements that come later are the peer's answers to what it has sent in vain: they are no progress.
  if (handshake_progress_ == TimePoint{}) handshake_progress_ = now - facts->since_acknowledgement;
  return now - handshake_progress_;
}

bool DotConnection::route_has_changed() const {
  return !stream_ || dotrelay::route_has_changed(stream_->fd(), way_.endpoint, way_.egress);
}

void DotConnection::on_poll(bool readable, bool writable) noexcept {
  if (state_ == State::closed) return;
  if (state_ == State::ready) {
    if (writable) write();
    if (!readable) return;
    answers_wait_ = true;
    return environment_.loop.flush_at_turn_end(*this);
  }
  if (!tcp_connected_) {
    if (const int error = take_socket_error(stream_->fd())) {
      end_by_errno(error);
    } else {
      on_connected();
    }
  } else {
    if (readable) read();
    if (writable && state_ != State::closed) write();
  }
  if (state_ == State::closed && ticket_may_be_why()) begin_without_ticket();
  environment_.events.on_activity(handle_, environment_.loop.now());  // may destroy this
}

void DotConnection::on_connected() {
  tcp_connected_ = true;
  state_ = State::handshaking;
  // Not before: where no packet gets through, dials would use up the tickets.
  std::optional<TlsTicket> ticket;
  if (!ticket_refused_) ticket = environment_.tickets.take(std::time(nullptr));
  ticket_offered_ = ticket.has_value();
  session_.emplace(tls_, std::move(ticket), environment_.tickets.wanted());
  if (const std::optional<TcpFacts> facts = ask_tcp(stream_->fd())) writes_.begin(*facts);
  advance_session();
}

/// Servers should ignore a ticket that they do not like, but some end the handshake; behind a balancer whose servers do
/// not share their keys that would be each reconnect.
bool DotConnection::ticket_may_be_why() const {
  return ticket_offered_ && (close_reason_.kind == CloseKind::unreachable || close_reason_.kind == CloseKind::tls);
}

void DotConnection::begin_without_ticket() {
  environment_.counters.add(UpstreamCounter::upstream_tickets_refused, environment_.upstream);
  environment_.counters.add(Counter::upstream_dials);
  environment_.tickets.drop_all();
  ticket_refused_ = true;
  ticket_offered_ = tcp_connected_ = false;
  handshake_progress_ = {};
  session_.reset();
  writes_ = {};
  state_ = State::connecting;
  close_reason_ = {};
  begin();
}

void DotConnection::read() {
  for (int i = 0; i < kMaxReadsPerTurn && state_ != State::closed; ++i) {
    const MutableBytes buffer = environment_.loop.scratch();
    const TcpStream::ReadResult result = stream_->read(buffer);
    switch (result.status) {
      case TcpStream::ReadStatus::data:
        if (state_ == State::handshaking) handshake_progress_ = {};
        session_->incoming().append(buffer.first(result.size));
        advance_session();
        if (result.size < buffer.size()) return;  // the kernel has no more
        break;
      case TcpStream::ReadStatus::nothing_yet:
        return;
      case TcpStream::ReadStatus::end:
        if (state_ == State::ready) return end(CloseKind::closed_by_peer, "closed by the server");
        return end(CloseKind::unreachable, "connection closed during the TLS handshake");
      case TcpStream::ReadStatus::error:
        return end_by_errno(result.error);
    }
  }
}

void DotConnection::advance_session() {
  session_->advance();
  for (const TlsTicket& ticket : session_->take_tickets()) environment_.tickets.add(ticket);
  write();  // also the alert of a session that failed
  switch (session_->state()) {
    case TlsSession::State::handshaking:
      return;
    case TlsSession::State::established:
      if (state_ != State::handshaking) return;
      state_ = State::ready;
      ticket_offered_ = false;
      environment_.counters.add(UpstreamCounter::upstream_handshakes, environment_.upstream);
      if (session_->resumed()) {
        environment_.counters.add(UpstreamCounter::upstream_resumptions, environment_.upstream);
      }
      return;
    case TlsSession::State::closed:
      return end(CloseKind::closed_by_peer, "closed by the server");
    case TlsSession::State::failed:
      if (session_->failed_by_ticket()) {
        environment_.counters.add(UpstreamCounter::upstream_tickets_unusable, environment_.upstream);
        environment_.tickets.do_without();
      }
      return end(close_kind(session_->failure().kind), session_->failure().text);
  }
}

void DotConnection::write() {
  if (state_ == State::closed) return;
  const std::size_t queued = session_->outgoing().size();
  const int error = stream_->write(session_->outgoing());
  if (const std::size_t left = session_->outgoing().size(); left != queued)
    writes_.add(queued - left, environment_.loop.now());
  // A write that fails may leave the reason to be read (an alert): only a read ends the connection.
  if (error != 0) session_->outgoing().clear();
  stream_->watch(true, !session_->outgoing().empty());
}

// Everything that was sent in this turn leaves in as few records and in one write. Answers are read only then: while
// clients were read more of them have come, and more together cost less.
void DotConnection::flush() noexcept {
  if (state_ == State::ready) {
    session_->write(unencrypted_.bytes());
    unencrypted_.clear();
    if (session_->state() == TlsSession::State::failed) {
      end(CloseKind::tls, session_->failure().text);
    } else {
      write();
    }
    if (session_->outgoing().empty()) session_->outgoing().shrink(kKeptBufferBytes);
    unencrypted_.shrink(kKeptBufferBytes);
  }
  const bool read_answers = std::exchange(answers_wait_, false) && state_ == State::ready;
  if (read_answers) read();
  if (read_answers || state_ == State::closed) {
    environment_.events.on_activity(handle_, environment_.loop.now());  // may destroy this
  }
}

void DotConnection::end(CloseKind kind, std::string text) {
  if (state_ == State::closed) return;
  state_ = State::closed;
  close_reason_ = {kind, std::move(text)};
  if (stream_) stream_->watch(false, false);
}

void DotConnection::end_by_errno(int error) {
  if (state_ == State::ready) {
    return end(error == ETIMEDOUT ? CloseKind::timed_out : CloseKind::closed_by_peer, errno_text(error));
  }
  if (error == ETIMEDOUT) return end(CloseKind::timed_out, errno_text(error));
  end(means_no_route(error) ? CloseKind::no_route : CloseKind::unreachable, errno_text(error));
}

}  // namespace dotrelay
