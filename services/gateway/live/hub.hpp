// All virtual rooms of this gateway: who owns them, what is asked of them, which io threads have viewers.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "services/gateway/core.hpp"
#include "services/gateway/live/links.hpp"
#include "services/gateway/live/room.hpp"

namespace tern::gateway::live {

/// Thread-safe: rooms are spread over shards with a lock each, and nothing is called while one is held. What a client
/// is to see comes as events to its io thread, in the order it happened to a room. Outlives the lanes' use of it.
///
/// While a room has uses (connections that have to do with it, commands on their way), its owner is told that this
/// gateway is interested, again after each new stream, owner or epoch, with the state known here: so a new owner goes
/// on. Its frames are asked for only while somebody here watches, or did until a moment ago; a subscription is
/// answered when the owner knows of it.
class hub final : private link_events {
 public:
  /// Hands events to an io thread. Called without locks; must not call the hub.
  using post_function = std::function<void(size_t thread, std::vector<event> events)>;
  /// Runs work in a while, on any thread. Called with locks held.
  using later_function = std::function<void(std::chrono::milliseconds delay, std::function<void()> work)>;

  /// Without `later`, what is to be tried again waits for the next tick.
  hub(core& shared, rpc::network& network, rpc::peer self, size_t threads, post_function post,
      later_function later = {});
  ~hub();

  // ---- the cluster ----

  /// A newer map.
  void apply(const placement::snapshot_ptr& current);
  /// Ends the links; nothing is sent or received any more.
  void clear();
  /// Every tick, on one thread: what is too old, what has to be tried again.
  void on_tick(uint32_t tick);

  // ---- for connections, on their io threads ----

  /// Asks something of a room (of a new one for op::create, where `vroom` is not looked at). Always answered by an
  /// event, overload when nobody answered in time.
  void ask(const asker& who, op what, uint64_t vroom, uint64_t target, form how);
  /// A frame for a room's owner; refused by an event, or dropped.
  void push(const asker& who, uint64_t vroom, group::v1::LivePush frame);
  /// The room, with one more use.
  room_ptr hold(const asker& who, uint64_t vroom);
  /// One use less. The last one ends the interest.
  void release(const room_ptr& at);
  /// A member of the io thread gets frames in another form now. False: the room has ended.
  bool watch(const room_ptr& at, size_t thread, form before, form now);

  /// Rooms in the table.
  size_t size() const;

 private:
  static constexpr size_t shard_count = 64;
  struct shard {
    mutable std::mutex mutex;
    std::unordered_multimap<uint64_t, room_ptr> rooms;  // more than one only while somebody of a wrong domain asks
    std::unordered_map<uint64_t, room_ptr> calls;       // unanswered, by number
    std::vector<room_ptr> busy;
  };
  /// Events by io thread, gathered while a lock is held.
  using effects = std::vector<std::pair<size_t, event>>;

  void on_link_up(uint32_t link) override;
  void on_link_down(const place& stream) override;
  void on_replies(const place& stream, std::vector<group::v1::LiveReply>& items) override;

  // hub.cpp
  shard& shard_of(uint64_t vroom) noexcept;
  void post(effects& out);
  uint64_t next_call(const shard& of) noexcept;
  room_ptr find(const shard& in, uint64_t vroom, const std::string& domain) const;
  room_ptr make(shard& in, uint64_t vroom, const asker& who);
  void create(command what, const asker& who);
  void enqueue(shard& in, const room_ptr& at, command what, effects& out);
  void advance(shard& in, const room_ptr& at, effects& out);
  void advance_all();
  void send_interest(shard& in, const room_ptr& at, const place& to);
  bool wants_frames(const room& at) const;
  void retry_soon(shard& in, const room_ptr& at);
  void send_waiting(shard& in, const room_ptr& at);
  bool send_command(shard& in, const room_ptr& at, command& what);
  void note_busy(shard& in, const room_ptr& at);
  void settle(shard& in, const room_ptr& at);
  void erase(shard& in, const room_ptr& at);
  void look_at_busy(shard& in, uint32_t tick, effects& out);
  void expire(shard& in, const room_ptr& at, uint32_t tick, effects& out);

  // replies.cpp
  void on_frame(const place& stream, const group::v1::LiveFrame& frame, std::vector<std::vector<event>>& events);
  void on_answer(group::v1::LiveAnswer& answer, effects& out);
  void on_interest_answer(shard& in, const room_ptr& at, group::v1::LiveAnswer& answer, effects& out);
  void on_command_answer(shard& in, const room_ptr& at, command what, group::v1::LiveAnswer& answer, effects& out);
  void on_refused(const place& stream, const group::v1::LiveRefused& refused, effects& out);
  void lose(shard& in, const room_ptr& at);
  void finish(shard& in, const room_ptr& at, errc code, effects& out);
  void answer_local(shard& in, const room_ptr& at, effects& out);
  static void learn(room& at, group::v1::LiveState& state);
  static void answer(effects& out, const command& what, errc code, const room_ptr& at);
  room_ptr find_registered(const shard& in, uint64_t vroom, const place& stream) const;

  core& core_;
  const size_t threads_;
  const post_function post_;
  const later_function later_;
  std::atomic<bool> hurrying_{false};
  std::array<shard, shard_count> shards_;
  std::atomic<uint64_t> calls_{0};
  group_links links_;
};

/// The io thread of a connection, and how a push that came as BIGBINARYSTREAM names it.
inline constexpr uint64_t binary_push = uint64_t{1} << 63U;
inline constexpr size_t thread_of(uint64_t conn) noexcept {
  return static_cast<size_t>((conn & ~binary_push) >> 48U);
}

}  // namespace tern::gateway::live
