// Ranges of sessions on their way to or from another node: what libs/handover wants of this service.
#pragma once

#include <atomic>
#include <functional>
#include <utility>
#include <vector>

#include "libs/handover/mover.hpp"
#include "services/session/environment.hpp"

namespace tern::session {

/// Thread-safe; owns nothing. `answer`: membership::move_done; `wake`: see handover::service_port.
class range_moves final : public handover::service_port {
 public:
  range_moves(const environment& env, std::function<void(const placement::move_result&)> answer,
              std::function<void()> wake)
      : env_(env), answer_(std::move(answer)), wake_(std::move(wake)) {}

  size_t freeze(const placement::move_order& what, uint32_t format) override;
  void thaw(const placement::move_order& what, bool all) override;
  void end(const placement::move_order& what) override;
  void answer(const placement::move_result& result) override { answer_(result); }
  void decided(std::vector<uint64_t> keys) override;
  uint64_t keys(slot_type first, slot_type last) override;
  bool willing() override { return willing_; }
  void wake() override { wake_(); }
  void count(handover::fate what, uint64_t states) override;
  void frozen(std::chrono::nanoseconds time) override;

  /// The node drains: it takes no ranges any more.
  void refuse() { willing_ = false; }

 private:
  const environment& env_;
  const std::function<void(const placement::move_result&)> answer_;
  const std::function<void()> wake_;
  std::atomic<bool> willing_{true};
};

}  // namespace tern::session
