// A process's inside: actors, links, health and the services themselves. run_main() fills it from the configuration;
// tests of several services together use it directly.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libs/app/report.hpp"
#include "libs/app/service.hpp"
#include "libs/base/result.hpp"

namespace tern::config {
class schema;
}

namespace tern::app {

class health_state;

/// How services of this process reach others.
enum class links : uint8_t {
  grpc,   // between processes
  local,  // all services are in this process
};

/// One service a program consists of.
struct service_entry {
  std::string name;                                 // "gateway"
  std::function<void(config::schema&)> declare;     // its options; may be empty
  std::function<std::vector<std::string>()> check;  // errors of options taken together; may be empty
  std::function<std::unique_ptr<service>(context&)> make;
  std::function<bool()> wanted = {};  // empty: always; false, when the options are known: it is not made
};

struct host_options {
  links how = links::local;
  std::string node;               // empty: "<service>-0" per service
  std::string listen_address;     // gRPC: "host:port" or "unix:PATH"
  std::string advertise_address;  // what peers are told; empty: the listen address with the port really bound
  std::string tls_ca_file, tls_certificate_file, tls_key_file;
  std::string routing_address;  // ignored with local links
  std::string metrics_address;  // empty: no operations server
  bool details = true;          // the operations server shows /statusz, /configz and /logz, too
  report_sources report;
  size_t actor_threads = 0;  // 0: one per core
  std::function<void(const std::string& why)> fatal = [](const std::string&) {};
};

/// Owns everything; start → drain → stop, from one thread. The destructor stops what still runs.
class host {
 public:
  static result<std::unique_ptr<host>> make(host_options how);
  ~host();
  host(const host&) = delete;
  host& operator=(const host&) = delete;

  /// Makes and starts the services in the given order. On an error those already started are stopped again; its
  /// detail names the service.
  result<void> start(const std::vector<service_entry>& entries);
  /// Not ready from now on. Services drain in reverse order, those at the edge (started last) before those they stand
  /// on, within `limit` together.
  void drain(std::chrono::milliseconds limit);
  /// Stops services in reverse order, then links and actors. Idempotent.
  void stop();

  metrics::registry& metrics();
  health_state& health();
  /// Of a started service.
  context& context_of(const std::string& service);
  service* find(const std::string& service);
  /// The operations server's port; 0 without one.
  uint16_t metrics_port() const;
  std::string address() const;

 private:
  struct impl;
  explicit host(std::unique_ptr<impl> parts);
  std::unique_ptr<impl> impl_;
};

}  // namespace tern::app
