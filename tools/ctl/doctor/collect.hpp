// Looks at a running cluster: asks routing, every node that is known, and knocks at addresses.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tools/ctl/doctor/observations.hpp"
#include "tools/ctl/settings.hpp"

namespace tern::ctl {

/// Takes some seconds when something hangs: everybody is asked at the same time.
observations look_around(const settings& how);

/// Where nodes show themselves: as configured, names of several addresses resolved; else the hosts routing knows with
/// the metrics port.
std::vector<ops_target> targets_of(const settings& how, const routing::v1::Status* status);

/// Runs `work` for 0 … count-1, all at the same time.
void for_each_at_once(size_t count, const std::function<void(size_t)>& work);

}  // namespace tern::ctl
