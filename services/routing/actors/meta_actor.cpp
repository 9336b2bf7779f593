// The meta actor: the only user of the meta database, on a thread of its own.
#include <utility>

#include "libs/log/log.hpp"
#include "services/routing/actors.hpp"

namespace tern::routing {
namespace {

constexpr auto load_again = std::chrono::milliseconds(200);
const log::logger logger{"routing"};

/// After an unknown outcome or a lost race: what is in the database decides.
void settle(meta_store& store, const commit_request& what) {
  auto stored = store.load();
  if (!stored) {
    logger.warn("the meta database cannot be read", {{"why", stored.error().detail}});
    caf::anon_send(what.answer_to, committed_message{what.next, false});
  } else if (stored->version == what.now->version) {
    caf::anon_send(what.answer_to, committed_message{what.next, false});
  } else {
    const bool ours = stored->version == what.next->version && stored->sessions == what.next->sessions &&
                      stored->groups == what.next->groups && stored->shards == what.next->shards &&
                      stored->storage == what.next->storage && stored->nodes == what.next->nodes;
    if (ours) {
      caf::anon_send(what.answer_to, committed_message{what.next, true});
    } else {
      caf::anon_send(what.answer_to, loaded_message{std::make_shared<meta_state>(*std::move(stored))});
    }
  }
}

void commit(meta_store& store, const commit_request& what) {
  const auto done = store.commit(*what.now, *what.next);
  if (done) {
    caf::anon_send(what.answer_to, committed_message{what.next, true});
    return;
  }
  logger.warn("maps not committed", {{"error", to_string(done.code())}, {"why", done.error().detail}});
  if (done.code() == errc::unavailable) {
    caf::anon_send(what.answer_to, committed_message{what.next, false});
  } else {
    settle(store, what);
  }
}

}  // namespace

caf::behavior meta_behavior(actor::plain* self, std::shared_ptr<meta_store> store) {
  actor::set_common_handlers(self);
  return {
      [self, store](const load_request& what) {
        auto state = store->load();
        if (state) {
          caf::anon_send(what.answer_to, loaded_message{std::make_shared<meta_state>(*std::move(state))});
          return;
        }
        logger.error("the meta database cannot be read", {{"why", state.error().detail}});
        self->delayed_send(self, load_again, what);
      },
      [store](const commit_request& what) { commit(*store, what); },
  };
}

}  // namespace tern::routing
