#include "libs/base/clock.hpp"

namespace tern {
namespace {

class machine_clock final : public clock {
 public:
  time_point now() const override { return std::chrono::steady_clock::now(); }
  int64_t wall_ns() const override {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::nanoseconds>(since).count();
  }
};

}  // namespace

const clock& system_clock() {
  static const machine_clock instance;
  return instance;
}

}  // namespace tern
