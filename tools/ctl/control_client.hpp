// Speaks the Control stream with the routing replica that leads.
#pragma once

#include <tern/routing/v1/routing.pb.h>

#include <chrono>
#include <memory>
#include <string>

#include "libs/base/result.hpp"
#include "libs/rpc/network.hpp"
#include "tools/ctl/settings.hpp"

namespace tern::ctl {

/// Finds the leader among the given addresses, follows its word to other addresses. One request at a time; not
/// thread-safe; waits.
class control_client {
 public:
  /// errc::config: unusable certificates.
  static result<std::unique_ptr<control_client>> make(const settings& how);
  ~control_client();

  /// The leader's answer, whatever its code. errc::unavailable when no leader has answered within the timeout; a
  /// request that was sent and not answered may have been carried out.
  result<routing::v1::ControlReply> call(routing::v1::ControlRequest request);
  /// The next Status, as soon as something has changed (the first at once). errc::deadline when nothing has for
  /// `limit`; errc::unavailable as above, another stream is tried meanwhile.
  result<routing::v1::Status> watch(std::chrono::milliseconds limit);

  /// For streams to other nodes.
  rpc::network& network();
  const rpc::peer& self() const;

 private:
  struct impl;
  explicit control_client(std::unique_ptr<impl> parts);
  std::unique_ptr<impl> impl_;
};

}  // namespace tern::ctl
