#include "services/storage/logic/room_rules.hpp"

namespace tern::storage {
namespace {

bool is(uint32_t bits, uint32_t what) { return (bits & what) != 0; }

/// Nothing changes.
room_step stay(const room_ask& ask, errc code) {
  return {.code = code, .actor_bits = ask.actor_bits, .target_bits = ask.target_bits};
}

room_step actor_becomes(const room_ask& ask, uint32_t bits) {
  auto step = stay(ask, errc::ok);
  step.changed = bits != ask.actor_bits;
  step.actor_bits = bits;
  return step;
}

room_step target_becomes(const room_ask& ask, uint32_t bits, uint32_t notice) {
  auto step = stay(ask, errc::ok);
  step.changed = bits != ask.target_bits;
  step.target_bits = bits;
  step.target_notice = notice;
  return step;
}

room_step apply(const room_ask& ask) {
  if (is(ask.actor_bits, room_member)) return stay(ask, errc::exists);
  if (is(ask.actor_bits, room_barred)) return stay(ask, errc::blocked);
  if (ask.kind == room_kind::open) {
    auto step = actor_becomes(ask, room_member);
    step.joined = true;
    step.actor_notice = notice_joined;
    return step;
  }
  if (is(ask.actor_bits, room_applied)) return stay(ask, errc::repeated);
  auto step = actor_becomes(ask, room_applied);
  step.managers_notice = notice_application;
  return step;
}

room_step pull_in(const room_ask& ask) {
  const bool manages = is(ask.actor_bits, room_manager);
  if (!is(ask.actor_bits, room_member) || (ask.kind != room_kind::open && !manages)) {
    return stay(ask, errc::permission_denied);
  }
  if (is(ask.target_bits, room_member)) return stay(ask, errc::exists);
  if (is(ask.target_bits, room_refuses)) return stay(ask, errc::blocked);
  if (is(ask.target_bits, room_barred) && !manages) return stay(ask, errc::blocked);
  const bool applied = is(ask.target_bits, room_applied);
  auto step = target_becomes(ask, room_member, applied ? notice_joined : notice_pulled_in);
  step.was_applicant = applied;
  return step;
}

room_step refuse(const room_ask& ask) {
  if (!is(ask.actor_bits, room_manager)) return stay(ask, errc::permission_denied);
  if (!is(ask.target_bits, room_applied)) return stay(ask, errc::expired);
  return target_becomes(ask, ask.target_bits & ~uint32_t{room_applied}, notice_refused);
}

/// Managers are removed by the founder only, the founder by nobody, and nobody removes oneself.
bool may_remove(const room_ask& ask) {
  if (!is(ask.actor_bits, room_manager) || ask.same || ask.target_founded) return false;
  return ask.actor_founded || !is(ask.target_bits, room_manager);
}

room_step kick(const room_ask& ask) {
  if (!may_remove(ask)) return stay(ask, errc::permission_denied);
  if (!is(ask.target_bits, room_member)) return stay(ask, errc::bad_parameter);
  return target_becomes(ask, room_none, notice_kicked);
}

room_step bar(const room_ask& ask) {
  if (!may_remove(ask)) return stay(ask, errc::permission_denied);
  const uint32_t refuses = ask.target_bits & room_refuses;
  return target_becomes(ask, room_barred | refuses, is(ask.target_bits, room_member) ? uint32_t{notice_barred} : 0);
}

room_step block(const room_ask& ask) {
  if (ask.actor_founded) return stay(ask, errc::permission_denied);
  return actor_becomes(ask, room_refuses | (ask.actor_bits & room_barred));
}

room_step leave(const room_ask& ask) {
  if (ask.actor_founded || !is(ask.actor_bits, room_member)) return stay(ask, errc::permission_denied);
  return actor_becomes(ask, room_none);
}

room_step cancel(const room_ask& ask) {
  if (!ask.actor_founded) return stay(ask, errc::permission_denied);
  if (ask.cancelled) return stay(ask, errc::cancelled_object);
  if (ask.members > 1) return stay(ask, errc::permission_denied);
  auto step = actor_becomes(ask, room_none);
  step.changed = step.cancels = true;
  return step;
}

room_step profile(const room_ask& ask) {
  const bool allowed = ask.sets_managers ? ask.actor_founded : is(ask.actor_bits, room_manager);
  return stay(ask, allowed ? errc::ok : errc::permission_denied);
}

}  // namespace

room_step apply_room_change(const room_ask& ask) {
  // Nobody is in a cancelled room any more: leaving and blocking need no word about it.
  switch (ask.change) {
    case room_change::block: return block(ask);
    case room_change::leave: return leave(ask);
    case room_change::cancel: return cancel(ask);
    default: break;
  }
  if (ask.cancelled) return stay(ask, errc::cancelled_object);
  switch (ask.change) {
    case room_change::apply: return apply(ask);
    case room_change::pull_in: return pull_in(ask);
    case room_change::refuse: return refuse(ask);
    case room_change::kick: return kick(ask);
    case room_change::bar: return bar(ask);
    case room_change::profile: return profile(ask);
    default: return stay(ask, errc::bad_parameter);
  }
}

errc may_use_room(bool cancelled, uint32_t bits, bool founded) {
  if (cancelled) return founded ? errc::cancelled_object : errc::permission_denied;
  return (bits & room_member) != 0 ? errc::ok : errc::permission_denied;
}

}  // namespace tern::storage
