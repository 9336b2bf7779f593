// The rules of one virtual room: who owns it, who may push, who is told. No actors, links or clock; used by the
// room's actor only.
#pragma once

#include <tern/group/v1/group.pb.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <vector>

#include "libs/base/clock.hpp"
#include "libs/base/errc.hpp"
#include "libs/base/ids.hpp"
#include "services/group/live/metrics.hpp"
#include "services/group/live/streams.hpp"

namespace tern::group::live {

struct live_limits {
  std::chrono::milliseconds idle{300'000};  // without a push or a command: over
  std::chrono::milliseconds gone{60'000};   // an ended room is remembered so long
  uint64_t granted = 1000;                  // accounts that may push, beside the owner
  uint64_t waiting = 1024;                  // requests that wait for somebody who knows the room
};

/// Begins unknown: made by a Create, or told by a gateway that knew it from a former owner of its range. Until
/// `grace` somebody may still come and tell, so requests wait till then, in order. Then it is live, and at last over:
/// it says so to whoever comes back with what it knew, until it is forgotten.
class live_room {
 public:
  enum class phase : uint8_t { unknown, live, over };

  /// What the room moves. Calls must not come back into it.
  class port {
   public:
    virtual ~port() = default;
    /// With the state, if `state` is not null.
    virtual void answer(const asked& what, errc code, const v1::LiveState* state) = 0;
    /// A push is not taken.
    virtual void refuse(const asked& what, errc code) = 0;
    virtual void fan_out(v1::LiveFrame& frame, const std::vector<gateway_ptr>& to) = 0;
    virtual void tell_state(const v1::LiveState& state, const gateway_ptr& to) = 0;
    virtual void tell_gone(const std::vector<gateway_ptr>& to) = 0;
    /// The room is about to be live: false if the node has too many. One that goes on elsewhere is let in, if
    /// possible.
    virtual bool begin(bool adopted) = 0;
    virtual void ended(ending why) = 0;
  };

  live_room(room_id id, port& out) : id_(id), port_(out) {}
  void init(const live_limits& limits, clock::time_point grace) {
    limits_ = limits;
    grace_ = grace;
  }

  void take(asked what, clock::time_point now);
  /// The stream has ended, and its interest with it.
  void left(const gateway_ptr& stream);
  void on_time(clock::time_point now);
  /// Begins where a former owner stopped. Until `pause` only interests are taken and the rest waits: gateways that
  /// watch come in their own time, and should miss nothing. False if the node has too many rooms.
  bool resume(v1::LiveState state, uint64_t seq, clock::time_point now, clock::time_point pause);
  /// It is over, as a former owner knew.
  void resume_over(clock::time_point now);
  /// What waits for `pause` is done now.
  void end_pause(clock::time_point now);
  /// The range is lost. What waits is answered wrong_owner; nobody is told: gateways go to the next owner.
  void abandon();

  /// When on_time() has something to do. Meaningless if may_leave().
  clock::time_point due() const;
  /// Nothing is lost when the room is forgotten.
  bool may_leave(clock::time_point now) const;
  phase now_is() const noexcept { return phase_; }
  const v1::LiveState& state() const noexcept { return state_; }
  uint64_t seq() const noexcept { return seq_; }
  const std::vector<gateway_ptr>& interested() const noexcept { return interested_; }
  /// Of these, the ones that want frames.
  const std::vector<gateway_ptr>& watching() const noexcept { return watching_; }
  const std::deque<asked>& waiting() const noexcept { return waiting_; }

 private:
  void meet(asked& what, clock::time_point now);
  void handle(asked& what, clock::time_point now);
  void create(const asked& what);
  void remove(const asked& what, clock::time_point now);
  void grant(const asked& what);
  void interest(const asked& what);
  void push(asked& what);
  void wait(asked& what);
  void answer_without_room(const asked& what);
  void start(v1::LiveState state, clock::time_point now);
  void finish(ending why, clock::time_point now);
  void go_on(clock::time_point now);
  void listen(const gateway_ptr& stream, bool frames);
  bool paused(clock::time_point now) const { return now < pause_; }
  bool tells_us(const v1::LiveState& known) const;
  bool may_push(uint64_t account) const;

  const room_id id_;
  port& port_;
  live_limits limits_;
  clock::time_point grace_{};
  phase phase_ = phase::unknown;
  v1::LiveState state_;
  uint64_t seq_ = 0;
  clock::time_point since_{};  // live: the last traffic; over: the end
  clock::time_point pause_{};  // live: requests wait until then
  std::vector<gateway_ptr> interested_;
  std::vector<gateway_ptr> watching_;
  std::deque<asked> waiting_;
};

}  // namespace tern::group::live
