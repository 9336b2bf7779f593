// Which terminal may log on: protocol rule "accounts and limits". Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace tern::delivery {

struct device_limits {
  size_t terminals = 8;                      // of one account
  size_t of_one_type = 8;                    // of one account and termtyp
  int64_t min_interval_ns = 10'000'000'000;  // a terminal younger than this is not replaced
};

/// A terminal as the rule sees it.
struct device {
  int32_t termtyp = 0;
  int64_t login_ns = 0;  // wall clock of its login
  bool lost = false;     // its gateway is away: it is replaced whatever its age
};

struct admission {
  bool admitted = false;           // false: over_entry
  std::optional<size_t> replaced;  // index of the device to log out first
};

/// Decides on a new terminal. Over a limit the oldest one (of the same termtyp where that limit is hit) is replaced
/// if it logged on more than the interval ago, else the newcomer is refused.
admission admit(const std::vector<device>& present, int32_t termtyp, int64_t now_ns, const device_limits& limits);

}  // namespace tern::delivery
