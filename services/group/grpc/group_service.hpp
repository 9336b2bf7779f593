// The server side of Exchange: decides who owns a room and answers its commands.
#pragma once

#include <functional>
#include <string>

#include "libs/placement/view.hpp"
#include "libs/rpc/network.hpp"
#include "libs/rpc/streams.hpp"
#include "services/group/config.hpp"
#include "services/group/metrics.hpp"

namespace tern::group {

/// What a stream handler needs; outlives the streams.
struct surroundings {
  const group_config& config;
  const group_metrics& metrics;
  std::string node;  // ours
  placement::view* cluster = nullptr;
  std::function<bool()> lease_valid = {};  // false: others may own our slots already
};

/// errc a command of `room` gets when the caller acts on `epoch`: wrong_owner unless this node owns the room in that
/// epoch, else bad_interface, because no room command is offered.
errc answer_of(const placement::snapshot& map, const surroundings& around, room_id room, uint64_t epoch);

rpc::accept_function<rpc::group_stream> exchange_acceptor(const surroundings& around);

}  // namespace tern::group
