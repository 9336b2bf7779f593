// The actor of a virtual room: one per room that is live, was a moment ago, or is asked about.
#pragma once

#include <caf/all.hpp>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libs/actor/actor.hpp"
#include "services/group/environment.hpp"
#include "services/group/live/events.hpp"
#include "services/group/live/live_room.hpp"

namespace tern::group::live {

/// Lives in one epoch of the room's range and ends with it; nothing is stored. When the range moves in an orderly
/// way, the next owner is told the room's state and number of frames.
class vroom_state : private live_room::port {
 public:
  static inline const char* name = "vroom";

  explicit vroom_state(actor::stateful<vroom_state>* self) : self_(self) {}
  ~vroom_state() override;
  void init(const environment& env, room_id id, uint64_t epoch);

  // ---- handlers of the actor ----
  void on_mail(mail& what);
  void on_poke();

  const live_room& room() const noexcept { return *room_; }

 private:
  // ---- live_room::port ----
  void answer(const asked& what, errc code, const v1::LiveState* state) override;
  void refuse(const asked& what, errc code) override;
  void fan_out(v1::LiveFrame& frame, const std::vector<gateway_ptr>& to) override;
  void tell_state(const v1::LiveState& state, const gateway_ptr& to) override;
  void tell_gone(const std::vector<gateway_ptr>& to) override;
  bool begin(bool adopted) override;
  void ended(ending why) override;

  void on(request_event& what);
  void on(gateway_gone_event& what);
  void on(range_lost_event& what);
  void on(freeze_event& what);
  void on(thaw_event& what);
  void on(decided_event& what);

  // ---- moves (live_moves.cpp) ----
  /// As of rooms; nothing is ever on its way here, so that it stands still as soon as it is told.
  enum class stage : uint8_t { fresh, asking, open, freezing, away };
  void take_up();
  bool resume(uint32_t format, const std::string& body);
  void open();
  void hold(asked& what);
  void hand_over();

  bool ours() const;
  /// Output is handed over when the actor has done what it had.
  v1::LiveReply& out(const gateway_ptr& to);
  void flush();
  void send_one_by_one(const gateway_ptr& to, std::vector<v1::LiveReply>& items);
  void after_work();
  void poke_at(clock::time_point due);
  void end();
  void end_streams();

  actor::stateful<vroom_state>* self_;
  const environment* env_ = nullptr;
  room_id id_;
  uint64_t epoch_ = 0;
  std::optional<live_room> room_;
  uint64_t mails_ = 0;
  bool ours_ = false;  // during a mail
  bool counted_ = false;
  bool leaving_ = false;
  stage stage_ = stage::fresh;
  uint64_t move_ = 0;  // freezing, away: which
  std::deque<asked> held_;
  int64_t counted_interests_ = 0;
  clock::time_point poke_at_{};  // epoch: none is on its way
  std::vector<std::pair<gateway_ptr, std::vector<v1::LiveReply>>> out_;
};

/// Handlers: mail (events of links), poke (of the wheel). Leaves by itself when there is nothing to remember.
caf::behavior vroom_behavior(actor::stateful<vroom_state>* self, const environment* env, room_id id, uint64_t epoch);

}  // namespace tern::group::live
