// The composition of a gateway: websocket server, one lane per io thread, membership, supervisor.
#pragma once

#include <memory>

#include "libs/app/service.hpp"
#include "services/gateway/config.hpp"

namespace tern::gateway {

/// A gateway that listens for clients. start() fails with errc::config for an address in use, TLS material that
/// cannot be loaded, or options that contradict each other.
class gateway_service : public app::service {
 public:
  /// The port clients connect to; after start().
  virtual uint16_t port() const = 0;
};

/// `with` outlives the service.
std::unique_ptr<gateway_service> make_gateway_service(app::context& with, const gateway_config& options);

}  // namespace tern::gateway
