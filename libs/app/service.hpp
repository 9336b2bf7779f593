// What a service gets from its process and what a process expects of a service. `ternd` runs five of them in one
// process, the other binaries one each.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "libs/base/clock.hpp"
#include "libs/base/result.hpp"

namespace caf {
class actor_system;
}
namespace tern::metrics {
class registry;
}
namespace tern::rpc {
class network;
}

namespace tern::app {

/// How a dependency was found.
struct dependency_state {
  bool ok = false;
  std::string text;       // for people: why not, in the server's own words
  int64_t schema = -1;    // of a database: its newest migration; -1: none, or not known
  std::string directory;  // where its files are, if on this machine: its disk is looked at
};

/// Something outside of this process that a service cannot do without, or not do well.
struct dependency {
  std::string name;                         // "shard shard-1", "meta database", "redis"
  std::string kind;                         // "shard", "meta", "redis"
  std::string where;                        // for people, without secrets
  std::function<dependency_state()> probe;  // tries it now; blocks for a few seconds at most; from any thread
};

/// Readiness as /readyz, /startupz and /livez report it. Thread-safe.
class health {
 public:
  virtual ~health() = default;
  /// A named condition; not ready until each is true. `why` is shown when it is not.
  virtual void set_ready(const std::string& condition, bool ready, const std::string& why = {}) = 0;
  /// Registers a liveness probe: /livez fails when it returns false (event loop stuck); must not touch a database.
  virtual void add_liveness(const std::string& name, std::function<bool()> probe) = 0;
  /// Tried whenever somebody asks for /statusz. The probe must not refer to the service.
  virtual void add_dependency(dependency) {}
};

/// Lives longer than every service built with it.
struct context {
  const clock& time;
  metrics::registry& metrics;
  caf::actor_system& actors;
  rpc::network& network;
  app::health& health;
  std::string node = {};     // stable name of this node, e.g. "session-0"; in ternd "<service>-0" per service
  uint64_t incarnation = 0;  // new at every process start
  std::string address = {};  // where peers reach this service: "host:port", "unix:PATH", "local:<node>" in ternd
  std::string routing_address = {};  // membership_options.routing_address: "local:routing-0" in ternd
  /// For what this process cannot go on after (a failed fsync): logs it, drains, ends with exit code 1. Thread-safe.
  std::function<void(const std::string& why)> fatal = [](const std::string&) {};
};

/// A running service. Calls come from the main thread, in this order.
class service {
 public:
  virtual ~service() = default;
  virtual std::string name() const = 0;
  /// Opens, connects, spawns; returns when started (not necessarily ready). An error ends the process with its text.
  virtual result<void> start() = 0;
  /// SIGTERM: stops taking new work and hands over or finishes what it has, at most until `limit`.
  virtual void drain(std::chrono::milliseconds limit) = 0;
  /// Ends everything; afterwards nothing of the service runs.
  virtual void stop() = 0;
};

}  // namespace tern::app
