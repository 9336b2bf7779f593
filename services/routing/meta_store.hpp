// The meta database: the maps, as they were committed last. Calls block: they run on the meta actor's own thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/result.hpp"
#include "libs/placement/view.hpp"
#include "services/routing/intents.hpp"
#include "services/routing/leader.hpp"

namespace tern::routing {

/// Everything routing must not forget: a snapshot of the maps and nodes, nodes and shards by name.
using meta_state = placement::snapshot;

/// Used by one thread at a time.
class meta_store {
 public:
  virtual ~meta_store() = default;
  /// Connects, applies migrations; to be called again after errors.
  virtual result<void> open() = 0;
  /// Version 0 and empty maps when nothing was ever committed.
  virtual result<meta_state> load() = 0;
  /// Replaces `now` by `next` in one transaction if the stored version is still now.version and `term` still leads;
  /// the beat of the leader is raised with it. stale_epoch: somebody else was faster, or leads; unavailable: nothing
  /// was written; deadline: unknown, load() tells.
  virtual result<void> commit(const meta_state& now, const meta_state& next, uint64_t term) = 0;

  /// What operators want.
  virtual result<intents> load_intents() = 0;
  /// Replaces it if `term` still leads, else stale_epoch; other errors as of commit().
  virtual result<void> store_intents(const intents& what, uint64_t term) = 0;

  /// Term 0 and no node when nobody ever led.
  virtual result<leader_row> leader() = 0;
  /// `self` leads with term seen.term + 1, if the row still has the term and beat of `seen`; else stale_epoch.
  virtual result<void> take_over(const leader_row& seen, const leader_row& self) = 0;
  /// Raises the beat; stale_epoch when another term leads.
  virtual result<void> renew(uint64_t term) = 0;
  /// Nobody leads any more, if `term` did; else stale_epoch.
  virtual result<void> resign(uint64_t term) = 0;
};

/// "memory:" (for tests: forgotten with the object), "sqlite:PATH" or PostgreSQL. Does not connect yet.
std::unique_ptr<meta_store> make_meta_store(const std::string& dsn);

/// Gives an empty meta database what another one says of storage: its map, shards, moves between them and the
/// version, so that epochs go on. Nodes and the other maps are not taken: those are other processes. False: it was
/// not empty, and stays as it is. Errors as of the stores.
result<bool> import_storage(meta_store& from, meta_store& into);

}  // namespace tern::routing
