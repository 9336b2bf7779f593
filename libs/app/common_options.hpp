// Options every program has.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "libs/app/host.hpp"

namespace tern::app {

struct common_options {
  std::string log_level = "info";
  std::string log_format = "json";
  std::string metrics_address = "127.0.0.1:0";
  bool metrics_details = true;
  std::chrono::milliseconds drain_timeout{20'000};
  uint64_t actor_threads = 0;
  // With gRPC links only:
  std::string node;
  std::string listen_address = "127.0.0.1:0";
  std::string advertise_address;
  std::string routing_address = "127.0.0.1:20010";
  std::string tls_ca_file;
  std::string tls_certificate_file;
  std::string tls_key_file;
};

/// Declares those that apply to the program's kind of links. `options` must outlive the schema.
void declare(config::schema& into, common_options& options, links how);

/// Errors of options taken together.
std::vector<std::string> complaints(const common_options& options, links how);

/// What the host is made of. `service` names the node when node.name is empty.
host_options to_host_options(const common_options& options, links how, const std::string& service);

}  // namespace tern::app
