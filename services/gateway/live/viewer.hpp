// The live side of one connection: the virtual rooms it has to do with, and the frames its socket could not take yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "libs/websocket/server.hpp"
#include "services/gateway/live/hub.hpp"
#include "services/gateway/live/queue.hpp"
#include "services/gateway/live/room.hpp"

namespace tern::gateway {
class client;
}
namespace tern::gateway::live {

/// Owned by a client, which has none until it needs one; on its io thread. `rooms` and `to` outlive it; `rooms` may
/// be null for a connection that only gets live frames.
class viewer {
 public:
  viewer(client& owner, hub* rooms, websocket::connection& to, const viewer_limits& limits,
         const live_metrics& metrics);
  ~viewer() { leave(); }
  viewer(const viewer&) = delete;
  viewer& operator=(const viewer&) = delete;

  client& owner() noexcept { return owner_; }

  // ---- frames ----

  /// Sends the message now if nothing waits for the socket, else it waits; older ones may give way to it.
  void offer(const message_ptr& message, uint32_t now_ms);
  /// The socket took all there was.
  void on_drained(uint32_t now_ms);
  /// At most so many of the connection's queued bytes are the rest of a live frame.
  size_t socket_bytes() const noexcept { return socket_bytes_; }
  const frame_queue& queue() const noexcept { return queue_; }

  // ---- rooms ----

  /// Takes note of a command that is about to be asked; over_entry when a limit forbids it, overload when too many
  /// are unanswered.
  errc begin(op what, uint64_t vroom);
  /// The command was answered; `at` (with one use) is the room, if all is well and it goes on. no_such_object when it
  /// has ended meanwhile.
  errc finish(op what, uint64_t vroom, const room_ptr& at, form how);
  /// True while a subscription is asked for and not answered.
  bool is_subscribing(uint64_t vroom) const noexcept;
  /// Ends a subscription that is in force.
  void unsubscribe(uint64_t vroom);
  /// The connection feeds the room: the gateway stays interested in it.
  void note_push(const asker& who, uint64_t vroom);
  /// The room has ended. True when the connection was subscribed.
  bool on_gone(const room_ptr& at);
  /// Ends everything: subscriptions, interest, waiting frames.
  void leave();

  size_t subscriptions() const noexcept;
  size_t rooms() const noexcept { return held_.size(); }

 private:
  struct held {
    room_ptr at;
    size_t place = 0;  // in the room's members of this io thread
    form how = form::none;
    bool created = false;
    uint32_t used = 0;
  };

  held* find(uint64_t vroom) noexcept;
  held& adopt(const room_ptr& at);
  bool change(held& one, form how);
  void let_go_of_pushed();
  void drop(size_t index, bool ended);
  void unlink(const held& one);

  client& owner_;
  hub* const hub_;
  websocket::connection& connection_;
  const viewer_limits& limits_;
  const live_metrics& metrics_;
  const size_t thread_;
  frame_queue queue_;
  size_t socket_bytes_ = 0;
  std::vector<held> held_;
  std::vector<uint64_t> subscribing_;
  size_t creating_ = 0;
  size_t commands_ = 0;
  uint32_t uses_ = 0;
};

/// What an io thread does with the event of a frame: to everybody of `at` who watches. Returns to how many it went.
size_t fan_out(const event& of, size_t thread, uint32_t now_ms, const live_metrics& metrics);
/// The members of a room that has ended, on this io thread: they are none from now on.
std::vector<member> take_members(room& at, size_t thread);

}  // namespace tern::gateway::live
