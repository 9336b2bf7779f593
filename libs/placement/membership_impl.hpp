// The inside of membership: its streams to the replicas of routing.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "libs/placement/lease_trust.hpp"
#include "libs/placement/membership.hpp"
#include "libs/rpc/streams.hpp"

namespace tern::placement {

using join_sink_ptr = std::shared_ptr<rpc::sink<rpc::join_stream::up>>;

/// Until a replica has granted a lease there is a link to each; then only the one to that replica. The mutex is never
/// held while a sink, a link or the view is called. Links are made and ended by start(), the thread and stop() only.
struct membership::impl final : std::enable_shared_from_this<impl> {
  using real = std::chrono::steady_clock;

  /// A link to one replica.
  struct attempt {
    uint64_t number = 0;
    size_t replica = lease_trust::unlisted;
    std::string address;
    std::unique_ptr<rpc::link> link;
    real::time_point begun{};
    // Of its current stream:
    join_sink_ptr out;
    uint64_t stream = 0;
    std::deque<std::pair<uint64_t, clock::time_point>> sent;  // heartbeats not answered yet
    bool leased = false;
    bool refused = false;  // it does not lead
  };

  impl(rpc::network& network, const clock& clock_used, membership_options options);

  // membership.cpp
  void items(uint64_t number, std::vector<rpc::join_stream::down>& items);
  void renewed(uint64_t number, const routing::v1::Lease& lease);
  void take(const routing::v1::Snapshot& from);
  void take(uint64_t number, const routing::v1::Delta& from);
  rpc::join_stream::up hello_item() const;
  rpc::join_stream::up heartbeat_item(attempt& on);
  void leave();
  void move_done(const move_result& result);
  void shard_moved(const routing::v1::ShardMoveProgress& progress);
  void shards_served(const routing::v1::ShardsServed& what);
  int64_t age_ms() const;

  // membership_links.cpp
  void start();
  void step();
  void stop();
  void up(uint64_t number, join_sink_ptr to);
  void down(uint64_t number);
  void not_leader(uint64_t number, const std::string& leader);
  void run();
  void beat();
  /// Makes the links that are wanted, ends those that are not.
  void arrange();
  std::vector<std::unique_ptr<rpc::link>> drop_unwanted();
  std::vector<std::pair<uint64_t, std::string>> add_wanted();
  uint64_t add(size_t replica, const std::string& address);
  attempt* find(uint64_t number);
  attempt* leader();
  /// To the leader, or to whoever may be it.
  void send_up(const rpc::join_stream::up& item);
  real::time_point next_look() const;
  /// What attempts are timed by: the thread waits in real time, whatever the node's clock shows.
  real::time_point now() const { return stepped ? time.now() : real::now(); }

  rpc::network& net;
  const clock& time;
  const membership_options what;
  const std::vector<std::string> addresses;
  view maps;

  mutable std::mutex mutex;
  std::condition_variable changed;
  std::list<attempt> attempts;
  std::vector<real::time_point> try_again;  // replica -> not before
  std::string hint;                         // an address not in the list where the leader is said to be
  lease_trust trust;
  uint64_t numbers = 0;
  uint64_t sequence = 0;
  bool leaving = false;
  std::optional<rpc::join_stream::up> served;  // the newest ShardsServed
  bool stopped = false;
  bool look_now = false;
  bool stepped = false;                   // by step()
  real::time_point look_at{}, beat_at{};  // of step()
  std::thread thread;
};

}  // namespace tern::placement
