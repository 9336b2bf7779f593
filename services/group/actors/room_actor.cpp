#include "services/group/actors/room_actor.hpp"

#include "libs/actor/wheel.hpp"

namespace tern::group {

caf::behavior room_behavior(actor::stateful<room_state>* self, const environment* env, room_id room, uint64_t epoch) {
  actor::set_common_handlers(self);
  self->state.init(*env, room, epoch);
  return {
      [self](mail& what) { self->state.on_mail(what); },
      [self](answer& what) { self->state.on_answer(what); },
      [self](actor::poke_atom) { self->state.on_poke(); },
  };
}

}  // namespace tern::group
