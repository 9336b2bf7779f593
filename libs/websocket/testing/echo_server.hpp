// A server for tests that echoes messages and tells what happened.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "libs/websocket/server.hpp"

namespace tern::websocket::testing {

/// What handlers of an echo_server saw, in order: "open", "text:…", "binary:…", "batch", "close:<reason>".
class journal {
 public:
  void add(std::string what);
  /// Waits (at most five seconds) until `times` entries equal `what`.
  bool wait_for(const std::string& what, size_t times = 1);
  std::vector<std::string> all() const;
  size_t count(const std::string& what) const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> entries_;
};

/// Messages are echoed as binary ones; some texts are commands: see echo_server.cpp.
struct echo_server {
  explicit echo_server(server_options options = {});
  ~echo_server();
  uint16_t port() const { return one->port(); }
  /// Runs `work` on io thread 0 and waits for it.
  void run(const std::function<void(io_thread&)>& work);
  /// Waits until the statistics satisfy `holds`, five seconds at most.
  bool wait_stats(const std::function<bool(const server_stats&)>& holds) const;

  journal events;
  std::unique_ptr<server> one;
};

}  // namespace tern::websocket::testing
