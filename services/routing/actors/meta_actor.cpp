// The meta actor: the only user of the meta database, on a thread of its own.
#include <utility>

#include "libs/log/log.hpp"
#include "services/routing/actors.hpp"

namespace tern::routing {
namespace {

constexpr auto load_again = std::chrono::milliseconds(200);
const log::logger logger{"routing"};

void answer(const commit_request& what, errc code) {
  caf::anon_send(what.answer_to, committed_message{what.next, what.term, code});
}

/// After an unknown outcome or a lost race: what is in the database decides.
void settle(meta_store& store, const commit_request& what, errc code) {
  auto stored = store.load();
  if (!stored) {
    logger.warn("the meta database cannot be read", {{"why", stored.error().detail}});
    answer(what, errc::unavailable);
  } else if (stored->version == what.now->version) {
    answer(what, code == errc::stale_epoch ? code : errc::unavailable);
  } else {
    const bool ours = stored->version == what.next->version && stored->sessions == what.next->sessions &&
                      stored->groups == what.next->groups && stored->shards == what.next->shards &&
                      stored->storage == what.next->storage && stored->nodes == what.next->nodes;
    if (ours) {
      answer(what, errc::ok);
    } else {
      caf::anon_send(what.answer_to, loaded_message{std::make_shared<meta_state>(*std::move(stored)), what.term});
    }
  }
}

void commit(meta_store& store, const commit_request& what) {
  const auto done = store.commit(*what.now, *what.next, what.term);
  if (done) {
    answer(what, errc::ok);
    return;
  }
  logger.warn("maps not committed", {{"error", to_string(done.code())}, {"why", done.error().detail}});
  if (done.code() == errc::unavailable) {
    answer(what, errc::unavailable);
  } else {
    settle(store, what, done.code());
  }
}

void lead(meta_store& store, const leader_request& what) {
  leader_message out{what.step, errc::ok, what.row, what.term, what.sent};
  error problem{errc::ok, {}};
  if (what.step == election::step::look) {
    auto row = store.leader();
    if (row) out.row = *std::move(row);
    if (!row) problem = row.error();
  } else {
    const auto done =
        what.step == election::step::take_over ? store.take_over(what.row, what.self) : store.renew(what.term);
    if (!done) problem = done.error();
  }
  out.code = problem.code;
  if (out.code != errc::ok && out.code != errc::stale_epoch) {
    logger.warn("the leader row cannot be reached", {{"error", to_string(out.code)}, {"why", problem.detail}});
  }
  caf::anon_send(what.answer_to, std::move(out));
}

}  // namespace

caf::behavior meta_behavior(actor::plain* self, std::shared_ptr<meta_store> store) {
  actor::set_common_handlers(self);
  return {
      [self, store](const load_request& what) {
        auto state = store->load();
        auto wanted = store->load_intents();
        if (state && wanted) {
          caf::anon_send(what.answer_to, loaded_message{std::make_shared<meta_state>(*std::move(state)), what.term,
                                                        *std::move(wanted)});
          return;
        }
        logger.error("the meta database cannot be read",
                     {{"why", state ? wanted.error().detail : state.error().detail}});
        self->delayed_send(self, load_again, what);
      },
      [store](const commit_request& what) { commit(*store, what); },
      [store](const leader_request& what) { lead(*store, what); },
      [store](const intents_request& what) {
        const auto done = store->store_intents(what.what, what.term);
        if (!done) logger.warn("intents not stored", {{"error", to_string(done.code())}});
        caf::anon_send(what.answer_to, stored_message{what.what, what.term, done.code()});
      },
      [store](const resign_request& what) {
        if (const auto done = store->resign(what.term); !done) {
          logger.warn("the leader row was not given back", {{"error", to_string(done.code())}});
        }
        if (what.done) what.done->set_value();
      },
  };
}

}  // namespace tern::routing
