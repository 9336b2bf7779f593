// The composition of a session node: links to storage and group, servers for gateways and dispatchers, the directory
// of session actors, membership.
#pragma once

#include <memory>

#include "libs/app/service.hpp"
#include "services/session/config.hpp"

namespace tern::session {

/// A session node. `with` and `options` outlive the service.
std::unique_ptr<app::service> make_session_service(app::context& with, const session_config& options);

}  // namespace tern::session
