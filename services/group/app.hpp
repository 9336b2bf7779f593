// The composition of a group node: the Exchange and Relay servers and membership.
#pragma once

#include <memory>

#include "libs/app/service.hpp"
#include "services/group/config.hpp"

namespace tern::group {

/// A group node. `with` and `options` outlive the service.
std::unique_ptr<app::service> make_group_service(app::context& with, const group_config& options);

}  // namespace tern::group
