// A whole Tern cluster on one machine: real service processes over real PostgreSQL and Redis servers, each on its own
// port and directory. Used by `make cluster`, the cluster tests and the benchmarks; no GoogleTest here.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/result.hpp"
#include "libs/client/connection.hpp"
#include "libs/testing/process.hpp"
#include "libs/testing/servers.hpp"

namespace tern::testing {

class cluster;

struct cluster_options {
  // databases, configuration, logs, and ternctl.yaml for ternctl --config; empty: a temporary one, removed at the end
  std::string directory;
  std::string binaries;  // where tern-gateway … are; empty: $TERN_BIN
  size_t gateways = 2;
  size_t sessions = 2;
  size_t routings = 1;
  size_t groups = 1;
  size_t storages = 2;
  // PostgreSQL servers; database 0 also holds routing's tables. None: no storage nodes either, no Redis, and
  // session.storage = none.
  size_t databases = 2;
  std::function<void(size_t, postgres_options&)> database_of;  // changes how database number n is started
  bool redis = true;
  uint16_t first_port = 0;  // gateways listen on first_port, first_port + 1, …; 0: any free ones
  bool tcp = false;         // links between nodes by TCP instead of unix sockets
  /// Further configuration of the nodes of one service, of one node by its name, or of all (key "").
  std::map<std::string, std::map<std::string, std::string>> settings;
  /// IPv4 address of a node, for links (with `tcp`), clients and metrics; empty: 127.0.0.1 for all.
  std::function<std::string(const std::string& node)> host_of;
  /// Put before a node's command line; has to end in exec, so that the node's pid is the child's.
  std::function<std::vector<std::string>(const std::string& node)> prefix_of;
  /// Called once names, addresses and ports of all nodes are known and nothing has been started; may add to settings
  /// by cluster::settings_of(), such as an advertised address that leads through a proxy.
  std::function<void(cluster&)> planned;
  std::function<void(const std::string&)> progress;  // a line for people at each step
};

/// One service process of the cluster.
struct cluster_node {
  std::string name;          // "session-1"
  std::string service;       // "session"
  std::string host;          // IPv4 address
  std::string rpc_address;   // unix:… or host:port
  uint16_t client_port = 0;  // gateways only
  uint16_t metrics_port = 0;
  std::string config_file;
  std::string log_file;
  process child;
};

/// Not thread-safe. The destructor ends every process it started, by pid.
class cluster {
 public:
  /// Starts all of it and waits until every node says it is ready.
  static result<std::unique_ptr<cluster>> start(cluster_options how);
  ~cluster();
  cluster(const cluster&) = delete;
  cluster& operator=(const cluster&) = delete;

  std::vector<client::endpoint> gateways() const;
  std::vector<cluster_node>& nodes() { return nodes_; }
  cluster_node& node(const std::string& name);
  std::vector<std::unique_ptr<postgres_server>>& databases() { return databases_; }
  redis_server* redis() { return redis_.get(); }
  const std::filesystem::path& directory() const { return home_; }

  /// Configuration of one node by its name; read whenever it is (re)started.
  std::map<std::string, std::string>& settings_of(const std::string& name) { return how_.settings[name]; }

  /// SIGKILL.
  void kill(const std::string& name);
  /// Starts a node that is not running, with the same configuration and name.
  result<void> restart(const std::string& name);
  /// True when the node's /readyz answers 200 within `limit`.
  bool wait_ready(const std::string& name, std::chrono::milliseconds limit);
  bool wait_all_ready(std::chrono::milliseconds limit);
  /// SIGTERM to all services in the order gateway, session, group, storage, routing; then the databases. The names of
  /// nodes, with their exit codes, that did not end by themselves with code 0.
  std::vector<std::string> stop();
  /// What runs where, a line per process.
  std::string describe() const;
  /// The last lines of a node's log.
  std::string log_tail(const std::string& name, size_t lines = 20) const;

 private:
  explicit cluster(cluster_options how);
  result<void> start_databases();
  result<void> make_secrets();
  void plan(const std::string& service, size_t count);
  void write_config(const cluster_node& node) const;
  void write_ctl_config() const;
  std::map<std::string, std::string> config_of(const cluster_node& node) const;
  result<void> launch(cluster_node& node);
  void say(const std::string& line) const;

  cluster_options how_;
  std::unique_ptr<temp_dir> scratch_;
  std::filesystem::path home_;
  std::unique_ptr<temp_dir> sockets_;  // short paths: a unix socket's path has 107 characters at most
  std::vector<std::unique_ptr<postgres_server>> databases_;
  std::unique_ptr<redis_server> redis_;
  std::vector<cluster_node> nodes_;
};

/// One ternd with its data in `directory`.
struct ternd_options {
  std::string directory;              // empty: a temporary one
  std::string binaries;               // empty: $TERN_BIN
  std::vector<std::string> settings;  // key=value
};
class ternd_process {
 public:
  static result<std::unique_ptr<ternd_process>> start(ternd_options how = {});
  client::endpoint gateway() const;
  uint16_t metrics_port() const noexcept { return metrics_port_; }
  process& child() noexcept { return child_; }
  result<void> restart();
  bool wait_ready(std::chrono::milliseconds limit);

 private:
  explicit ternd_process(ternd_options how);
  result<void> launch();

  ternd_options how_;
  std::unique_ptr<temp_dir> scratch_;
  uint16_t port_ = 0;
  uint16_t metrics_port_ = 0;
  process child_;
};

}  // namespace tern::testing
