#include "services/session/actors/supervisor_actor.hpp"

#include "services/session/directory.hpp"
#include "services/session/links/parked_streams.hpp"
#include "services/session/wheel.hpp"

namespace tern::session {

void supervisor_state::on_map(const placement::snapshot_ptr& current) {
  if (current->version <= map_->version) return;
  const auto previous = std::exchange(map_, current);
  what_.apply(current);
  const environment& env = *what_.env;
  env.directory->pass_turns();
  const size_t ended = env.directory->end_if([&](account_id account) {
    // Another epoch of ours may mean that somebody else was the owner in between: what actors remember is worthless.
    // Where we were not the owner before, they began by the new map, maybe from what the former owner handed over.
    const placement::range* before = previous->sessions.find(slot_of(account));
    const placement::range* now = current->sessions.find(slot_of(account));
    return now == nullptr || now->owner != env.node ||
           (before != nullptr && before->owner == env.node && before->epoch != now->epoch);
  });
  if (env.parked != nullptr) env.parked->settle();
  env.log.info("map", {{"version", current->version}, {"sessions_ended", ended}});
}

void supervisor_state::on_moves() {
  constexpr std::chrono::milliseconds moves_tick{10};
  if (what_.moves()) self_->delayed_send(self_, moves_tick, moves_atom::value);
}

void supervisor_state::on_gateway(const gateway_ptr& stream, bool up) {
  const environment& env = *what_.env;
  if (!up) {
    std::erase(streams_, stream);
    lost_.push_back({stream, env.time.now() + env.config.gateway_grace});
    env.log.info("gateway away", {{"gateway", stream->node}});
    return;
  }
  // A new process of that gateway: its former connections are gone, whatever their stream says.
  std::erase_if(streams_, [&](const gateway_ptr& old) {
    const bool dead = old->node == stream->node && old->incarnation != stream->incarnation;
    if (dead) env.directory->broadcast(gateway_gone_event{old});
    return dead;
  });
  std::erase_if(lost_, [&](const lost_gateway& old) {
    const bool dead = old.stream->node == stream->node && old.stream->incarnation != stream->incarnation;
    if (dead) env.directory->broadcast(gateway_gone_event{old.stream});
    return dead;
  });
  streams_.push_back(stream);
  env.log.info("gateway attached", {{"gateway", stream->node}});
}

void supervisor_state::on_tick() {
  const environment& env = *what_.env;
  env.wheel->turn();
  what_.sweep();
  if (env.parked != nullptr) env.parked->settle();
  const auto now = env.time.now();
  std::erase_if(lost_, [&](const lost_gateway& one) {
    if (one.due > now) return false;
    env.directory->broadcast(gateway_gone_event{one.stream});
    return true;
  });
  const auto rest = what_.busy() ? what_.tick : env.wheel->rest(what_.tick, actor::idle_tick);
  self_->delayed_send(self_, rest, tick_atom::value);
}

caf::behavior supervisor_behavior(actor::stateful<supervisor_state>* self, supervised what) {
  actor::set_common_handlers(self);
  const auto first = what.tick;
  self->state.init(std::move(what));
  self->delayed_send(self, first, tick_atom::value);
  return {
      [self](map_atom, const placement::snapshot_ptr& current) { self->state.on_map(current); },
      [self](gateway_atom, const gateway_ptr& stream, bool up) { self->state.on_gateway(stream, up); },
      [self](tick_atom) { self->state.on_tick(); },
      [self](moves_atom) { self->state.on_moves(); },
      [self](presence_atom) { self->state.on_presence(); },
      [self](stop_atom) { self->quit(); },
  };
}

}  // namespace tern::session
