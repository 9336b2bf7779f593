#include "libs/delivery/device_limit.hpp"

namespace tern::delivery {
namespace {

bool goes_first(const device& a, const device& b) { return a.lost != b.lost ? a.lost : a.login_ns < b.login_ns; }

std::optional<size_t> oldest(const std::vector<device>& present, std::optional<int32_t> termtyp) {
  std::optional<size_t> found;
  for (size_t i = 0; i < present.size(); ++i) {
    if (termtyp && present[i].termtyp != *termtyp) continue;
    if (!found || goes_first(present[i], present[*found])) found = i;
  }
  return found;
}

}  // namespace

admission admit(const std::vector<device>& present, int32_t termtyp, int64_t now_ns, const device_limits& limits) {
  size_t same = 0;
  for (const device& one : present) same += one.termtyp == termtyp ? 1 : 0;
  const bool type_full = same >= limits.of_one_type;
  if (!type_full && present.size() < limits.terminals) return {true, std::nullopt};
  const auto candidate = oldest(present, type_full ? std::optional<int32_t>{termtyp} : std::nullopt);
  if (!candidate) return {};
  const device& old = present[*candidate];
  if (old.lost || now_ns - old.login_ns > limits.min_interval_ns) return {true, candidate};
  return {};
}

}  // namespace tern::delivery
