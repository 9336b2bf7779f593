// The two nodes: source and target of a move, and an owner at work.
#include <algorithm>

#include "tests/model/handover_steps.hpp"

namespace tern::model {
namespace {

constexpr uint8_t bit(uint8_t number) { return static_cast<uint8_t>(1U << (number - 1U)); }

bool works(const node_part& node) { return node.actor == actor_step::live || node.actor == actor_step::frozen; }

void add(uint8_t& to, uint8_t bits) { to = static_cast<uint8_t>(to | bits); }
void take(uint8_t& from, uint8_t bits) { from = static_cast<uint8_t>(from & ~bits); }

/// Everything up to it has reached the client or was there before.
uint8_t reached(const node_part& node) { return std::max(node.position, node.sent); }

}  // namespace

bool steps::owns(uint8_t n) const {
  const auto& node = from.nodes[n];
  return node.map_epoch != 0 && node.map_epoch >= node.claimed && node.map_owner == n &&
         (node.map_incarnation == node.incarnation || bug == mutation::restart_keeps_epoch);
}

void steps::unbind(node_part& node) {
  node.bound = 0;
  node.bound_epoch = 0;
  node.sent = 0;
  node.waiting = 0;
}

void steps::end_actor(node_part& node) {
  unbind(node);
  node.actor = actor_step::none;
  node.epoch = 0;
  node.claim = 0;
  node.dirty = 0;
  node.position = 0;
  node.entries = 0;
  node.held = 0;
}

/// The range is another's, or under another epoch: whatever was made of it here goes.
void steps::lose_range(state& at, uint8_t n) const {
  auto& node = at.nodes[n];
  if (node.actor == actor_step::claiming) node.target[node.claim] = target_step::dropped;
  for (uint8_t k = 0; k < move_count; ++k) {
    auto& step = node.source[k];
    if (step == source_step::stated) {
      step = source_step::ended;
    } else if (step == source_step::asked || step == source_step::frozen) {
      step = source_step::spent;
      at.moves[k].failed_sent = 1;
    }
  }
  end_actor(node);
}

void steps::source(uint8_t n, uint8_t k) {
  const auto& move = from.moves[k];
  const auto& self = from.nodes[n];
  if (move.exists == 0 || move.source != n || self.alive == 0 || self.incarnation != move.source_incarnation) return;
  state to = from;
  auto& node = to.nodes[n];
  const auto step = self.source[k];
  if (step == source_step::none) {
    const bool busy = std::any_of(self.source.begin(), self.source.end(), [](source_step each) {
      return each == source_step::asked || each == source_step::frozen || each == source_step::stated;
    });
    const bool can = self.actor == actor_step::live && self.epoch == move.epoch && !busy;
    node.source[k] = can ? source_step::asked : source_step::spent;
    if (can) add(to.moves[k].sent, prepare_sent);
    if (!can) to.moves[k].failed_sent = 1;
    emit(to, can ? "asks the target to prepare" : "refuses the order", n, k);
  }
  if (step == source_step::asked && (move.sent & prepared_sent) != 0 && self.actor == actor_step::live) {
    node.source[k] = source_step::frozen;
    node.actor = actor_step::frozen;
    emit(to, "freezes", n, k);
  }
  if (step == source_step::frozen && self.writing == write_kind::none) {
    node.source[k] = source_step::stated;
    add(to.moves[k].sent, states_sent);
    to.moves[k].dirty = self.dirty;
    to.moves[k].position = self.position;
    emit(to, "hands its state over", n, k);
  }
  if (step == source_step::asked || step == source_step::frozen) {
    to = from;
    node.source[k] = source_step::spent;
    node.actor = actor_step::live;
    to.moves[k].failed_sent = 1;
    add(to.moves[k].sent, cancel_sent);
    emit(to, "gives the move up and goes on", n, k);
  }
  if (step == source_step::stated && (move.sent & taken_sent) != 0 && (move.sent & result_sent) == 0) {
    add(to.moves[k].sent, result_sent);
    emit(to, "reports that everything stands still", n, k);
  }
  const bool tells = self.bound != 0;
  if (step == source_step::stated && self.actor == actor_step::frozen && bug != mutation::source_never_thaws &&
      (!tells || has_room(from.links[n].down))) {
    to = from;
    if (tells) {
      item refused;
      refused.kind = static_cast<uint8_t>(down_kind::refused);
      refused.connection = static_cast<uint8_t>(self.bound - 1);
      refused.epoch = self.bound_epoch;
      push(to.links[n].down, refused);
    }
    end_actor(node);
    node.source[k] = source_step::spent;
    add(to.moves[k].sent, cancel_sent);
    emit(to, "thaws", n, k);
  }
  claimed(n, k);
}

void steps::claimed(uint8_t n, uint8_t k) {
  const auto& move = from.moves[k];
  if ((move.sent & claimed_sent) == 0 || (move.sent & valid_sent) != 0 || move.invalid_sent != 0) return;
  state to = from;
  auto& node = to.nodes[n];
  if (bug != mutation::source_acts_after_verdict && node.actor != actor_step::none &&
      node.epoch < move.claimed_epoch) {
    lose_range(to, n);
  }
  if (bug != mutation::source_owns_after_claim && bug != mutation::source_acts_after_verdict) {
    node.claimed = std::max(node.claimed, move.claimed_epoch);
  }
  const auto step = node.source[k];
  const bool valid = step == source_step::ended || step == source_step::stated ||
                     (bug == mutation::valid_after_thaw && step == source_step::spent);
  if (valid) add(to.moves[k].sent, valid_sent);
  if (!valid) to.moves[k].invalid_sent = 1;
  emit(to, valid ? "ends its actor and says the state is valid" : "ends its actor and says the state is void", n, k);
}

void steps::target(uint8_t n, uint8_t k) {
  const auto& move = from.moves[k];
  const auto& self = from.nodes[n];
  if (move.exists == 0 || move.target != n || self.alive == 0 || self.incarnation != move.target_incarnation) return;
  state to = from;
  auto& node = to.nodes[n];
  const auto step = self.target[k];
  const bool waits = self.actor == actor_step::claiming && self.claim == k;
  if (step == target_step::none && (move.sent & prepare_sent) != 0) {
    node.target[k] = target_step::prepared;
    add(to.moves[k].sent, prepared_sent);
    emit(to, "prepares", n, k);
  }
  if (step == target_step::prepared && (move.sent & states_sent) != 0) {
    add(to.moves[k].sent, taken_sent);
    node.target[k] = target_step::has_states;
    emit(to, "takes the state", n, k);
    node.target[k] = target_step::dropped;
    emit(to, "cannot read the state and does without", n, k);
  }
  if ((step == target_step::prepared || step == target_step::has_states) && !waits &&
      (move.sent & cancel_sent) != 0) {
    to = from;
    node.target[k] = target_step::dropped;
    emit(to, "hears that the move is off", n, k);
  }
  const auto use = [&](uint8_t epoch, const char* name) {
    to = from;
    end_actor(node);
    node.actor = actor_step::live;
    node.epoch = epoch;
    node.dirty = move.dirty;
    node.position = move.position;
    node.target[k] = target_step::dropped;
    emit(to, name, n, k);
  };
  if (waits && (move.sent & valid_sent) != 0) use(self.epoch, "goes on from the state");
  if (waits) {
    to = from;
    node.target[k] = target_step::dropped;
    end_actor(node);
    emit(to, move.invalid_sent != 0 ? "drops the void state" : "waits no longer for the verdict", n, k);
  }
  if (step == target_step::has_states && self.actor == actor_step::none) {
    const bool early = bug == mutation::target_acts_before_commit && self.map_epoch <= move.epoch;
    if (early) use(static_cast<uint8_t>(move.epoch + 1), "acts before the commit");
    if (bug == mutation::state_needs_no_verdict && owns(n)) use(self.map_epoch, "uses the state without asking");
  }
}

void steps::spawn(uint8_t n) {
  state to = from;
  auto& node = to.nodes[n];
  for (auto& step : node.source) {
    if (step == source_step::stated || step == source_step::ended) step = source_step::spent;
  }
  for (uint8_t k = 0; k < move_count; ++k) {
    if (node.target[k] != target_step::has_states) continue;
    node.actor = actor_step::claiming;
    node.claim = k;
    node.epoch = node.map_epoch;
    add(to.moves[k].sent, claimed_sent);
    to.moves[k].claimed_epoch = node.map_epoch;
    emit(to, "owns the range and asks whether the state is valid", n, k);
    return;
  }
  if (node.map_epoch < to.storage.fence && bug != mutation::storage_has_no_fence)
    return;  // refused: a newer map is near
  to.storage.fence = std::max(to.storage.fence, node.map_epoch);
  node.actor = actor_step::live;
  node.epoch = node.map_epoch;
  node.dirty = to.storage.dirty;
  node.position = to.storage.delivered;
  emit(to, "owns the range and reads from storage", n);
}

void steps::actor(uint8_t n) {
  const auto& self = from.nodes[n];
  if (self.alive == 0) return;
  if (self.actor == actor_step::none && owns(n)) spawn(n);
  deliver(n);
  drain(n);
  if (self.actor != actor_step::live || self.held == 0 || self.writing != write_kind::none) return;
  state to = from;
  auto& node = to.nodes[n];
  uint8_t frame = 1;
  while ((node.held & bit(frame)) == 0) ++frame;
  take(node.held, bit(frame));
  node.writing = write_kind::append;
  node.write_value = frame;
  node.write_epoch = node.epoch;
  if (bug == mutation::receipt_before_commit && node.bound != 0 && has_room(to.links[n].down)) {
    item confirm{static_cast<uint8_t>(down_kind::confirm),
                 static_cast<uint8_t>(node.bound - 1),
                 node.bound_epoch,
                 frame,
                 0,
                 0};
    push(to.links[n].down, confirm);
  }
  emit(to, "sends a client's message to be stored", n, frame);
}

/// The outbox entry of `message` is done, says the node; storage believes it only from the newest owner.
void steps::settle(state& at, uint8_t n, uint8_t message) const {
  const uint8_t epoch = at.nodes[n].epoch;
  take(at.nodes[n].entries, bit(message));
  if (at.storage.map_owner != n) return;  // nobody listens to it any more
  if (epoch < at.storage.fence && bug != mutation::dispatcher_has_no_fence) return lose_range(at, n);
  at.storage.fence = std::max(at.storage.fence, epoch);
  take(at.storage.pending, bit(message));
}

void steps::deliver(uint8_t n) {
  const auto& self = from.nodes[n];
  const bool stated = self.actor == actor_step::frozen &&
                      std::find(self.source.begin(), self.source.end(), source_step::stated) != self.source.end();
  if (self.actor != actor_step::live && !(stated && bug == mutation::frozen_source_takes_new)) return;
  uint8_t message = 1;
  const uint8_t open = static_cast<uint8_t>(self.entries & ~self.waiting);
  while (message <= from.storage.head && (open & bit(message)) == 0) ++message;
  if (message > from.storage.head) return;
  state to = from;
  auto& node = to.nodes[n];
  if (message <= reached(self) || self.dirty != 0) {
    settle(to, n, message);
    emit(to, "answers done", n, message);
    return;
  }
  if (self.writing != write_kind::none) return;
  if (self.bound != 0 && has_room(from.links[n].down)) {
    push(to.links[n].down, {static_cast<uint8_t>(down_kind::out), static_cast<uint8_t>(self.bound - 1),
                            self.bound_epoch, message, 0, 0});
    node.sent = message;
    add(node.waiting, bit(message));
    emit(to, "delivers", n, message);
  }
  if (self.waiting != 0) return;  // away, or the window is full: it waits in the log
  to = from;
  node.writing = write_kind::mark;
  node.write_value = static_cast<uint8_t>(message - 1);
  node.write_epoch = self.epoch;
  emit(to, "marks the conversation", n, message);
}

/// A marked conversation is delivered from the log, one message at a time, and is settled when its end was
/// acknowledged.
void steps::drain(uint8_t n) {
  const auto& self = from.nodes[n];
  const bool stated = self.actor == actor_step::frozen &&
                      std::find(self.source.begin(), self.source.end(), source_step::stated) != self.source.end();
  const bool late = stated && bug == mutation::frozen_source_settles;
  if ((self.actor != actor_step::live && !late) || self.dirty == 0 || self.bound == 0) return;
  if (self.waiting != 0 || self.writing != write_kind::none) return;
  state to = from;
  auto& node = to.nodes[n];
  const uint8_t at = reached(self);
  if (at == from.storage.head) {
    node.writing = write_kind::clear;
    node.write_value = at;
    node.write_epoch = self.epoch;
    node.dirty = 0;
    node.position = at;
    emit(to, "settles the conversation", n, at);
  } else if (!late && has_room(from.links[n].down)) {
    const uint8_t message = static_cast<uint8_t>(at + 1);
    push(to.links[n].down, {static_cast<uint8_t>(down_kind::out), static_cast<uint8_t>(self.bound - 1),
                            self.bound_epoch, message, 0, 0});
    node.sent = message;
    add(node.waiting, bit(message));
    emit(to, "delivers from the log", n, message);
  }
}

void steps::take_bind(uint8_t n, const item& what) {
  if (!has_room(from.links[n].down)) return;
  state to = from;
  auto& node = to.nodes[n];
  pop(to.links[n].up);
  const bool serves = works(node) && node.epoch >= what.epoch;
  item answer;
  answer.kind = static_cast<uint8_t>(serves ? down_kind::bound : down_kind::refused);
  answer.connection = what.connection;
  answer.epoch = serves && bug == mutation::bind_answers_look_alike ? node.epoch : what.epoch;
  push(to.links[n].down, answer);
  if (serves) {
    node.bound = static_cast<uint8_t>(what.connection + 1);
    node.bound_epoch = answer.epoch;
    node.sent = bug == mutation::bind_tells_nothing ? 0 : what.value;
    node.waiting = bug == mutation::bind_tells_nothing ? 0 : what.bits;
  }
  emit(to, serves ? "takes the terminal" : "does not own the terminal's range", n);
}

void steps::intake(uint8_t n) {
  if (from.nodes[n].alive == 0 || from.links[n].up[0] == 0) return;
  const item what = unpack(from.links[n].up[0]);
  const auto kind = static_cast<up_kind>(what.kind);
  if (kind == up_kind::bind) return take_bind(n, what);
  state to = from;
  auto& node = to.nodes[n];
  pop(to.links[n].up);
  const bool ours = works(node) && node.bound == what.connection + 1;
  if (kind == up_kind::closed) {
    if (ours) unbind(node);
    emit(to, "hears that the terminal is gone", n);
  } else if (kind == up_kind::frame) {
    if (ours) add(node.held, bit(what.value));
    emit(to, "gets a client's message", n, what.value);
  } else {
    if (ours && (node.waiting & bit(what.value)) != 0) {
      take(node.waiting, bit(what.value));
      if (node.waiting == 0) node.position = reached(node);
      if ((node.entries & bit(what.value)) != 0) settle(to, n, what.value);
    }
    emit(to, "gets the acknowledgement", n, what.value);
  }
}

void steps::writes(uint8_t n) {
  const auto& self = from.nodes[n];
  if (self.writing == write_kind::none) return;
  state to = from;
  auto& node = to.nodes[n];
  auto& storage = to.storage;
  const uint8_t value = self.write_value;
  const bool same = self.alive != 0 && works(self) && self.epoch == self.write_epoch;
  node.writing = write_kind::none;
  node.write_value = 0;
  node.write_epoch = 0;
  if (self.writing == write_kind::append) {
    const bool answers = same && self.bound != 0;
    if (answers && !has_room(from.links[n].down)) return;
    if (value == storage.stored + 1) {
      storage.stored = value;
    } else if (value > storage.stored) {
      to.broken = stored_out_of_order;
    } else if (bug == mutation::append_without_key) {
      to.broken = stored_twice;
    }
    if (answers) {
      push(to.links[n].down, {static_cast<uint8_t>(down_kind::confirm), static_cast<uint8_t>(self.bound - 1),
                              self.bound_epoch, value, 0, 0});
    }
    emit(to, "storage: stores a client's message sent by", n, value);
    return;
  }
  if (self.write_epoch < storage.fence && bug != mutation::storage_has_no_fence) {
    if (same) lose_range(to, n);
    emit(to, "storage: refuses the former owner", n, value);
    return;
  }
  if (self.write_epoch < storage.fence) to.broken = stale_write_accepted;
  storage.fence = std::max(storage.fence, self.write_epoch);
  if (self.writing == write_kind::mark) {
    storage.delivered = storage.dirty != 0 ? std::min(storage.delivered, value) : value;
    storage.dirty = 1;
    if (same) node.dirty = 1;
    if (same) node.position = std::max(node.position, value);
    emit(to, "storage: stores the mark of", n, value);
  } else {
    storage.delivered = std::max(storage.delivered, value);
    storage.dirty = 0;
    emit(to, "storage: stores that all is settled, says", n, value);
  }
}

}  // namespace tern::model
