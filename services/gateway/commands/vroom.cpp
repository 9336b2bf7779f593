#include "services/gateway/commands/vroom.hpp"

#include <string>

#include "libs/wire/bounded.hpp"
#include "services/gateway/client.hpp"
#include "services/gateway/live/hub.hpp"

namespace tern::gateway::commands {

namespace {

constexpr int64_t binary_form = 1;  // reqInt of a subscription

/// The room and account a request names; errc::ok when it can be asked.
struct targets {
  uint64_t room = 0;
  uint64_t account = 0;
  errc problem = errc::ok;
};

targets read_targets(live::op what, const wire::tim_req& req) {
  targets out;
  if (what == live::op::create) return out;
  const auto room = from_node(node_kind::virtual_room, req.node.value_or(""));
  if (!room) return {0, 0, errc::bad_parameter};
  out.room = *room;
  if (what != live::op::grant && what != live::op::revoke) return out;
  const auto account = account_from_node(req.node2.value_or(""));
  if (!account) return {0, 0, errc::bad_account};
  out.account = account->value;
  return out;
}

void ask(client& from, live::op what, const wire::tim_req& req) {
  const auto type = static_cast<uint8_t>(wire::frame_type::vroom);
  const auto rtype = static_cast<int64_t>(what);
  const targets of = read_targets(what, req);
  if (of.problem != errc::ok) {
    from.answer_live(type, of.problem, rtype, req.node.value_or(""));
    return;
  }
  live::viewer& mine = from.live();
  if (what == live::op::unsubscribe && !mine.is_subscribing(of.room)) {
    mine.unsubscribe(of.room);
    from.answer_live(type, errc::ok, rtype, *req.node);
    return;
  }
  if (const errc limit = mine.begin(what, of.room); limit != errc::ok) {
    from.answer_live(type, limit, rtype, req.node.value_or(""));
    return;
  }
  const auto how = req.req_int.value_or(0) == binary_form ? live::form::binary : live::form_of(from.encoding());
  from.where().live()->ask({from.id(), from.account(), from.domain()}, what, of.room, of.account, how);
}

}  // namespace

void vroom(client& from, const wire::inbound_frame& frame) {
  const auto type = static_cast<uint8_t>(frame.type);
  core& shared = from.shared();
  if (!from.where().load().admits()) {
    shared.metrics.command(type, frame.enc, outcome::limited);
    from.refuse(type, errc::overload, refusal::overload);
    from.cool_down();
    return;
  }
  wire::arena& memory = from.where().scratch();
  memory.clear();
  wire::tim_req req;
  const errc problem = wire::decode_bounded(frame.enc, frame.payload, memory, req);
  if (problem != errc::ok) {
    from.bad_frame(type, frame.enc, problem);
    return;
  }
  shared.metrics.command(type, frame.enc, outcome::ok);
  const int32_t rtype = req.rtype.value_or(0);
  if (rtype < static_cast<int32_t>(live::op::create) || rtype > static_cast<int32_t>(live::op::unsubscribe)) {
    from.answer_live(type, errc::bad_interface, rtype, req.node.value_or(""), refusal::not_offered);
    return;
  }
  ask(from, static_cast<live::op>(rtype), req);
}

}  // namespace tern::gateway::commands
