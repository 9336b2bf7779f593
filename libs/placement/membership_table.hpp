// Who is in the cluster, as routing sees it: a pure state machine over a clock. No I/O, no threads.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "libs/base/clock.hpp"
#include "libs/placement/planner.hpp"
#include "libs/placement/view.hpp"

namespace tern::placement {

struct table_options {
  std::chrono::milliseconds lease{6000};  // a silent node is dead after this
  std::chrono::milliseconds suspect{
      2000};                              // a node whose stream broke and which does not come back is dead after this
  std::chrono::milliseconds settle{300};  // a new node waits so long for others before ranges move to it
  std::chrono::milliseconds grace{6000};  // expect(): a node that was there has so long to come back
};

/// What a node says of itself when it joins.
struct announcement {
  node self;  // `alive` is ignored
  std::vector<std::string> shards;
  bool slots_wanted = false;
  bool moves = false;  // takes orders to hand over ranges, and takes ranges from others
};

/// Not thread-safe.
class membership_table {
 public:
  using time_point = clock::time_point;

  membership_table(const clock& time, table_options how) : time_(time), how_(how) {}

  /// A new leader: a node that was there. It has the grace to come back and is a candidate until then.
  void expect(const node& known, std::vector<std::string> owned_shards, bool slots_wanted);
  /// A node joins, comes back, or says something new of itself (drain). The newest incarnation wins.
  void join(const announcement& what);
  /// True when the lease was renewed; false for an unknown node or another incarnation.
  bool renew(const std::string& name, uint64_t incarnation);
  /// What a heartbeat says besides. Ignored for an unknown node or another incarnation.
  void report(const std::string& name, uint64_t incarnation, uint64_t load, uint64_t map_version);
  /// So many sessions or rooms have gone from one node to another: an estimate until their next heartbeats.
  void shift_load(const std::string& from, const std::string& to, uint64_t count);
  /// Its stream broke.
  void disconnected(const std::string& name, uint64_t incarnation);
  /// It said goodbye.
  void leave(const std::string& name, uint64_t incarnation);
  /// Ends leases and settling periods that are over. True when something changed.
  bool tick();

  /// Everybody, dead ones included (owners of ranges may be dead for want of others), by name.
  std::vector<node> nodes() const;
  /// Nodes of a service that take ranges or shards now.
  std::vector<candidate> candidates(const std::string& service) const;
  /// The maps with new epochs for restarted nodes are committed: call with the incarnations they were made for.
  void restarts_done(const std::vector<node>& committed);
  /// Forgets dead nodes that `owners` does not name.
  void forget_dead(const std::vector<std::string>& owners);

  struct member {
    node info;
    std::vector<std::string> shards;
    bool slots_wanted = false;
    bool restarted = false;
    bool admitted = false;     // takes ranges
    time_point admitted_at{};  // when it will be
    time_point expires{};
    time_point grace_until{};  // of expect(): not dead before, unless it says so or has restarted
    bool moves = true;         // as announced; who was only expected is not asked before it is back
    bool connected = false;    // its stream is up
    uint64_t load = 0;         // as reported
    uint64_t map_version = 0;  // that it has applied
    time_point heard{};        // last heartbeat; zero: never
  };
  const std::map<std::string, member>& all() const noexcept { return members_; }
  const member* find(const std::string& name) const;

 private:
  const clock& time_;
  const table_options how_;
  std::map<std::string, member> members_;
};

}  // namespace tern::placement
