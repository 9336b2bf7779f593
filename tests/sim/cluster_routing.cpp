// Real routing in a simulated cluster: its replicas, how its first maps are waited for, and its operators.
#include <algorithm>

#include "tests/sim/cluster.hpp"

namespace tern::sim {

using namespace std::chrono_literals;

void cluster::begin_routing() {
  auto& random = world_.random();
  meta_.random = random.split();
  meta_.bug = how_.bug;
  meta_.watch = &referee_;
  referee_.on_commit([this](const placement::snapshot& before) { maps_changed(before); });
  routing_config_.shards = shards_;
  routing_config_.move_sessions = 1 + random.below(5);
  routing_config_.move_rest = std::chrono::milliseconds(100 + random.below(3000));
  const size_t count = 1 + random.below(3);
  for (size_t i = 0; i < count; ++i) {
    replicas_ += (i == 0 ? "sim:routing-" : ",sim:routing-") + std::to_string(i);
  }
  for (size_t i = 0; i < count; ++i) start(world_.add("routing-" + std::to_string(i)));
}

/// Until everything has an owner.
void cluster::wait_for_maps() {
  const auto complete = [this] {
    const auto* maps = referee_.newest();
    if (maps == nullptr || maps->sessions.ranges().empty() || (rooms_ && maps->groups.ranges().empty())) return false;
    return std::all_of(shards_.begin(), shards_.end(), [&](const auto& name) {
      const auto* shard = maps->find_shard(name);
      return shard != nullptr && !shard->owner.empty();
    });
  };
  while (!complete() && world_.now() < 30s && world_.violations().empty()) world_.run_for(100ms);
  if (!complete()) world_.violation("no maps after 30 s");
}

/// For the trace, and for what is not kept yet: see README.md.
void cluster::maps_changed(const placement::snapshot& before) {
  const auto& now = *referee_.newest();
  world_.trace("maps of version %llu", static_cast<unsigned long long>(now.version));
  const auto show = [&](const char* what, const placement::range_map& was, const placement::range_map& is) {
    for (const auto& one : is.ranges()) {
      const auto* old = was.find(one.first);
      if (old != nullptr && old->epoch == one.epoch && old->owner == one.owner) continue;
      world_.trace("  %s %u-%u %s epoch %llu", what, one.first, one.last, one.owner.c_str(),
                   static_cast<unsigned long long>(one.epoch));
      if (old != nullptr && old->owner != one.owner) ++moved_;
    }
  };
  show("sessions", before.sessions, now.sessions);
  show("groups", before.groups, now.groups);
  for (const auto& one : now.shards) {
    world_.trace("  shard %s %s epoch %llu", one.name.c_str(), one.owner.c_str(),
                 static_cast<unsigned long long>(one.epoch));
  }
  if (!how_.strict && before.sessions != now.sessions) faults_.push_back({world_.now(), world_.now() + 1s});
}

/// An operator moves slots by hand, or drains a node for a while.
void cluster::operate(kind what, duration length) {
  auto& random = world_.random();
  const auto nodes = [&](const char* service) {
    std::vector<std::string> out;
    for (const host* each : world_.hosts()) {
      if (each->runs(service)) out.push_back(each->name);
    }
    return out;
  };
  const bool of_rooms = rooms_ && random.chance(0.4);
  const auto all = nodes(of_rooms ? "group" : "session");
  const auto& target = all[random.below(all.size())];
  routing::v1::ControlRequest request;
  request.set_call(1);
  if (what == kind::move) {
    if (all.size() < 2 || !drained_.insert(target).second) return;
    request.mutable_drain()->set_node(target);
    request.mutable_drain()->set_on(true);
    ask_routing(request);
    world_.after(length, [this, target, request]() mutable {
      if (over_) return;
      drained_.erase(target);
      request.mutable_drain()->set_on(false);
      ask_routing(request);
    });
    return;
  }
  const uint32_t units = slot_count / 64, first = static_cast<uint32_t>(random.below(units));
  const auto last = std::min<uint32_t>(units - 1, first + static_cast<uint32_t>(random.below(units / 2)));
  auto& move = *request.mutable_migrate();
  move.set_kind(of_rooms ? routing::v1::MoveOrder::GROUPS : routing::v1::MoveOrder::SESSIONS);
  move.set_first(first * 64);
  move.set_last(last * 64 + 63);
  move.set_target(target);
  ask_routing(request);
  if (!random.chance(0.5)) return;
  move.set_release(true);
  world_.after(length, [this, request] { ask_routing(request); });
}

/// All replicas: the one that leads does it.
void cluster::ask_routing(const routing::v1::ControlRequest& what) {
  world_.trace("operator: %s", what.ShortDebugString().c_str());
  for (host* each : world_.hosts()) {
    if (!each->runs("routing") || !each->up()) continue;
    each->run(each->life, [each, what] { static_cast<routing_process&>(*each->running).ask(what); });
  }
}

}  // namespace tern::sim
