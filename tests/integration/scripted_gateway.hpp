// A gateway played by a test: one link to a session node, items in, items out.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "libs/rpc/network.hpp"
#include "libs/rpc/streams.hpp"

namespace tern::testing {

/// Thread-safe. The link comes up by itself and stays until hang_up() or the end.
class scripted_gateway {
 public:
  scripted_gateway(rpc::network& network, std::string address, uint64_t incarnation);
  ~scripted_gateway();
  scripted_gateway(const scripted_gateway&) = delete;
  scripted_gateway& operator=(const scripted_gateway&) = delete;

  void call();
  void hang_up();
  /// Waits for the stream first.
  bool send(session::v1::GatewayItem item);
  /// The first item that `wanted` likes, taken out; the others stay. Nothing after five seconds.
  std::optional<session::v1::SessionItem> wait(const std::function<bool(const session::v1::SessionItem&)>& wanted);
  /// A frame of that type for the connection.
  std::optional<session::v1::Out> wait_out(uint64_t conn, uint32_t type);
  /// How many items are there now that `wanted` likes.
  size_t count(const std::function<bool(const session::v1::SessionItem&)>& wanted);

 private:
  class handler;
  struct state {
    std::mutex mutex;
    std::condition_variable changed;
    std::shared_ptr<rpc::sink<session::v1::GatewayItem>> out;
    std::deque<session::v1::SessionItem> items;
  };

  rpc::network& network_;
  const std::string address_;
  const rpc::peer self_;
  std::shared_ptr<state> state_ = std::make_shared<state>();
  std::unique_ptr<rpc::link> link_;
};

}  // namespace tern::testing
