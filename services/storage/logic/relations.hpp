// The rules of friendship and blocking between two accounts, as a pure function.
#pragma once

#include <cstdint>

#include "libs/base/errc.hpp"

namespace tern::storage {

enum class relation_change : uint8_t { add, remove, block };

/// What a change does to a pair. `actor` is the side that asks for it.
struct relation_step {
  errc code = errc::ok;     // the answer to the actor
  bool changed = false;     // the bits of a side are new: both rosters must hear of it
  bool notify = false;      // the other side gets `notice` (also when nothing changed: a repeated request)
  uint32_t actor_bits = 0;  // relation_bits after the step
  uint32_t other_bits = 0;
  uint32_t notice = 0;  // bnType of the other side's notice
};

/// bnType of the notices (the TIM protocol's business types).
enum : uint32_t { notice_request = 4, notice_friends = 5, notice_removed = 6, notice_blocked = 7 };

/// ADD: a request, or friendship when the other side asked before. blocked: the other side blocks the actor.
/// permission_denied: the actor blocks the other side. repeated: friends already.
/// REMOVE: ends friendship, the actor's request and the actor's block; the other side's own request and block stay.
/// BLOCK: sets the actor's block and drops requests of both sides; a friendship stays, but carries no messages to the
/// actor while blocked.
relation_step apply_relation(relation_change change, uint32_t actor_bits, uint32_t other_bits);

/// May the sender's message be stored? `open`: friendship is not needed, a block still counts.
errc may_send(uint32_t sender_bits, uint32_t recipient_bits, bool open);

}  // namespace tern::storage
