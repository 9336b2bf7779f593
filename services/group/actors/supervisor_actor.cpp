#include "services/group/actors/supervisor_actor.hpp"

#include "libs/actor/wheel.hpp"
#include "services/group/directory.hpp"
#include "services/group/links/parking.hpp"
#include "services/group/live/directory.hpp"

namespace tern::group {

namespace {

constexpr std::chrono::milliseconds move_tick{10};

}  // namespace

void supervisor_state::on_map(const placement::snapshot_ptr& current) {
  if (current->version <= map_->version) return;
  map_ = current;
  what_.apply(current);
  const environment& env = *what_.env;
  uint64_t slots = 0;
  for (const placement::range& one : current->groups.ranges()) {
    if (one.owner == env.node) slots += one.last - one.first + 1;
  }
  env.metrics.slots_owned.set(static_cast<double>(slots));
  // Another epoch of ours may mean that somebody else was the owner in between: what actors remember is worthless. An
  // actor of an epoch this map does not know yet was made by a request that came with a newer map.
  const auto lost = [&](room_id room, uint64_t epoch) {
    const placement::range* now = current->groups.find(slot_of(room));
    return now == nullptr || now->owner != env.node || now->epoch > epoch;
  };
  const size_t ended = env.directory->end_if(lost);
  const size_t vrooms = env.vrooms->end_if(lost);
  if (env.parking != nullptr) env.parking->turn();
  env.log.info("map",
               {{"version", current->version}, {"slots", slots}, {"rooms_ended", ended}, {"vrooms_ended", vrooms}});
}

void supervisor_state::on_gone(const session_ptr& stream) {
  what_.env->directory->broadcast(stream_gone_event{stream});
  what_.env->log.info("session node away", {{"session", stream->node}});
}

void supervisor_state::on_gone(const live::gateway_ptr& stream) {
  what_.env->vrooms->broadcast(live::gateway_gone_event{stream});
  what_.env->log.info("gateway away", {{"gateway", stream->node}});
}

void supervisor_state::on_moving() {
  if (what_.env->parking != nullptr) what_.env->parking->turn();
  if (what_.move()) self_->delayed_send(self_, move_tick, moving_message{});
}

void supervisor_state::on_tick() {
  if (what_.env->parking != nullptr) what_.env->parking->turn();
  what_.env->wheel->turn();
  what_.sweep();
  const auto rest = what_.busy() ? what_.tick : what_.env->wheel->rest(what_.tick, actor::idle_tick);
  self_->delayed_send(self_, rest, tick_message{});
}

caf::behavior supervisor_behavior(actor::stateful<supervisor_state>* self, supervised with) {
  actor::set_common_handlers(self);
  const auto first = with.tick;
  self->state.init(std::move(with));
  self->delayed_send(self, first, tick_message{});
  return {
      [self](const map_message& what) { self->state.on_map(what.map); },
      [self](const stream_gone_message& what) { self->state.on_gone(what.stream); },
      [self](const gateway_gone_message& what) { self->state.on_gone(what.stream); },
      [self](moving_message) { self->state.on_moving(); },
      [self](tick_message) { self->state.on_tick(); },
      [self](stop_message) { self->quit(); },
  };
}

}  // namespace tern::group
