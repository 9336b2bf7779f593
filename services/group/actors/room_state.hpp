// The live side of one room: what is on its way to storage, and its order. Used by its actor only.
#pragma once

#include <caf/all.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "libs/actor/actor.hpp"
#include "services/group/environment.hpp"
#include "services/group/events.hpp"
#include "services/group/logic/room_order.hpp"

namespace tern::group {

/// Lives in one epoch of the room's range. When the range is lost it takes nothing more, waits for what storage still
/// owes (so that a message that was stored is never answered as lost) and ends. When the range moves in an orderly
/// way it stands still before that: requests wait here, and the next owner is told how far it is.
class room_state : private room_order::port {
 public:
  static inline const char* name = "room";

  explicit room_state(actor::stateful<room_state>* self) : self_(self) {}
  ~room_state() override;
  void init(const environment& env, room_id room, uint64_t epoch);

  // ---- handlers of the actor ----
  void on_mail(mail& what);
  void on_answer(answer& what);
  void on_poke();

  const room_order& order() const noexcept { return order_; }

 private:
  /// A request that storage was asked to do.
  struct asked {
    caller who;
    command what = command::append;
    uint64_t trace = 0;
    size_t bytes = 0;
  };

  // ---- room_order::port ----
  void fan_out(v1::RoomFrame& what, const std::vector<session_ptr>& to) override;
  void tell_gone(const storage::v1::RoomChanged& what, const std::vector<session_ptr>& to) override;
  void send_answer(const caller& who, v1::Answer& what) override;
  void load_head() override;
  void read(uint64_t after, bool recheck) override;
  void later(room_order::timer which, std::chrono::milliseconds delay) override;

  // ---- events ----
  void on(request_event& what);
  void on(stream_gone_event& what);
  void on(range_lost_event& what);
  void on(freeze_event& what);
  void on(thaw_event& what);
  void on(decided_event& what);

  // ---- moves (room_moves.cpp) ----
  /// How far the room's range is on its way. Requests are taken when open, and wait otherwise.
  enum class stage : uint8_t {
    fresh,   // nothing was looked at yet
    asking,  // a former owner's state is here; whether it counts is being asked
    open,
    freezing,  // to be handed over when it stands still
    away,      // handed over
  };
  void take_up();
  bool resume(uint32_t format, const std::string& body);
  void open();
  void hold(request_event& what, command which);
  void hand_over();

  void take(request_event& what, command which);
  void forward(caller who, command which, v1::GroupRequest& request);
  void stored(asked& request, shards::storage_answer& got);
  void ask(storage::v1::StorageRequest request, shards::patience how,
           std::function<void(room_state&, shards::storage_answer&)> then);
  void refuse(const caller& who, errc code);
  void pass_live(const caller& who, v1::GroupRequest& request);
  bool ours() const;
  /// Output is handed over when the actor has done what it had.
  v1::GroupReply& out(const session_ptr& to);
  void flush();
  void after_work();
  void poke_in(std::chrono::milliseconds delay);
  void end();

  actor::stateful<room_state>* self_;
  const environment* env_ = nullptr;
  room_id room_;
  uint64_t epoch_ = 0;
  room_order order_{*this};
  uint64_t mails_ = 0;
  uint32_t asked_ = 0;     // answers of storage still to come
  uint64_t commands_ = 0;  // of these, commands of session nodes
  uint64_t bytes_ = 0;     // their bodies
  int64_t counted_interests_ = 0;
  int64_t answered_ns_ = 0;  // when storage answered what is fanned out now
  clock::time_point idle_since_{};
  clock::time_point retry_at_{};  // epoch: none
  clock::time_point recheck_at_{};
  bool fanned_out_ = false;  // frames are in out_
  bool idle_ = false;
  bool lost_ = false;
  bool leaving_ = false;
  stage stage_ = stage::fresh;
  uint64_t move_ = 0;  // freezing, away: which
  std::deque<request_event> held_;
  size_t held_bytes_ = 0;
  std::vector<std::pair<session_ptr, std::vector<v1::GroupReply>>> out_;
};

}  // namespace tern::group
