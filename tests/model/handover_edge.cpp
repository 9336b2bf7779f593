// The gateway and its client.
#include <algorithm>

#include "tests/model/handover_steps.hpp"

namespace tern::model {
namespace {
constexpr uint8_t bit(uint8_t number) { return static_cast<uint8_t>(1U << (number - 1U)); }
}  // namespace

uint16_t pack(const item& what) {
  return static_cast<uint16_t>(what.kind | what.connection << 3U | what.epoch << 5U | what.value << 9U |
                               what.bits << 11U | what.frames << 14U);
}

item unpack(uint16_t packed) {
  const auto field = [&](unsigned at, unsigned mask) { return static_cast<uint8_t>((packed >> at) & mask); };
  return {field(0, 7), field(3, 3), field(5, 15), field(9, 3), field(11, 7), field(14, 3)};
}

bool has_room(const queue& in) { return in.back() == 0; }

void push(queue& in, const item& what) { *std::find(in.begin(), in.end(), 0) = pack(what); }

item pop(queue& from) {
  const item first = unpack(from.front());
  std::copy(from.begin() + 1, from.end(), from.begin());
  from.back() = 0;
  return first;
}

/// A message is written to the client's socket.
void steps::show(state& at, uint8_t message) const {
  const uint8_t before = static_cast<uint8_t>(bit(message) - 1U);
  auto& client = at.client;
  if ((client.shown & bit(message)) != 0) {
    at.broken = shown_twice;
  } else if ((client.shown & ~before) != 0 || (before & ~(client.shown | client.acknowledged)) != 0) {
    at.broken = shown_out_of_order;
  }
  client.shown = static_cast<uint8_t>(client.shown | bit(message));
  at.gateway.written = std::max(at.gateway.written, message);
  at.gateway.unacknowledged = static_cast<uint8_t>(at.gateway.unacknowledged | bit(message));
}

void steps::edge() {
  for (uint8_t n = 0; n < node_count; ++n) take_down(n);
  const auto& self = from.gateway;
  const uint8_t owner = self.map_owner;
  if (self.step == bind_step::none && self.map_epoch != 0 && from.nodes[owner].alive != 0 &&
      has_room(from.links[owner].up)) {
    state to = from;
    push(to.links[owner].up, {static_cast<uint8_t>(up_kind::bind), self.connection, self.map_epoch, self.written,
                              self.unacknowledged, self.frames_confirmed});
    to.gateway.step = bind_step::binding;
    to.gateway.node = owner;
    to.gateway.epoch = 0;
    to.gateway.frames_sent = self.frames_confirmed;
    emit(to, "gateway: binds the terminal to", owner);
  }
  const bool linked = self.step != bind_step::none;
  const bool room = linked && has_room(from.links[self.node].up);
  const uint8_t frames = static_cast<uint8_t>(from.left.frames);
  if (self.step == bind_step::bound && self.frames_sent < frames && room) {
    state to = from;
    const uint8_t frame = ++to.gateway.frames_sent;
    push(to.links[self.node].up, {static_cast<uint8_t>(up_kind::frame), self.connection, 0, frame, 0, 0});
    emit(to, "gateway: passes a client's message on to", self.node, frame);
  }
  if (self.unacknowledged != 0 && (!linked || room)) {
    state to = from;
    uint8_t message = 1;
    while ((self.unacknowledged & bit(message)) == 0) ++message;
    to.gateway.unacknowledged = static_cast<uint8_t>(self.unacknowledged & ~bit(message));
    to.client.acknowledged = static_cast<uint8_t>(to.client.acknowledged | bit(message));
    if (linked) {
      push(to.links[self.node].up, {static_cast<uint8_t>(up_kind::acknowledged), self.connection, 0, message, 0, 0});
    }
    emit(to, "client: acknowledges", 0, message);
  }
}

void steps::dispatch() {
  const auto& storage = from.storage;
  if (storage.head < from.left.messages) {
    state to = from;
    const uint8_t message = ++to.storage.head;
    to.storage.pending = static_cast<uint8_t>(storage.pending | bit(message));
    emit(to, "storage: commits a message to the account", 0, message);
  }
  const uint8_t owner = storage.map_owner;
  const auto& node = from.nodes[owner];
  const uint8_t fresh = static_cast<uint8_t>(storage.pending & ~node.entries);
  const bool serves = node.actor == actor_step::live || node.actor == actor_step::frozen;
  const bool agrees = node.epoch >= storage.map_epoch || bug == mutation::entries_without_epoch;
  if (node.alive != 0 && serves && agrees && fresh != 0) {
    state to = from;
    uint8_t message = 1;
    while ((fresh & bit(message)) == 0) ++message;
    to.nodes[owner].entries = static_cast<uint8_t>(node.entries | bit(message));
    emit(to, "storage: sends a message to", owner, message);
  }
  if (storage.map_epoch >= from.meta.epoch) return;
  state to = from;
  to.storage.map_epoch = from.meta.epoch;
  to.storage.map_owner = from.meta.owner;
  emit(to, "storage: sees the new map");
}

void steps::take_down(uint8_t n) {
  if (from.links[n].down[0] == 0) return;
  state to = from;
  const item what = pop(to.links[n].down);
  auto& gateway = to.gateway;
  const auto kind = static_cast<down_kind>(what.kind);
  const bool ours = what.connection == gateway.connection;
  const bool bound = ours && gateway.step == bind_step::bound && gateway.node == n && gateway.epoch == what.epoch;
  const char* name = "gateway: drops what comes from";
  if (kind == down_kind::out && ours && (bound || bug == mutation::gateway_takes_any_epoch)) {
    if (what.epoch < gateway.newest_epoch) to.broken = older_epoch_taken;
    gateway.newest_epoch = std::max(gateway.newest_epoch, what.epoch);
    if (to.broken == nothing_broken) show(to, what.value);
    name = "gateway: writes to the client what comes from";
  } else if (kind == down_kind::bound && ours && gateway.step == bind_step::binding && gateway.node == n &&
             (what.epoch == gateway.map_epoch ||
              (what.epoch > gateway.map_epoch && bug == mutation::bind_answers_look_alike))) {
    gateway.step = bind_step::bound;
    gateway.epoch = what.epoch;
    name = "gateway: has its terminal bound to";
  } else if (kind == down_kind::refused && ours && gateway.step != bind_step::none && gateway.node == n &&
             what.epoch >= gateway.map_epoch) {
    gateway.step = bind_step::none;
    gateway.node = 0;
    gateway.epoch = 0;
    name = "gateway: is told to bind again by";
  } else if (kind == down_kind::confirm && bound) {
    if (what.value > to.storage.stored) to.broken = receipt_without_message;
    gateway.frames_confirmed = std::max(gateway.frames_confirmed, what.value);
    name = "gateway: passes a receipt on from";
  }
  emit(to, name, n, what.value);
}

}  // namespace tern::model
