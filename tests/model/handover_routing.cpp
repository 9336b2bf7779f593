// The environment's faults, the leaders of routing, the meta database, and who learns of the maps when.
#include "tests/model/handover_steps.hpp"

namespace tern::model {

void steps::new_connection(state& at) const {
  auto& gateway = at.gateway;
  ++gateway.connection;
  gateway.written = 0;
  gateway.unacknowledged = 0;
  gateway.frames_sent = gateway.frames_confirmed;
  gateway.step = bind_step::none;
  gateway.node = 0;
  gateway.epoch = 0;
  at.client.shown = 0;
}

namespace {

void cut(handover_state& at, uint8_t node) {
  at.links[node] = {};
  auto& gateway = at.gateway;
  if (gateway.step == bind_step::none || gateway.node != node) return;
  gateway.step = bind_step::none;
  gateway.node = 0;
  gateway.epoch = 0;
}

void elect(handover_state& at, uint8_t which) {
  ++at.meta.term;
  at.leaders[which] = {leader_step::idle, at.meta.term, at.meta.epoch, at.meta.owner, at.meta.incarnation, 0};
}

void load(handover_state& at, uint8_t which) {
  auto& leader = at.leaders[which];
  if (leader.term != at.meta.term) {
    leader = {};
    return;
  }
  leader = {leader_step::idle, leader.term, at.meta.epoch, at.meta.owner, at.meta.incarnation, 0};
}

}  // namespace

void steps::environment() {
  for (uint8_t n = 0; n < node_count; ++n) {
    if (from.nodes[n].alive != 0 && from.left.crashes > 0) {
      for (const bool written : {true, false}) {  // what was under way to storage may still arrive
        if (!written && from.nodes[n].writing == write_kind::none) break;
        state to = from;
        auto& node = to.nodes[n];
        const node_part before = node;
        node = {};
        node.incarnation = before.incarnation;
        if (written) {
          node.writing = before.writing;
          node.write_value = before.write_value;
          node.write_epoch = before.write_epoch;
        }
        cut(to, n);
        --to.left.crashes;
        emit(to, written ? "crashes" : "crashes, and what it was writing with it", n, 0, true);
      }
    }
    if (from.nodes[n].alive == 0) {
      state to = from;
      to.nodes[n].alive = 1;
      ++to.nodes[n].incarnation;
      emit(to, "is started again", n);
    }
    if (from.left.link_breaks > 0 && from.nodes[n].alive != 0 &&
        (from.gateway.step != bind_step::none && from.gateway.node == n)) {
      state to = from;
      cut(to, n);
      unbind(to.nodes[n]);
      --to.left.link_breaks;
      emit(to, "loses its stream to the gateway", n, 0, true);
    }
  }
  if (from.left.reconnects > 0) {
    const bool told = from.gateway.step != bind_step::none;
    if (!told || has_room(from.links[from.gateway.node].up)) {
      state to = from;
      item closed;
      closed.kind = static_cast<uint8_t>(up_kind::closed);
      closed.connection = to.gateway.connection;
      if (told) push(to.links[to.gateway.node].up, closed);
      new_connection(to);
      --to.left.reconnects;
      emit(to, "client: comes back by another connection", 0, 0, true);
    }
  }
  if (from.left.gateway_crashes > 0) {
    state to = from;
    for (uint8_t n = 0; n < node_count; ++n) {
      cut(to, n);
      unbind(to.nodes[n]);
    }
    new_connection(to);
    to.gateway.map_epoch = 0;
    to.gateway.map_owner = 0;
    to.gateway.newest_epoch = 0;
    --to.left.gateway_crashes;
    emit(to, "gateway: crashes; the client comes back", 0, 0, true);
  }
}

void steps::routing() {
  bool somebody_leads = false;
  for (const auto& each : from.leaders) somebody_leads = somebody_leads || each.step != leader_step::off;
  for (uint8_t which = 0; which < 2; ++which) {
    if (from.leaders[which].step == leader_step::off && (!somebody_leads || from.left.depositions > 0)) {
      state to = from;
      elect(to, which);
      if (somebody_leads) --to.left.depositions;
      emit(to, "routing: is elected", which, 0, somebody_leads);
    }
    if (from.leaders[which].step == leader_step::off) continue;
    if (from.left.leader_crashes > 0) {
      state to = from;
      to.leaders[which] = {};
      --to.left.leader_crashes;
      emit(to, "routing: crashes", which, 0, true);
    }
    leader(which);
  }
}

void steps::leader(uint8_t which) {
  const auto& self = from.leaders[which];
  if (self.step == leader_step::unknown) {
    state to = from;
    load(to, which);
    emit(to, "routing: reads back what was committed", which);
    if (bug == mutation::answer_is_guessed) {
      const uint8_t target = from.moves[self.move].target;
      if (from.nodes[target].alive == 0 || from.nodes[target].map_epoch > self.epoch) return;
      to = from;
      auto& node = to.nodes[target];
      node.map_epoch = static_cast<uint8_t>(self.epoch + 1);
      node.map_owner = target;
      node.map_incarnation = node.incarnation;
      emit(to, "routing: publishes what it thinks was committed", which);
    }
    return;
  }
  plan(which);
  repair(which);
  if (self.step == leader_step::ordered) {
    const auto& move = from.moves[self.move];
    state to = from;
    if ((move.sent & result_sent) != 0) {
      to.leaders[which].step = leader_step::ready;
      emit(to, "routing: hears that everything stands still", which, self.move);
    }
    to = from;
    to.leaders[which].step = leader_step::idle;
    to.leaders[which].move = 0;
    if (move.failed_sent != 0) emit(to, "routing: hears that the move failed", which, self.move);
    if (bug != mutation::orders_never_end) emit(to, "routing: gives up waiting for the move", which, self.move);
  }
  if (self.step == leader_step::ready)
    commit(from, which, from.moves[self.move].target, "routing: commits the move", false);
}

void steps::plan(uint8_t which) {
  const auto& self = from.leaders[which];
  if (self.step != leader_step::idle || from.left.moves == 0) return;
  const uint8_t source = self.owner;
  const uint8_t target = static_cast<uint8_t>(1 - source);
  if (from.nodes[source].alive == 0 || from.nodes[target].alive == 0) return;
  if (from.nodes[source].incarnation != self.incarnation) return;
  state to = from;
  uint8_t number = 0;
  while (to.moves[number].exists != 0) ++number;
  auto& move = to.moves[number];
  move.exists = 1;
  move.source = source;
  move.target = target;
  move.epoch = self.epoch;
  move.source_incarnation = from.nodes[source].incarnation;
  move.target_incarnation = from.nodes[target].incarnation;
  to.leaders[which].step = leader_step::ordered;
  to.leaders[which].move = number;
  --to.left.moves;
  emit(to, "routing: orders a move", which, number, true);
}

void steps::repair(uint8_t which) {
  const auto& self = from.leaders[which];
  const uint8_t owner = self.owner;
  const uint8_t other = static_cast<uint8_t>(1 - owner);
  const bool other_lives = from.nodes[other].alive != 0;
  if (from.nodes[owner].alive == 0) {
    if (other_lives) commit(from, which, other, "routing: gives the range of a dead node away", false);
    return;
  }
  if (from.nodes[owner].incarnation != self.incarnation) {
    if (bug != mutation::restart_keeps_epoch) {
      commit(from, which, owner, "routing: gives a restarted node a new epoch", false);
    }
    return;
  }
  if (from.left.suspicions > 0 && other_lives) {
    state to = from;
    --to.left.suspicions;
    commit(to, which, other, "routing: takes a silent node for dead", true);
  }
}

void steps::commit(state to, uint8_t which, uint8_t owner, const char* name, bool fault) const {
  const state before = to;
  const auto self = to.leaders[which];
  const bool current = self.term == to.meta.term;
  const bool fits = self.epoch == to.meta.epoch;
  const bool unchecked = bug == mutation::no_check_at_commit;
  if ((!current && bug != mutation::no_term_at_commit && !unchecked) || (!fits && !unchecked)) {
    load(to, which);
    emit(to, "routing: is refused by the meta database", which, 0, fault);
    return;
  }
  if (!current && !unchecked) to.broken = deposed_leader_committed;
  to.meta.epoch = static_cast<uint8_t>(self.epoch + 1);
  to.meta.owner = owner;
  to.meta.incarnation = to.nodes[owner].incarnation;
  to.leaders[which] = {leader_step::idle, self.term, to.meta.epoch, owner, to.meta.incarnation, 0};
  emit(to, name, which, owner, fault);
  if (from.left.meta_faults == 0) return;
  --to.left.meta_faults;
  to.leaders[which] = self;
  to.leaders[which].step = leader_step::unknown;
  emit(to, "routing: commits, but the answer is lost", which, owner, true);
  to = before;
  --to.left.meta_faults;
  to.leaders[which].step = leader_step::unknown;
  emit(to, "routing: cannot reach the meta database", which, owner, true);
}

void steps::maps() {
  for (uint8_t n = 0; n < node_count; ++n) {
    if (from.nodes[n].alive == 0 || from.nodes[n].map_epoch >= from.meta.epoch) continue;
    state to = from;
    auto& node = to.nodes[n];
    node.map_epoch = to.meta.epoch;
    node.map_owner = to.meta.owner;
    node.map_incarnation = to.meta.incarnation;
    const bool kept = node.actor == actor_step::claiming && bug == mutation::claim_survives_newer_map && owns(n);
    if (kept) {
      node.epoch = node.map_epoch;
    } else if (node.actor != actor_step::none && (node.map_owner != n || node.epoch != node.map_epoch)) {
      lose_range(to, n);
    }
    for (uint8_t k = 0; k < move_count; ++k) {
      const bool open = node.target[k] == target_step::prepared || node.target[k] == target_step::has_states;
      if (open && node.map_owner != n && node.map_epoch > to.moves[k].epoch) node.target[k] = target_step::dropped;
    }
    emit(to, "sees the new map", n);
  }
  if (from.gateway.map_epoch >= from.meta.epoch) return;
  state to = from;
  auto& gateway = to.gateway;
  gateway.map_epoch = to.meta.epoch;
  gateway.map_owner = to.meta.owner;
  const bool fits =
      gateway.step == bind_step::bound && gateway.node == gateway.map_owner && gateway.epoch >= gateway.map_epoch;
  if (!fits) {
    gateway.step = bind_step::none;
    gateway.node = 0;
    gateway.epoch = 0;
  }
  emit(to, "gateway: sees the new map");
}

}  // namespace tern::model
