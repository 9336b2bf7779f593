// Rooms with members on line at this node. The owners of rooms send each message once per node; the hub passes it on
// to the gateways of all terminals concerned, without an actor in between.
#pragma once

#include <tern/session/v1/session.pb.h>

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "services/session/environment.hpp"
#include "services/session/events.hpp"
#include "services/session/rooms/live_room.hpp"

namespace tern::session {

/// Thread-safe. Rooms are spread over parts by their id; each part has one lock, which is not held while anything is
/// sent or asked: what is to be done is queued under the lock and done in that order by one thread at a time.
///
/// A room is subscribed at its owner while it has members here. Subscriptions are repeated after the link came up
/// again, the range got another owner or epoch, or the lease was lost for a moment; the answer's head tells what was
/// missed, and one read of the log per node brings it.
class hub final : public group_listener {
 public:
  explicit hub(const environment& env) : env_(env) {}

  struct membership {
    room_id room;
    account_id account;
    uint64_t version = 0;    // of the room, when the account became what it is
    uint64_t delivered = 0;  // stored position
    bool listed = false;     // lists of a former owner are under way to a terminal
    std::vector<room_terminal> terminals = {};
  };

  // ---- for actors ----

  struct standing {
    room_place place = room_place::live;
    uint64_t position = 0;
    int64_t newest_ns = 0;  // wall clock of the newest row handed out here; 0: none was
  };

  /// The account is on line. `waiting`: a room_event comes when that has changed.
  room_place join(const membership& who);
  void attach(room_id room, account_id account, const room_terminal& added);
  void rebind(room_id room, account_id account, const gateway_stream& old, const room_terminal& now);
  /// A terminal is gone; the position is stored at once when it was the last one. Returns the position.
  uint64_t detach(room_id room, account_id account, const gateway_stream& gateway, uint64_t conn);
  /// The account is a member no more, or this node is not its owner. Returns the position.
  uint64_t leave(room_id room, account_id account);
  /// See live_room.
  uint64_t make_live(room_id room, account_id account, uint64_t reached);
  /// Live, too, when the account is no member here: nothing waits for it then.
  standing standing_of(room_id room, account_id account);
  void listed(room_id room, account_id account, const gateway_stream& gateway, uint64_t conn, uint64_t mid);
  bool placed(room_id room, account_id account, const gateway_stream& gateway, uint64_t conn);
  bool reaches(room_id room, account_id account, const gateway_stream& gateway, uint64_t conn);

  // ---- from links ----

  void on_acked(const gateway_stream& from, const v1::RoomAcked& what);
  void on_frame(uint64_t source, group::v1::RoomFrame& frame) override;
  void on_gone(uint64_t source, const group::v1::RoomGone& gone) override;
  void on_source_down(uint64_t source) override;

  // ---- supervisor only ----

  void apply(const placement::snapshot& map);
  /// Stores positions, repeats what failed, gives up rooms nobody is in. Called every few ten milliseconds.
  void sweep();

  /// Stores every position that is not stored yet, as before the end.
  void store_all();

  size_t rooms() const;
  /// Positions that are not stored yet.
  size_t unstored() const;

 private:
  struct entry {
    explicit entry(room_id id) : room(id) {}
    live_room room;
    uint64_t source = 0;  // the stream its frames come on
    uint64_t epoch = 0;   // of the range at the subscription
    uint64_t round = 0;   // of the last question to the owner
    bool subscribed = false;
    bool asking = false;
    bool reading = false;
    clock::time_point ask_at{};
    clock::time_point read_at{};
    clock::time_point empty_since{};
    std::vector<std::pair<account_id, uint64_t>> gone;  // with the room's version: who was put out lately
  };
  /// An acknowledgement for somebody whose places in rooms are still being read.
  struct early_ack {
    const gateway_stream* gateway = nullptr;  // to compare with
    uint64_t mid = 0;
    clock::time_point at{};
  };
  /// Positions to store by the time of their turn: each account of a room has one in `store_every`, so that what many
  /// acknowledge at once is not written at once: a message that is stored meanwhile waits for a short commit only.
  static constexpr size_t turns = 32;
  struct part {
    mutable std::mutex mutex;
    std::unordered_map<uint64_t, std::unique_ptr<entry>> rooms;
    std::array<std::vector<std::pair<uint64_t, account_id>>, turns> unstored;  // room, account
    std::map<std::pair<uint64_t, account_id>, early_ack> early;                // by room and account
    std::deque<std::function<void()>> effects;
    bool running = false;
    int64_t turn = -1;  // the last one that was had
  };
  using lock = std::unique_lock<std::mutex>;

  part& part_of(uint64_t room) { return parts_[(room * 0x9E3779B97F4A7C15ULL) >> 58U]; }
  static entry* find(part& in, uint64_t room);
  /// Does what was queued, unless another thread does; gives the lock back.
  static void run(part& in, lock& held);

  void subscribe(part& in, entry& one);
  void on_subscribed(uint64_t room, uint64_t round, group_answer& got);
  void fill(part& in, entry& one);
  void on_page(uint64_t room, uint64_t from, storage_answer& got);
  void hand_over(part& in, entry& one, std::vector<room_send> sends);
  /// What a full queue has no room for is dropped.
  void hand_over_live(part& in, std::vector<room_send> sends);
  void tell(part& in, account_id to, room_event what);
  void store(part& in, uint64_t room, account_id account, uint64_t mid);
  void remove(part& in, entry& one, account_id account);
  void sweep_part(part& in, clock::time_point now);
  static void note(part& in, uint64_t room, account_id account);
  void take_early(part& in, entry& one, account_id account);
  void store_due(part& in, size_t turn);
  bool watch(part& in, entry& one, clock::time_point now);

  const environment& env_;
  std::array<part, 64> parts_;
  size_t next_part_ = 0;  // supervisor only
};

}  // namespace tern::session
