// The operators' port: /metrics, /livez, /readyz, /startupz, and /statusz, /configz, /logz for those who look for
// what is broken. Never the port of clients.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "libs/base/result.hpp"

namespace tern::metrics {
class registry;
}
namespace tern::websocket {
class server;
}

namespace tern::app {

class health_state;

/// What is served beside metrics and health; each may be empty: then there is no such page.
struct operations_pages {
  std::function<void(std::function<void(std::string)> then)> status;  // JSON; answered later, from another thread
  std::function<std::string()> configuration;                         // YAML, without secrets
  std::function<std::string()> log;                                   // the newest lines
};

/// One thread that answers GET requests. The destructor stops it; `metrics` and `state` must outlive it.
class operations_server {
 public:
  /// `address` is "host:port", port 0: any free one. errc::config when it cannot be had.
  static result<std::unique_ptr<operations_server>> start(const std::string& address, metrics::registry& metrics,
                                                          health_state& state, operations_pages pages = {});
  ~operations_server();
  uint16_t port() const noexcept;

 private:
  explicit operations_server(std::unique_ptr<websocket::server> server);
  std::unique_ptr<websocket::server> server_;
};

/// "host:port" or "[v6]:port" in two; errc::config when it is neither.
result<std::pair<std::string, uint16_t>> split_address(const std::string& address);

}  // namespace tern::app
