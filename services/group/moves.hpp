// What a group node does for its mover: rooms and virtual rooms of a range stand still, end, and hear what was
// decided.
#pragma once

#include <functional>
#include <vector>

#include "libs/handover/mover.hpp"
#include "services/group/environment.hpp"

namespace tern::group {

/// Of the states this version writes (RoomState of handover.proto).
inline constexpr uint32_t state_format = 1;

/// Thread-safe: mails to actors, and counters.
class room_moves final : public handover::service_port {
 public:
  struct outlets {
    std::function<void(const placement::move_result&)> answer;  // to routing
    std::function<bool()> willing;                              // this node takes ranges
    std::function<void()> wake;                                 // the mover wants its ticks
  };

  /// `env` outlives it.
  room_moves(const environment& env, outlets out) : env_(env), out_(std::move(out)) {}

  size_t freeze(const placement::move_order& what, uint32_t format) override;
  void thaw(const placement::move_order& what, bool all) override;
  void end(const placement::move_order& what) override;
  void answer(const placement::move_result& result) override { out_.answer(result); }
  void decided(std::vector<uint64_t> keys) override;
  uint64_t keys(slot_type first, slot_type last) override;
  bool willing() override { return out_.willing(); }
  void wake() override { out_.wake(); }
  void count(handover::fate what, uint64_t states) override;
  void frozen(std::chrono::nanoseconds time) override;

 private:
  const environment& env_;
  const outlets out_;
};

}  // namespace tern::group
