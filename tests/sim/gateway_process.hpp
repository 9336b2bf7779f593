// A gateway in the simulation: the real lane, clients and links of services/gateway; the sockets are simulated.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "libs/placement/view.hpp"
#include "services/gateway/client.hpp"
#include "services/gateway/links.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/process.hpp"

namespace tern::sim {

/// The other end of a socket. Calls come as events of the world.
class socket_user {
 public:
  virtual ~socket_user() = default;
  /// One whole message of the gateway.
  virtual void on_message(std::string_view bytes) = 0;
  virtual void on_closed() = 0;
};

/// A client's socket. Bytes keep their order in each direction; when it breaks what is under way is lost.
class socket : public std::enable_shared_from_this<socket> {
 public:
  socket(world& in, socket_user* user) : world_(in), user_(user) {}
  /// To the gateway.
  void send(std::string bytes);
  /// The client goes without a goodbye; the gateway hears of it after `noticed`.
  void abort(duration noticed);

 private:
  friend class gateway_process;
  duration next(duration& last);
  void to_user(std::string bytes);
  void close_to_user();

  world& world_;
  socket_user* user_;
  std::function<void(std::string)> to_gateway_;
  std::function<void()> broken_;  // tells the gateway
  duration last_up_{0}, last_down_{0};
  bool closed_ = false;  // by the gateway, or the user is gone
};

class gateway_process final : public process {
 public:
  gateway_process(host& on, network& net, const gateway::gateway_config& config, referee& watch);
  ~gateway_process() override;

  void on_map(const placement::snapshot_ptr& current) override;
  void check_bounds() override;
  /// A new client.
  std::shared_ptr<socket> connect(socket_user& user);

 private:
  class connection;
  class thread;

  std::unique_ptr<thread> thread_;
  gateway::core core_;
  referee& referee_;
  std::shared_ptr<gateway::lane> lane_;
  uint64_t map_version_ = 0;
  std::unique_ptr<gateway::session_links> links_;
};

}  // namespace tern::sim
