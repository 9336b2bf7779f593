// The gateway's side of one io thread: which session node owns what, what goes to the links, who waits for an owner,
// whose deadline comes next. A lane and all clients of its thread share that thread; others reach it by post().
#pragma once

#include <tern/session/v1/session.pb.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "libs/placement/view.hpp"
#include "libs/rpc/network.hpp"
#include "libs/websocket/server.hpp"
#include "libs/wire/codec.hpp"
#include "services/gateway/calls.hpp"
#include "services/gateway/core.hpp"
#include "services/gateway/leaving.hpp"
#include "services/gateway/placing.hpp"
#include "services/gateway/room_acks.hpp"
#include "services/gateway/room_frame.hpp"
#include "services/gateway/room_turns.hpp"
#include "services/gateway/shed.hpp"
#include "services/gateway/slot_index.hpp"
#include "services/gateway/stream.hpp"
#include "services/gateway/wheel.hpp"

namespace tern::gateway {

class client;
namespace live {
class hub;
struct event;
}  // namespace live
using gateway_item = session::v1::GatewayItem;
using session_item = session::v1::SessionItem;
using item_sink = rpc::sink<gateway_item>;

/// Who owns a slot, as far as this lane knows, and the stream to there.
struct owner {
  link_handle stream;
  uint64_t epoch = 0;
};

/// What came in one batch for one io thread. Messages of rooms stand beside the other items, since their terminals
/// may be on several threads.
struct lane_batch {
  struct room_part {
    room_frame::message_ptr message;
    size_t before = 0;            // comes ahead of items[before]
    std::vector<uint64_t> conns;  // those of this thread; empty: all of the message
  };
  std::vector<session_item> items;
  std::vector<room_part> rooms;
  /// Messages of rooms that are on their way to the thread on the same stream, with those here; null: these are all.
  std::shared_ptr<std::atomic<size_t>> coming;
  bool empty() const noexcept { return items.empty() && rooms.empty(); }
};

/// All methods on the io thread, except post() and the constructor.
class lane {
 public:
  lane(core& shared, websocket::io_thread& thread);
  ~lane();
  lane(const lane&) = delete;
  lane& operator=(const lane&) = delete;

  core& shared() noexcept { return core_; }
  websocket::io_thread& thread() noexcept { return thread_; }
  uint32_t tick() const noexcept { return tick_; }
  account_calls& calls() noexcept { return calls_; }
  /// Virtual rooms; null until attach().
  live::hub* live() noexcept { return live_; }
  /// Before the server starts. `rooms` outlives the lane.
  void attach(live::hub& rooms) noexcept { live_ = &rooms; }
  /// Room for one transcoding, reused by all clients of the thread.
  wire::arena& scratch() noexcept { return scratch_; }
  std::string& buffer() noexcept {
    buffer_.clear();
    return buffer_;
  }
  /// Runs `work` on the io thread. Thread-safe.
  void post(std::function<void()> work) { thread_.post(std::move(work)); }

  // ---- for clients and calls ----

  /// Nothing when nobody owns the slot, or the stream to the owner is down.
  std::optional<owner> owner_of(slot_type slot) const;
  bool is_up(link_handle stream) const noexcept;
  /// Epoch of the slot's range in the newest map; 0 when nobody owns it.
  uint64_t epoch_of(slot_type slot) const noexcept;
  placing& places() noexcept { return placing_; }
  /// The client with this connection, null when it is gone.
  client* find(uint64_t conn) noexcept;
  /// The same if it is bound over this stream; else it is counted as rejected.
  client* addressee(link_handle stream, uint64_t conn);
  /// The client is told when the owner of its account changes, until it leaves the index (slot_member).
  void watch_owner(client& who);
  /// Queues an item for the stream; flush() hands it over. Dropped when the stream is not up any more: whoever relies
  /// on the item repeats it after the rebind.
  gateway_item* add(link_handle stream);
  /// The newest queued item of the stream if nothing was queued behind it, for merging.
  gateway_item* newest(link_handle stream);
  /// Hands over everything queued. Called at the end of every batch of work.
  void flush();
  /// The client has an acknowledgement of the room to tell; it is asked for it (client::take_room_ack) within a
  /// second.
  void note_room_ack(uint64_t room, const client& who);
  /// RoomAcked of one account, queued at once.
  void tell_room_ack(link_handle stream, account_id account, const terminal::room_ack& what);
  load_guard& load() noexcept { return load_; }
  overload_answers& overloaded() noexcept { return overloaded_; }
  /// The client is told (client::on_cooled) at the next tick.
  void cool_down(const client& who);
  /// The client is told (client::on_deadline) at `due` or earlier. Returns the tick of that call.
  uint32_t watch(client& who, uint32_t due);

  // ---- posted by the supervisor and the links ----

  void on_map(placement::snapshot_ptr current);
  void on_link_up(link_handle stream, const std::string& node, std::shared_ptr<item_sink> out);
  void on_link_down(link_handle stream);
  void on_items(link_handle stream, lane_batch& batch);
  /// What happened to virtual rooms, in order.
  void on_live(std::vector<live::event>& events);
  /// Every tick: deadlines, waiting clients, calls.
  void on_tick();
  leaving& leavers() noexcept { return leaving_; }
  /// Open connections. Thread-safe.
  size_t clients() const noexcept { return clients_.load(std::memory_order_relaxed); }
  void count_client(bool comes) noexcept { clients_.fetch_add(comes ? 1 : size_t{0} - 1, std::memory_order_relaxed); }

 private:
  struct stream_state {
    std::string node;
    uint32_t generation = 0;
    std::shared_ptr<item_sink> out;  // null: down
    std::vector<gateway_item> pending;
    bool dirty = false;
  };

  void on_live_frame(const live::event& of);
  void end_cooling();
  void report_load();
  void rebind_changed(const placement::snapshot& previous);
  void dispatch(link_handle stream, session_item& item);
  void tell_room_acks(uint64_t room, const std::vector<uint64_t>& conns);
  void login_result(link_handle stream, session::v1::LoginResult& result);

  core& core_;
  websocket::io_thread& thread_;
  uint32_t tick_;
  placement::snapshot_ptr map_ = std::make_shared<const placement::snapshot>();
  std::vector<stream_state> streams_;  // by link number
  std::unordered_map<std::string, uint32_t> link_of_node_;
  std::vector<uint32_t> dirty_;  // links with pending items
  placing placing_;
  slot_index accounts_;
  leaving leaving_;
  std::atomic<size_t> clients_{0};
  std::vector<uint64_t> cooling_;  // connections that are not read until the next tick
  deadline_wheel wheel_;
  account_calls calls_;
  load_guard load_;
  overload_answers overloaded_;
  uint64_t reported_under_way_ = 0, reported_limit_ = 0;
  room_acks room_acks_;
  live::hub* live_ = nullptr;
  room_turns room_turns_;
  wire::arena scratch_;
  std::string buffer_;
};

}  // namespace tern::gateway
