// The server under test: one ternd with SQLite, or a cluster of separate processes over PostgreSQL and Redis. One
// runs at a time, shared by all cases of a binary.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace tern::testing {

class cluster;
class ternd_process;

enum class server_kind : uint8_t { ternd, cluster };

std::string to_string(server_kind kind);

/// What the tests of a binary want: "key" -> value, given to the services whose keys they are.
using server_settings = std::map<std::string, std::string>;

/// Cheap password hashes, no limit of frames per second, three terminals per account of which two of one type, no
/// pause between logins.
server_settings default_settings();

/// A running server. Not thread-safe. Starts ready; stopped by the destructor or stop().
class server {
 public:
  /// `nodes` = gateways, session, group and storage nodes of a cluster.
  server(server_kind kind, const server_settings& settings, size_t nodes = 2);
  ~server();
  server(const server&) = delete;
  server& operator=(const server&) = delete;

  /// The one all cases share, with default_settings(): started at the first use, the other kind is stopped before.
  static server& shared(server_kind kind);
  static void stop_shared();

  server_kind kind() const noexcept { return kind_; }
  /// Why it did not start; empty when it did.
  const std::string& problem() const noexcept { return problem_; }
  /// Client port of a gateway; ternd has one only.
  uint16_t port(size_t gateway) const { return ports_.at(gateway % ports_.size()); }
  size_t gateways() const noexcept { return ports_.size(); }
  /// Names of processes that have ended; empty when all live.
  std::string dead();
  /// Resident memory of all its processes.
  size_t resident_kib();
  /// Sum of the samples of a metric (its name with labels, or without for all) over all processes.
  double metric(const std::string& name);
  /// The last lines of every log, for the message of a failed test.
  std::string logs();
  cluster* nodes() noexcept { return cluster_.get(); }
  /// Ends it as an operator does. Whatever does not end cleanly fails the running test.
  void stop();

 private:
  server_kind kind_;
  std::string problem_;
  std::unique_ptr<cluster> cluster_;
  std::unique_ptr<ternd_process> ternd_;
  std::vector<uint16_t> ports_;
};

/// A server with settings of its own beside the default ones: one at a time for all cases of a suite.
class own_server {
 public:
  server& of(server_kind kind, const server_settings& more);
  void stop() { one_.reset(); }

 private:
  std::unique_ptr<server> one_;
  server_settings settings_;
};

}  // namespace tern::testing
