// Where routing is and how to speak to it: from flags, the environment or a file.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "libs/base/result.hpp"
#include "libs/rpc/grpc_network.hpp"
#include "tools/ctl/arguments.hpp"

namespace tern::ctl {

/// Where a node shows its metrics.
struct ops_target {
  std::string name;  // may be empty
  std::string address;
};

struct settings {
  std::vector<std::string> routing;  // addresses of replicas
  rpc::tls_files tls;
  std::chrono::milliseconds timeout{5000};  // until routing has answered
  bool timeout_given = false;
  std::vector<ops_target> nodes;
  uint16_t metrics_port = 9100;  // of hosts routing knows, without `nodes`
  bool metrics_port_given = false;
  bool json = false;
  bool watch = false;
};

/// Flags every command that speaks to routing knows.
const std::vector<flag>& common_flags();

/// The stronger source wins: flags, environment (TERN_ROUTING, TERN_ROUTING_ADDRESS, TERN_RPC_TLS_…), --config FILE.
/// errc::bad_parameter.
result<settings> read_settings(const arguments& from, char** environment);

}  // namespace tern::ctl
