// A node's membership of the cluster: the client of routing's Join stream. It reports the node, renews its lease and
// feeds the node's view of the maps.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/clock.hpp"
#include "libs/placement/moves.hpp"
#include "libs/placement/view.hpp"
#include "libs/rpc/network.hpp"

namespace tern::routing::v1 {
class ShardList;
class ShardMoveOrder;
class ShardMoveProgress;
class ShardsServed;
}  // namespace tern::routing::v1

namespace tern::placement {

struct membership_options {
  rpc::peer self;
  std::string address;              // where peers reach this node
  std::vector<std::string> shards;  // storage: the shards it can serve, in order of preference
  bool slots_wanted = false;        // session, group, storage: give this node ranges or shards
  std::string routing_address;      // of each routing replica, separated by commas
  /// Orders to hand over ranges; empty: ranges of this node change their owner without notice. Called on a transport
  /// thread, must not block. Each order is answered by move_done().
  std::function<void(const move_order&)> on_move = {};
  /// Storage: shards beside those above, and orders to move slots between shards, each answered by shard_moved() as
  /// often as there is something to say. As above.
  std::function<void(const routing::v1::ShardList&)> on_shards = {};
  std::function<void(const routing::v1::ShardMoveOrder&)> on_shard_move = {};
  /// An operator drains the node, or takes that back. As above.
  std::function<void(bool on)> on_drain = {};
  /// Sessions, rooms or connections here, for heartbeats. Any thread.
  std::function<uint64_t()> load = {};
};

/// Thread-safe. Lives longer than whatever it handed the view to.
class membership {
 public:
  membership(rpc::network& network, const clock& time, membership_options what);
  ~membership();
  membership(const membership&) = delete;
  membership& operator=(const membership&) = delete;

  /// Connects (and keeps reconnecting) and sends a heartbeat every 2 s. Returns at once.
  void start();
  /// The same without a thread, by the clock alone: does what is due. To be called some times a second, by one
  /// caller, instead of start(); stop() then waits for nobody.
  void step();
  /// The newest maps; version 0 until routing has answered for the first time, kept while routing is away.
  view& cluster() noexcept;
  /// True while nobody else can own this node's ranges, as far as it can tell:
  /// - a heartbeat sent less than 4 s ago was answered (routing gives the ranges away after 6 s), or
  /// - the stream broke while that was so and has not come back: routing itself has died. Nobody moves ranges then,
  /// and
  ///   the last maps stay in force. A node that is cut off hears nothing instead, its stream stays, and 4 s later
  ///   this is false.
  /// A wrong guess is harmless: epochs decide, storage fences by them.
  bool lease_valid() const;
  /// The last heartbeat answered was sent so many milliseconds ago; -1 when none was.
  int64_t lease_age_ms() const;
  /// Drain: asks routing to give this node's ranges to others (slots_wanted = false); the stream stays, so the new
  /// maps are seen. Idempotent.
  void leave();
  /// The answer to an order. Lost when routing is away: it will ask again.
  void move_done(const move_result& result);
  /// Lost when routing is away, as above.
  void shard_moved(const routing::v1::ShardMoveProgress& progress);
  /// Sent now and, the newest, at the beginning of each stream; in place of membership_options::shards.
  void shards_served(const routing::v1::ShardsServed& what);
  /// Says goodbye (Leave) and ends the stream. Afterwards the view no longer changes. Idempotent; the destructor does
  /// it.
  void stop();

 private:
  struct impl;
  std::shared_ptr<impl> impl_;
};

}  // namespace tern::placement
