// VROOM: virtual rooms are made, removed, subscribed to, and the right to push into them is given and taken.
#pragma once

#include "libs/wire/frame.hpp"

namespace tern::gateway {
class client;
}
namespace tern::gateway::commands {

/// TimReq.rtype 1 new, 2 remove, 3 grant, 4 revoke (node2 = the account), 5 subscribe (reqInt 1: in binary form),
/// 6 unsubscribe. Answered by ACK timType 22 with t = rtype and n = room (3, 4: the account; errors: node as given):
/// 4104 for a node that is none of a virtual room, 4105 not the owner, 4106 for a bad node2, 4107 for another rtype,
/// 4109 no such room, 4111 over a limit of the connection, 5104 when there is too much to do or no owner answered in
/// time.
void vroom(client& from, const wire::inbound_frame& frame);

}  // namespace tern::gateway::commands
