#include "services/routing/control.hpp"

#include <tern/routing/v1/routing.pb.h>

#include <algorithm>

#include "libs/placement/convert.hpp"
#include "services/routing/shard_control.hpp"

namespace tern::routing {
namespace {

using placement::unit_slots;
using member = placement::membership_table::member;
using phase = move_record::phase;

constexpr size_t most_planned = 200;  // in a Status: the rest of a long plan is left out
constexpr auto silence = std::chrono::milliseconds(3000);

error complaint(errc code, std::string text) { return {code, std::move(text)}; }

v1::MoveOrder::Kind to_proto(range_kind kind) {
  return kind == range_kind::sessions ? v1::MoveOrder::SESSIONS : v1::MoveOrder::GROUPS;
}

std::string service_of(range_kind kind) { return kind == range_kind::sessions ? "session" : "group"; }

std::string to_text(phase of) {
  switch (of) {
    case phase::planned: return "planned";
    case phase::ordered: return "ordered";
    case phase::ready:
    case phase::committing: return "committing";
    case phase::done: return "done";
    case phase::failed: break;
  }
  return "failed";
}

std::string why(errc code) {
  switch (code) {
    case errc::overload: return "the target takes no more now";
    case errc::not_found:
    case errc::unavailable: return "the target could not be reached";
    case errc::deadline: return "source or target did not answer";
    case errc::wrong_owner:
    case errc::stale_epoch: return "the source does not own it";
    case errc::cancelled: return "source or target changed, or it was not committed in time";
    default: return std::string(to_string(code));
  }
}

void fill(const move_record& from, clock::time_point now, v1::MoveStatus& to) {
  to.set_move(from.order.move);
  to.set_kind(to_proto(from.order.kind));
  to.set_first(from.order.first);
  to.set_last(from.order.last);
  to.set_source(from.source);
  to.set_target(from.order.target);
  to.set_state(to_text(from.now));
  to.set_reason(std::string(to_string(from.reason)));
  to.set_moved(from.moved);
  if (from.now == phase::planned) return;
  const bool over = from.now >= phase::done;
  to.set_seconds(std::chrono::duration<double>((over ? from.ended : now) - from.began).count());
  if (from.now == phase::failed) to.set_error(why(from.code));
}

result<const member*> living(const cluster& at, const std::string& name) {
  const auto* who = at.members().find(name);
  if (who == nullptr) return complaint(errc::not_found, "no node '" + name + "' is known");
  if (!who->info.alive) return complaint(errc::unavailable, "node " + name + " is not alive");
  return who;
}

result<intents> migrated(const cluster& at, const v1::Migrate& what) {
  const auto kind = what.kind() == v1::MoveOrder::GROUPS ? range_kind::groups : range_kind::sessions;
  if (what.first() > what.last() || what.last() >= slot_count) {
    return complaint(errc::bad_parameter, "slots are 0 to " + std::to_string(slot_count - 1) +
                                              ", the first not after "
                                              "the last");
  }
  // Ranges are made of whole units.
  const auto first = what.first() / unit_slots * unit_slots;
  const auto last = (what.last() / unit_slots + 1) * unit_slots - 1;
  auto next = at.wanted();
  if (what.release()) {
    unpin(next, kind, first, last);
    return next;
  }
  const auto target = living(at, what.target());
  if (!target) return target.error();
  const auto& service = (*target)->info.service;
  if (service != service_of(kind)) {
    return complaint(errc::bad_parameter, "node " + what.target() + " is a " + service +
                                              " node; these slots live on " + service_of(kind) + " nodes");
  }
  if (!(*target)->slots_wanted || at.drained(what.target())) {
    return complaint(errc::unavailable, "node " + what.target() + " is being drained");
  }
  add_pin(next, {kind, first, last, what.target()});
  return next;
}

/// Somebody else can take what a node has.
result<void> can_do_without(const cluster& at, const member& who, const intents& wanted) {
  const auto& service = who.info.service;
  if (service == "gateway") return {};
  if (service == "session" || service == "group") {
    if (!at.candidates(service, wanted).empty()) return {};
    return complaint(errc::unavailable, "there is no other " + service + " node to drain " + who.info.name + " to");
  }
  if (service != "storage")
    return complaint(errc::bad_parameter, "a " + service + " node cannot be drained: stop it");
  for (const auto& each : placement::assign_shards(at.state().shards, at.candidates(service, wanted), 0)) {
    if (each.owner == who.info.name) {
      return complaint(errc::unavailable, "no other storage node can serve shard " + each.name);
    }
  }
  return {};
}

result<intents> drained(const cluster& at, const v1::SetDrain& what) {
  auto next = at.wanted();
  if (what.node() == at.self().name)
    return complaint(errc::bad_parameter, "a routing node cannot be drained: stop it");
  if (!what.on()) {
    if (next.drains.erase(what.node()) == 0) {
      const auto who = living(at, what.node());
      if (!who) return who.error();
    }
    return next;
  }
  const auto who = living(at, what.node());
  if (!who) return who.error();
  next.drains.insert(what.node());
  if (const auto can = can_do_without(at, **who, next); !can) return can.error();
  return next;
}

void refuse(v1::ControlReply& reply, const error& why_not) {
  reply.set_code(static_cast<int32_t>(why_not.code));
  reply.set_text(why_not.detail);
}

/// Of what would move: what this request is about.
void show(const std::vector<move_record>& plan, const v1::ControlRequest& request, v1::ControlReply& reply) {
  for (const auto& each : plan) {
    if (request.has_drain() && each.source != request.drain().node()) continue;
    if (request.has_migrate() &&
        (each.order.first > request.migrate().last() || each.order.last < request.migrate().first() ||
         to_proto(each.order.kind) != request.migrate().kind())) {
      continue;
    }
    fill(each, {}, *reply.add_plan());
  }
}

}  // namespace

void answer(cluster& at, const v1::ControlRequest& request, v1::ControlReply& reply) {
  reply.set_call(request.call());
  if (request.has_rebalance()) {
    show(at.preview(at.wanted()), request, reply);
    if (!request.rebalance().dry_run()) at.rebalance();
    return;
  }
  if (answer_of_shards(at, request, reply)) return;
  if (!request.has_migrate() && !request.has_drain()) {
    refuse(reply, {errc::bad_parameter, "this replica does not know the request"});
    return;
  }
  auto next = request.has_migrate() ? migrated(at, request.migrate()) : drained(at, request.drain());
  if (!next) {
    refuse(reply, next.error());
    return;
  }
  show(at.preview(*next), request, reply);
  at.want(*std::move(next));
}

std::string state_of(const cluster& at, const member& who, clock::time_point now) {
  if (!who.info.alive) return "dead";
  const bool never = who.heard == clock::time_point{};
  if (!who.connected || (!never && now - who.heard > silence)) return "silent";
  const bool gateway = who.info.service == "gateway";
  const bool leaves = at.drained(who.info.name) || (!gateway && !who.slots_wanted);
  if (leaves) {
    const bool empty = gateway ? who.load == 0 : !at.owns_any(who.info.name);
    return empty ? "drained" : "draining";
  }
  return gateway || who.admitted ? "up" : "joining";
}

void fill(const cluster& at, const clock& time, uint64_t term, v1::Status& status) {
  const auto now = time.now();
  placement::to_proto(at.state(), *status.mutable_maps());
  status.set_leader(at.self().name);
  status.set_term(term);
  for (const auto& [name, who] : at.members().all()) {
    auto& node = *status.add_nodes();
    node.set_name(name);
    node.set_state(state_of(at, who, now));
    node.set_load(who.load);
    const bool never = who.heard == clock::time_point{};
    node.set_heard_ms(never ? -1 : std::chrono::duration_cast<std::chrono::milliseconds>(now - who.heard).count());
    node.set_map_version(who.map_version);
  }
  auto& self = *status.add_nodes();
  self.set_name(at.self().name);
  self.set_state("up");
  self.set_map_version(at.state().version);
  auto planned = at.preview(at.wanted());
  if (planned.size() > most_planned) planned.resize(most_planned);
  for (const auto& each : planned) fill(each, now, *status.add_moves());
  for (const auto& each : at.moves().active()) fill(each, now, *status.add_moves());
  for (const auto& each : at.moves().ended()) fill(each, now, *status.add_moves());
  status.set_moves_done(at.moves().done());
  status.set_moves_failed(at.moves().failed());
  for (const auto& each : at.wanted().pins) {
    auto& one = *status.add_pinned();
    one.set_kind(to_proto(each.kind));
    one.set_first(each.first);
    one.set_last(each.last);
    one.set_target(each.target);
  }
  fill_shards(at, status);
}

}  // namespace tern::routing
