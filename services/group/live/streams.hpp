// The streams that come in from gateways, and what a virtual room is asked over them.
#pragma once

#include <tern/group/v1/group.pb.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "libs/rpc/network.hpp"
#include "services/group/links/streams.hpp"
#include "services/group/live/metrics.hpp"
#include "services/group/live/push_queue.hpp"

namespace tern::group::live {

struct gateway_stream : incoming_stream<v1::LiveReply> {};
using gateway_ptr = std::shared_ptr<gateway_stream>;

/// A request on its way through the room, and what it counts as until it is done.
struct asked {
  gateway_ptr from;
  v1::LiveRequest item;
  ticket counted = {};              // commands
  push_queue::charge charged = {};  // pushes
};

/// What a request counts as; nothing for a push and for a request without a command.
inline std::optional<command> command_of(const v1::LiveRequest& item) {
  switch (item.op_case()) {
    case v1::LiveRequest::kCreate: return command::create;
    case v1::LiveRequest::kRemove: return command::remove;
    case v1::LiveRequest::kGrant: return command::grant;
    case v1::LiveRequest::kInterest: return command::interest;
    default: return std::nullopt;
  }
}

}  // namespace tern::group::live
