// Asks another process of ours whether it is ready: what a container's health check runs.
#pragma once

#include <chrono>
#include <string>

#include "libs/base/result.hpp"

namespace tern::app {

/// The body of /readyz at `address` (host:port as in metrics.listen_address; any address means the loopback one).
/// unavailable: nobody answers within `limit`, or the answer is not 200; its text says what is not ready. Blocking.
result<std::string> ask_ready(const std::string& address, std::chrono::milliseconds limit);

}  // namespace tern::app
