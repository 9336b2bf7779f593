#include "services/session/actors/session_actor.hpp"

namespace tern::session {

caf::behavior session_behavior(actor::stateful<session_state>* self, const environment* env, account_id account) {
  actor::set_common_handlers(self);
  self->state.init(*env, account);
  return {
      [self](mail& what) { self->state.on_mail(what); },
      [self](answer& what) { self->state.on_answer(what); },
      [self](poke_atom) { self->state.on_poke(); },
  };
}

}  // namespace tern::session
