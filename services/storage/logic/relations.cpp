#include "services/storage/logic/relations.hpp"

#include "services/storage/repositories/store.hpp"

namespace tern::storage {
namespace {

relation_step add(uint32_t actor, uint32_t other) {
  relation_step step{.actor_bits = actor, .other_bits = other};
  if ((other & relation_blocks) != 0) {
    step.code = errc::blocked;
  } else if ((actor & relation_blocks) != 0) {
    step.code = errc::permission_denied;
  } else if ((actor & relation_friend) != 0) {
    step.code = errc::repeated;
    step.notify = true;
    step.notice = notice_friends;
  } else if ((other & relation_asked) != 0) {
    step.actor_bits = step.other_bits = relation_friend;
    step.changed = step.notify = true;
    step.notice = notice_friends;
  } else {
    step.actor_bits = actor | relation_asked;
    step.changed = step.actor_bits != actor;
    step.notify = true;
    step.notice = notice_request;
  }
  return step;
}

relation_step remove(uint32_t actor, uint32_t other) {
  relation_step step;
  step.other_bits = other & ~static_cast<uint32_t>(relation_friend);
  step.changed = actor != relation_none || step.other_bits != other;
  step.notify = step.changed;
  step.notice = notice_removed;
  return step;
}

relation_step block(uint32_t actor, uint32_t other) {
  relation_step step;
  step.actor_bits = (actor & ~static_cast<uint32_t>(relation_asked)) | relation_blocks;
  step.other_bits = other & ~static_cast<uint32_t>(relation_asked);
  step.changed = step.actor_bits != actor || step.other_bits != other;
  step.notify = step.changed;
  step.notice = notice_blocked;
  return step;
}

}  // namespace

relation_step apply_relation(relation_change change, uint32_t actor_bits, uint32_t other_bits) {
  switch (change) {
    case relation_change::add: return add(actor_bits, other_bits);
    case relation_change::remove: return remove(actor_bits, other_bits);
    case relation_change::block: return block(actor_bits, other_bits);
  }
  return {.code = errc::bad_parameter, .actor_bits = actor_bits, .other_bits = other_bits};
}

errc may_send(uint32_t sender_bits, uint32_t recipient_bits, bool open) {
  if ((recipient_bits & relation_blocks) != 0) return errc::blocked;
  if (!open && (sender_bits & relation_friend) == 0) return errc::permission_denied;
  return errc::ok;
}

}  // namespace tern::storage
