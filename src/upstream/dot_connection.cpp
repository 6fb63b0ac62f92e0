// See dot_connection.hpp.
#include "upstream/dot_connection.hpp"

#include <ctime>

namespace dotrelay {
namespace {

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

DotConnection::DotConnection(const Wiring& wiring, const Way& way, const Environment& environment)
    : FramedConnection(wiring, way), environment_(environment) {
  begin();
}

DotConnection::~DotConnection() {
  if (state() != State::ready) return;
  session_->close();
  write();
}

Duration DotConnection::handshake_silence(TimePoint now) {
  if (state() != State::handshaking) return {};
  const std::optional<TcpFacts> facts = tcp_facts();
  if (!facts || facts->segments_in_flight > 0 || facts->octets_unsent > 0) return {};
  // Acknowledgements that come later are the peer's answers to what it has sent in vain: they are no progress.
  if (handshake_progress_ == TimePoint{}) handshake_progress_ = now - facts->since_acknowledgement;
  return now - handshake_progress_;
}

void DotConnection::on_connected() {
  set_state(State::handshaking);
  // Not before: where no packet gets through, dials would use up the tickets.
  std::optional<TlsTicket> ticket;
  if (!ticket_refused_) ticket = environment_.tickets.take(std::time(nullptr));
  ticket_offered_ = ticket.has_value();
  session_.emplace(environment_.tls, std::move(ticket), environment_.tickets.wanted());
  advance_session();
}

/// Servers should ignore a ticket that they do not like, but some end the handshake; behind a balancer whose servers do
/// not share their keys that would be each reconnect.
bool DotConnection::ticket_may_be_why() const {
  return ticket_offered_ && (close_reason().kind == CloseKind::unreachable || close_reason().kind == CloseKind::tls);
}

void DotConnection::recover() {
  if (!ticket_may_be_why()) return;
  environment_.counters.add(UpstreamCounter::upstream_tickets_refused, environment_.upstream);
  environment_.counters.add(Counter::upstream_dials);
  environment_.tickets.drop_all();
  ticket_refused_ = true;
  ticket_offered_ = false;
  handshake_progress_ = {};
  session_.reset();
  begin_again();
}

void DotConnection::take_octets(Bytes octets) {
  if (state() == State::handshaking) handshake_progress_ = {};
  session_->incoming().append(octets);
  advance_session();
}

void DotConnection::advance_session() {
  session_->advance();
  for (const TlsTicket& ticket : session_->take_tickets()) environment_.tickets.add(ticket);
  write();  // also the alert of a session that failed
  switch (session_->state()) {
    case TlsSession::State::handshaking:
      return;
    case TlsSession::State::established:
      if (state() == State::handshaking) on_established();
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

void DotConnection::on_established() {
  set_state(State::ready);
  ticket_offered_ = false;
  environment_.counters.add(UpstreamCounter::upstream_handshakes, environment_.upstream);
  if (session_->resumed()) environment_.counters.add(UpstreamCounter::upstream_resumptions, environment_.upstream);
}

// In as few records as they fit in.
void DotConnection::encode(ByteQueue& frames) {
  session_->write(frames.bytes());
  frames.clear();
  if (session_->state() == TlsSession::State::failed) end(CloseKind::tls, session_->failure().text);
}

}  // namespace dotrelay
