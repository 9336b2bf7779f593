// The streams that come in from gateways and storage dispatchers, as session actors hold on to them.
#pragma once

#include <tern/session/v1/session.pb.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "libs/rpc/network.hpp"

namespace tern::session {

/// One Attach stream. Terminals hold the stream they were bound over; a new stream of the same gateway is another
/// object.
struct gateway_stream {
  std::string node;
  uint64_t incarnation = 0;
  std::shared_ptr<rpc::sink<v1::SessionItem>> out;
  std::atomic<bool> up{true};
};
using gateway_ptr = std::shared_ptr<gateway_stream>;

/// One Deliver stream, for one shard and epoch: what a DeliveryReply is addressed to.
struct delivery_source {
  std::string shard;
  uint64_t epoch = 0;
  std::shared_ptr<rpc::sink<v1::DeliveryReply>> out;
  std::atomic<bool> given_up{false};  // ended because of an entry: it and all after it come again on another one
};
using source_ptr = std::shared_ptr<delivery_source>;

}  // namespace tern::session
