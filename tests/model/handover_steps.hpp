// The steps of handover_model, one function per part of the system. Each looks at `from`, and for every step that is
// possible there calls the visitor with what comes of it.
#pragma once

#include "tests/model/handover_model.hpp"

namespace tern::model {

/// Numbers of handover_state::broken.
enum broken_promise : uint8_t {
  nothing_broken,
  shown_twice,
  shown_out_of_order,
  older_epoch_taken,
  stale_write_accepted,
  stored_twice,
  stored_out_of_order,
  deposed_leader_committed,
  receipt_without_message,
};

/// Kinds of items between the gateway and a node. Up: bind, acknowledged, closed, frame; down: out, bound, refused,
/// confirm.
enum class up_kind : uint8_t { none, bind, acknowledged, closed, frame };
enum class down_kind : uint8_t { none, out, bound, refused, confirm };
/// Fields of an item. `value`: message or frame; of a bind `written`, with `unacknowledged` and `frames` beside it.
struct item {
  uint8_t kind = 0;        // 3 bits
  uint8_t connection = 0;  // 2
  uint8_t epoch = 0;       // 4
  uint8_t value = 0;       // 2
  uint8_t bits = 0;        // 3
  uint8_t frames = 0;      // 2
};
uint16_t pack(const item& what);
item unpack(uint16_t packed);
using queue = std::array<uint16_t, 3>;
bool has_room(const queue& in);
void push(queue& in, const item& what);
item pop(queue& from);

/// One call of next(): what all parts need.
struct steps {
  using state = handover_state;
  const state& from;
  const handover_model::visitor& visit;
  mutation bug;

  void environment();  // crashes, suspicions, breaks, new connections
  void routing();      // leaders, the meta database
  void maps();         // who learns of them
  void source(uint8_t node, uint8_t move);
  void target(uint8_t node, uint8_t move);
  void actor(uint8_t node);   // an owner at work
  void intake(uint8_t node);  // what the gateway sent to it
  void writes(uint8_t node);  // what it sent to storage
  void edge();                // gateway and client
  void dispatch();            // the log and the outbox

 private:
  void emit(const state& to, const char* name, uint8_t who = 0, uint8_t what = 0, bool fault = false) const {
    visit(to, action{name, who, what, fault});
  }
  void leader(uint8_t which);
  void plan(uint8_t which);
  void repair(uint8_t which);
  void commit(state to, uint8_t which, uint8_t owner, const char* name, bool fault) const;
  void spawn(uint8_t node);
  void claimed(uint8_t node, uint8_t move);
  void take_bind(uint8_t node, const item& what);
  void deliver(uint8_t node);
  void drain(uint8_t node);
  void take_down(uint8_t node);

  bool owns(uint8_t node) const;
  static void end_actor(node_part& node);
  void lose_range(state& at, uint8_t node) const;
  static void unbind(node_part& node);
  void settle(state& at, uint8_t node, uint8_t message) const;
  void show(state& at, uint8_t message) const;
  void new_connection(state& at) const;
};

}  // namespace tern::model
