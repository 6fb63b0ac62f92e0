// The workers of one configuration, from their start to their end: ready, serving, handing over to the next generation,
// gone. It replaces workers that die or hang, and gives up those that do not start. When to do what is the
// supervisor's business.
#pragma once

#include "base/log.hpp"
#include "config/config.hpp"
#include "metrics/totals.hpp"
#include "net/handles.hpp"
#include "net/sockets.hpp"
#include "process/shared_cache.hpp"
#include "process/shared_state.hpp"
#include "supervisor/generation_worker.hpp"
#include "supervisor/listen_sockets.hpp"
#include "supervisor/mailbox.hpp"

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace dotrelay {

/// What the workers of a generation are made of.
struct GenerationParts {
  Config config;
  std::string config_file;  ///< for texts
  UniqueFd config_memory;   ///< a memfd with the text, so that all workers run the same one
  std::optional<SharedState> shared;
  std::optional<SharedCache> cache;    ///< none where answers are not kept
  std::vector<WorkerSockets> sockets;  ///< of each worker
  std::vector<Mailbox> mailboxes;      ///< of each worker; none where they pass nothing on to each other
};

/// "exited with status 1": for the status of waitpid(2).
std::string how_it_ended(int status);

class Generation {
 public:
  enum class Stage : std::uint8_t {
    candidate,  ///< must become ready as a whole; serves no client yet
    serving,    ///< workers that end are replaced
    retiring,   ///< workers end
  };

  struct Listener {
    virtual ~Listener() = default;
    /// All workers (but those given up) are ready for the first time. The generation survives the call, as below.
    virtual void on_ready(Generation& generation) = 0;
    /// A candidate has failed, or no worker is left to serve. Nothing has been killed.
    virtual void on_failed(Generation& generation, const std::string& why) = 0;
  };

  /// A worker that runs already, as an upgrade finds it.
  struct RunningWorker {
    std::uint32_t number = 0;
    pid_t pid = 0;
    int control = -1;
  };

  /// The references outlive the generation.
  Generation(Loop& loop, Listener& listener, Log& log, GenerationParts parts, Stage stage);

  /// Starts all workers.
  void start();
  /// Takes on a running worker. To be called before anything else, followed by start_missing() instead of start().
  void adopt(const RunningWorker& worker);
  /// Starts those that adopt() has not brought, except those that were given up.
  void start_missing();

  /// A candidate begins to serve: all workers read their listeners from now on.
  void serve();
  /// Has every worker give its listeners and clients to `successor`, which serves, and exit.
  void hand_over(Generation& successor);
  /// Has every worker drain and exit, those too that are handing over.
  void dismiss();
  /// Replaces no worker any more, and bounds the time until all are gone.
  void retire();
  void kill_all();

  /// To be called every kHeartbeatInterval.
  void check_heartbeats();

  /// Notes the end of a child. False when it was none of this generation.
  bool reap(pid_t pid, int status);

  [[nodiscard]] bool ended() const;
  [[nodiscard]] bool hopeless() const;  ///< no worker can start
  [[nodiscard]] Stage stage() const { return stage_; }
  [[nodiscard]] std::size_t ready_workers() const;
  [[nodiscard]] const Config& config() const { return parts_.config; }
  [[nodiscard]] const GenerationParts& parts() const { return parts_; }
  [[nodiscard]] std::vector<RunningWorker> running_workers() const;
  /// What its workers have counted so far, those that have ended included.
  [[nodiscard]] Totals sum() const;

 private:
  using Worker = GenerationWorker;

  bool start(Worker& worker);
  void became_ready(Worker& worker);
  void ended(Worker& worker, int status);
  void start_failed(Worker& worker, const std::string& why);
  static void leave_ports(const WorkerSockets& leases, Protocol protocol);
  void leave_tcp_ports(const Worker& worker);
  [[nodiscard]] bool leases(const SocketPair& pair) const;
  Worker* running_worker(std::size_t index);

  Loop& loop_;
  Listener& listener_;
  Log& log_;
  GenerationParts parts_;
  Stage stage_;
  bool announced_ = false;
  std::list<Worker> workers_;
  Timer kill_limit_;
};

}  // namespace dotrelay
