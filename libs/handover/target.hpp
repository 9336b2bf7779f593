// The side of a move that is to have the range: parks what comes, and gives it out when the range is its own and the
// source vouches for it.
#pragma once

#include <map>
#include <unordered_map>
#include <vector>

#include "libs/handover/handover.hpp"

namespace tern::handover {

/// Effects. Nothing of this may call back into the target at once.
class target_port {
 public:
  virtual ~target_port() = default;
  /// `stream`: as the source's items came.
  virtual void send(uint64_t stream, v1::HandoverReply reply) = 0;
  /// It is decided what becomes of the states of these keys, whose owners were told to wait: take() again.
  virtual void decided(std::vector<uint64_t> keys) = 0;
  /// For metrics.
  virtual void count(fate what, uint64_t states) = 0;
};

/// What there is for a key.
enum class found : uint8_t {
  nothing,  // begin as after a takeover
  wait,     // there is a state; whether it counts is not known yet: decided() tells
  state,
};

/// Pure; not thread-safe. One object for all moves to this node.
class target {
 public:
  target(target_port& out, uint32_t format, const limits& bounds) : out_(out), format_(format), limits_(bounds) {}

  /// An item of a source. `willing`: this node takes ranges (it does not drain).
  void on_item(uint64_t stream, v1::HandoverItem& item, bool willing, clock::time_point now);
  void on_down(uint64_t stream, clock::time_point now);
  void on_map(const placement::range_map& map, const std::string& self, clock::time_point now);
  void tick(clock::time_point now);

  /// For a key whose range this node owns; moves the state into `out`. At most once per state.
  found take(uint64_t key, v1::State& out, clock::time_point now);

  /// The slot is on its way here: what comes for it may wait a moment instead of being refused.
  bool expects(slot_type slot) const noexcept;
  bool expects_any() const noexcept { return expected_ != 0; }
  bool busy() const noexcept { return !moves_.empty(); }
  size_t parked() const noexcept { return keys_.size(); }

 private:
  enum class phase : uint8_t {
    filling,  // states are coming
    taken,    // all are here
    claimed,  // the range is ours; no verdict yet
    valid,
  };
  struct move {
    uint64_t stream = 0;
    slot_type first = 0;
    slot_type last = 0;
    uint64_t epoch = 0;  // the source's
    uint64_t owned = 0;  // ours, once claimed
    phase now = phase::filling;
    clock::time_point due;
    std::unordered_map<uint64_t, v1::State> states;
    std::vector<uint64_t> waiting;  // keys whose owners were told to
    size_t bytes = 0;
  };
  using place = std::map<uint64_t, move>::iterator;

  void prepare(uint64_t stream, uint64_t number, const v1::Prepare& what, bool willing, clock::time_point now);
  void park(move& into, uint64_t number, v1::State& state, clock::time_point now);
  void complete(uint64_t stream, uint64_t number, clock::time_point now);
  void decide(place at, bool valid, clock::time_point now);
  place drop(place at);
  void settle(move& one, phase next);
  static bool before_claim(const move& one) noexcept { return one.now < phase::claimed; }

  target_port& out_;
  const uint32_t format_;
  const limits limits_;
  size_t expected_ = 0;  // moves before their claim
  size_t bytes_ = 0;
  std::map<uint64_t, move> moves_;
  std::unordered_map<uint64_t, uint64_t> keys_;  // of the states: their move
};

}  // namespace tern::handover
