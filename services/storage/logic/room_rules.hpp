// Who may change what in a room, as pure functions. The only place of these rules.
#pragma once

#include <cstdint>

#include "libs/base/errc.hpp"
#include "services/storage/repositories/store.hpp"

namespace tern::storage {

/// As RoomChange.Change in storage.proto, in its order.
enum class room_change : uint8_t { apply, pull_in, refuse, kick, block, bar, leave, cancel, profile };

/// bnType of the notices (the TIM protocol's business types).
enum : uint32_t {
  notice_application = 9,  // somebody applies: to founder and managers
  notice_joined = 10,      // member now, by joining or because the application passed
  notice_refused = 11,     // the application was refused
  notice_pulled_in = 12,
  notice_kicked = 13,
  notice_barred = 15  // removed by a manager, and may not come back
};

/// One change and what there is before it. Bits are room_bits.
struct room_ask {
  room_change change = room_change::apply;
  room_kind kind = room_kind::none;
  bool cancelled = false;
  uint32_t members = 0;
  uint32_t actor_bits = 0;
  uint32_t target_bits = 0;    // pull_in, refuse, kick, bar
  bool actor_founded = false;  // also when the room is cancelled and the founder no member any more
  bool target_founded = false;
  bool same = false;           // actor and target are one account
  bool sets_managers = false;  // profile: the list of managers is given
};

/// What becomes of it. With another code than ok nothing changes.
struct room_step {
  errc code = errc::ok;
  bool changed = false;     // the room has a new version
  uint32_t actor_bits = 0;  // after the step
  uint32_t target_bits = 0;
  uint32_t actor_notice = 0;  // bnType; 0 = none
  uint32_t target_notice = 0;
  uint32_t managers_notice = 0;  // to the founder and all managers
  bool cancels = false;
  bool joined = false;         // apply: member now
  bool was_applicant = false;  // pull_in
};

/// Rules and errors: RoomChange in storage.proto. A bit set that lost room_member left the room; one that lost
/// room_manager is no manager any more. profile: may it be done; the fields are not looked at.
room_step apply_room_change(const room_ask& ask);

/// May somebody with these bits read, write or be written to in the room? `founded`: is the founder, who alone hears
/// that the room was cancelled.
errc may_use_room(bool cancelled, uint32_t bits, bool founded);

}  // namespace tern::storage
