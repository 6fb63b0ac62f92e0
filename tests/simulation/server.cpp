// See server.hpp.
#include "server.hpp"

namespace dotrelay::simulation {
namespace {

/// The one of Fault::domain_errors.
constexpr unsigned kBrokenDomain = 3;

}  // namespace

Servers::Servers(const Plan& plan, Timeline& timeline, Transcript& transcript, Checker& checker, Random& random,
                 Network& network)
    : plan_(plan), timeline_(timeline), transcript_(transcript), checker_(checker), random_(random), network_(network) {
  network_.on_established = [this](Line& line) { watch_idle(line); };
  network_.on_query = [this](Line& line, std::size_t query) { on_query(line, query); };
  for (std::size_t i = 0; i < plan_.hosts.size(); ++i) {
    for (std::size_t j = 0; j < plan_.hosts[i].size(); ++j) {
      for (const Phase& phase : plan_.hosts[i][j].phases) {
        timeline_.at(phase.from, [this, i, j, &phase] { begin_phase(i, j, phase); });
      }
    }
  }
}

void Servers::begin_phase(std::size_t upstream, std::size_t address, const Phase& phase) {
  const auto fault = static_cast<std::uint64_t>(phase.fault);
  transcript_.add(timeline_.now(), Happening::fault_begins, 0, upstream, address, fault);
  if (phase.until > phase.from) {
    timeline_.at(phase.until, [this, upstream, address, fault] {
      transcript_.add(timeline_.now(), Happening::fault_ends, 0, upstream, address, fault);
    });
  }
  network_.for_each_open([&](Line& line) {
    if (line.host != &plan_.hosts[upstream][address]) return;
    switch (phase.fault) {
      case Fault::connections_die:
        line.dead_since = std::min(line.dead_since, timeline_.now());
        break;
      case Fault::restart:
        line.forgotten = true;
        break;
      case Fault::reset_all:
      case Fault::down:
        network_.end(line, CloseKind::closed_by_peer, "connection reset by peer");
        break;
      case Fault::close_all:
        network_.end(line, CloseKind::closed_by_peer, "closed by the server");
        break;
      default:
        break;
    }
  });
}

/// Looks again when the server would be tired of the connection, if nothing happens on it until then.
void Servers::watch_idle(Line& line) {
  const Duration limit = line.host->idle_close;
  if (limit == Duration{} || line.gone || line.closed) return;
  const TimePoint due = line.last_activity + limit;
  if (due <= timeline_.now() && line.open == 0) {
    return network_.end(line, CloseKind::closed_by_peer, "closed by the server");
  }
  timeline_.at(std::max(due, timeline_.now() + milliseconds(10)), [this, &line] { watch_idle(line); });
}

Duration Servers::thinking_time(Question question) {
  const Duration quick = microseconds(200 + random_.below(random_.below(8) == 0 ? 40000 : 3000));
  switch (truth_of(question)) {
    case Truth::slow:
      return milliseconds(200 + random_.below(800));
    case Truth::broken:
      return milliseconds(500 + random_.below(3000));
    default:
      return quick;
  }
}

void Servers::on_query(Line& line, std::size_t query) {
  const TimePoint now = timeline_.now();
  const HostPlan& host = *line.host;
  transcript_.add(now, Happening::arrives, line.worker, line.number, query);
  line.last_activity = now;
  const Question question = read_message(line.queries[query])->question;
  if (host.has(Fault::mute, now) || truth_of(question) == Truth::unanswered) return;
  if (host.has(Fault::reset_on_query, now) && random_.below(2) == 0) {
    return network_.end(line, CloseKind::closed_by_peer, "connection reset by peer");
  }
  if (host.has(Fault::close_on_query, now)) {
    return network_.end(line, CloseKind::closed_by_peer, "closed by the server");
  }
  ++line.open;
  Duration thinking = thinking_time(question);
  if (host.has(Fault::slow_answers, now)) thinking += milliseconds(50 + random_.below(3000));
  timeline_.after(thinking, [this, &line, query] {
    --line.open;
    if (line.closed || line.forgotten) return;
    answer(line, query);
    line.last_activity = timeline_.now();
    if (++line.answered == line.host->close_after) {
      network_.end(line, CloseKind::closed_by_peer, "closed by the server");
    }
  });
}

void Servers::answer(Line& line, std::size_t query) {
  const TimePoint now = timeline_.now();
  const HostPlan& host = *line.host;
  if (misbehave(line, query)) return;
  const Octets& octets = line.queries[query];
  if (host.has(Fault::malformed_answers, now) && random_.below(4) > 0) {
    transcript_.add(now, Happening::misbehaves, line.worker, line.number, query,
                    static_cast<unsigned>(Fault::malformed_answers));
    return network_.deliver(line, write_malformed_answer(octets, random_));
  }
  if (host.has(Fault::domain_errors, now) && domain_of(read_message(octets)->question) == kBrokenDomain) {
    const unsigned rcode = random_.below(2) == 0 ? 2 : 5;
    return send(line, query, write_answer(octets, rcode), rcode);
  }
  if (host.has(Fault::bare_errors, now)) {
    const unsigned rcode = random_.below(2) == 0 ? 1 : 4;
    checker_.bare_error_sent(rcode);
    return send(line, query, write_bare_error(octets, rcode), rcode);
  }
  if (host.has(Fault::servfail, now)) return send(line, query, write_answer(octets, 2), 2);
  if (host.has(Fault::refused, now)) return send(line, query, write_answer(octets, 5), 5);
  Octets frame = write_true_answer(octets);
  const unsigned rcode = frame[3] & 15U;
  send(line, query, std::move(frame), rcode);
}

/// Sends something else instead of the answer (true), or before it.
bool Servers::misbehave(Line& line, std::size_t query) {
  const TimePoint now = timeline_.now();
  const Octets& octets = line.queries[query];
  const auto wrong = [&](Fault fault, auto make) {
    if (!line.host->has(fault, now) || random_.below(2) == 0) return false;
    transcript_.add(now, Happening::misbehaves, line.worker, line.number, query, static_cast<unsigned>(fault));
    network_.deliver(line, make());
    return true;
  };
  const auto garbage = [&] {
    Octets frame(1 + random_.below(40));
    for (std::uint8_t& octet : frame) octet = static_cast<std::uint8_t>(random_.below(256));
    return frame;
  };
  if (wrong(Fault::garbage, garbage)) return true;
  wrong(Fault::empty_frames, [] { return Octets{}; });
  wrong(Fault::stale_answers,
        [&] { return write_true_answer(line.queries[random_.below(static_cast<std::uint32_t>(query) + 1)]); });
  wrong(Fault::duplicates, [&] { return write_true_answer(octets); });
  return wrong(Fault::mismatches, [&] {
    Octets frame = write_true_answer(octets);
    ++frame[random_.below(2) == 0 ? 14 : 1];  // another question under this ID, or this one under another
    return frame;
  });
}

void Servers::send(Line& line, std::size_t query, Octets frame, unsigned rcode) {
  transcript_.add(timeline_.now(), Happening::answers, line.worker, line.number, query, rcode);
  checker_.error_sent(read_message(line.queries[query])->question, rcode);
  network_.deliver(line, std::move(frame));
}

}  // namespace dotrelay::simulation
