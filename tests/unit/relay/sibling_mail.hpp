// Workers that pass queries on to each other without sockets: what one says waits in the other's mailbox until the test
// delivers it. For unit tests and the simulation.
#pragma once

#include "relay/forwarder.hpp"
#include "relay/shared_connections.hpp"
#include "relay/siblings.hpp"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace dotrelay::test {

class SiblingMail {
 public:
  SiblingMail(std::size_t workers, std::size_t addresses) : words_(workers * addresses) {
    for (std::size_t i = 0; i < workers; ++i) members_.push_back(std::make_unique<Member>(*this, i));
  }

  /// The arguments of a worker's Forwarder. Workers count from 0 here.
  [[nodiscard]] SharedConnections connections(std::size_t worker) { return {words_, worker, members_.size()}; }
  [[nodiscard]] Siblings* siblings(std::size_t worker) { return members_[worker].get(); }
  void join(std::size_t worker, Forwarder& forwarder) { members_[worker]->forwarder = &forwarder; }

  /// Called for each record that has come for a worker, which is to be given to it by receive() later.
  std::function<void(std::size_t worker)> on_mail = [](std::size_t) {};

  /// The worker reads its next record. False when there is none.
  bool receive(std::size_t worker, TimePoint now) {
    Member& member = *members_[worker];
    if (member.mail.empty()) return false;
    const Record record = std::move(member.mail.front());
    member.mail.pop_front();
    const Borrower from{static_cast<std::uint16_t>(record.from + 1), record.link};
    switch (record.kind) {
      case Kind::query:
        member.forwarder->lending().take(from, record.address, record.message, now);
        return true;
      case Kind::left:
        member.forwarder->lending().release(from);
        return true;
      default:
        member.receive(record, now);
        return true;
    }
  }

  /// All workers read until nothing is left.
  void deliver(TimePoint now) {
    for (bool more = true; more;) {
      more = false;
      for (std::size_t i = 0; i < members_.size(); ++i) more = receive(i, now) || more;
    }
  }

  /// The worker has died: the others hear of it, and its words are cleared.
  void die(std::size_t worker, TimePoint now) {
    const std::size_t addresses = words_.size() / members_.size();
    for (std::size_t i = 0; i < addresses; ++i) {
      words_[worker * addresses + i].ready_since = 0;
      words_[worker * addresses + i].dialling_since = 0;
    }
    for (std::size_t i = 0; i < members_.size(); ++i) {
      if (i == worker) continue;
      members_[i]->forwarder->lending().release_all(static_cast<std::uint16_t>(worker + 1));
      members_[i]->end_links(worker, now);
    }
  }

  bool takes_mail = true;  ///< false: nobody reads, and all mailboxes are full

 private:
  using Octets = std::vector<std::uint8_t>;
  enum class Kind : std::uint8_t { query, answer, refused, closed, left };
  struct Record {
    Kind kind;
    std::size_t from;
    std::uint32_t link;
    std::size_t address;
    Octets message;
  };
  class Link;

  struct Member final : public Siblings {
    Member(SiblingMail& mail_of_all, std::size_t number) : all(mail_of_all), number(number) {}

    std::unique_ptr<Connection> connect(std::uint16_t worker, std::size_t address, ConnectionHandle handle) override {
      const std::uint32_t name = next_link++;
      auto link = std::make_unique<Link>(*this, name, worker - 1U, address, handle);
      links[name] = link.get();
      return link;
    }
    void answer(const Borrower& borrower, Bytes message) override {
      all.send(borrower.worker - 1U, {Kind::answer, number, borrower.link, 0, {message.begin(), message.end()}});
    }
    void close(const Borrower& borrower, bool asked) override {
      all.send(borrower.worker - 1U, {asked ? Kind::closed : Kind::refused, number, borrower.link, 0, {}});
    }

    void receive(const Record& record, TimePoint now) {
      const auto found = links.find(record.link);
      if (found == links.end() || found->second->lender != record.from) return;
      Link& link = *found->second;
      if (record.kind == Kind::answer) {
        link.inbox.push_back(record.message);
        return forwarder->on_activity(link.handle, now);
      }
      end(link, record.kind == Kind::refused ? CloseKind::unreachable : CloseKind::closed_by_peer, now);
    }
    void end(Link& link, CloseKind kind, TimePoint now) {
      link.reason = {kind, "the other worker's connection has ended"};
      link.closed = true;
      forwarder->on_activity(link.handle, now);
    }
    void end_links(std::size_t lender, TimePoint now) {
      for (const auto& [name, link] : std::map(links)) {
        if (link->lender == lender) end(*link, CloseKind::closed_by_peer, now);
      }
    }

    SiblingMail& all;
    const std::size_t number;
    Forwarder* forwarder = nullptr;
    std::deque<Record> mail;
    std::map<std::uint32_t, Link*> links;
    std::uint32_t next_link = 1;
  };

  class Link final : public Connection {
   public:
    Link(Member& member, std::uint32_t name, std::size_t lender, std::size_t address, ConnectionHandle handle)
        : lender(lender), handle(handle), member_(member), name_(name), address_(address) {}
    ~Link() override {
      member_.links.erase(name_);
      if (!closed) member_.all.send(lender, {Kind::left, member_.number, name_, 0, {}});
    }

    [[nodiscard]] State state() const override { return closed ? State::closed : State::ready; }
    bool send(Bytes message) override {
      if (!member_.all.takes_mail) return false;
      member_.all.send(lender, {Kind::query, member_.number, name_, address_, {message.begin(), message.end()}});
      return true;
    }
    std::optional<Bytes> next_message() override {
      if (inbox.empty()) return std::nullopt;
      current_ = std::move(inbox.front());
      inbox.pop_front();
      return Bytes(current_);
    }
    [[nodiscard]] const CloseReason& close_reason() const override { return reason; }
    [[nodiscard]] PathState path(TimePoint, Duration) override { return {}; }
    [[nodiscard]] Duration handshake_silence(TimePoint) override { return {}; }
    [[nodiscard]] bool route_has_changed() const override { return false; }
    [[nodiscard]] std::string description() const override { return "through a sibling"; }

    const std::size_t lender;
    const ConnectionHandle handle;
    std::deque<Octets> inbox;
    CloseReason reason;
    bool closed = false;

   private:
    Member& member_;
    const std::uint32_t name_;
    const std::size_t address_;
    Octets current_;
  };

  void send(std::size_t to, Record record) {
    members_[to]->mail.push_back(std::move(record));
    on_mail(to);
  }

  std::vector<WorkerConnections> words_;
  std::vector<std::unique_ptr<Member>> members_;
};

}  // namespace dotrelay::test
