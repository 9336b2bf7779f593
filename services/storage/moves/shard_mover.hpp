// Moves ranges of slots from one shard's database to another's, as routing orders it (docs/flows/shard-move.md).
#pragma once

#include <tern/routing/v1/routing.pb.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "libs/placement/view.hpp"
#include "services/storage/shard_slot.hpp"

namespace tern::storage {

struct mover_options {
  uint64_t bytes_per_second = 64U << 20U;  // of the first copy, where an order does not say
  size_t page_rows = 512;
  std::chrono::milliseconds seal_limit{400};   // a seal that takes longer is given up
  int seal_attempts = 12;                      // then FAILED
  std::chrono::milliseconds seal_pause{300};   // after the first, longer after each: a busy database gets calmer
  std::chrono::milliseconds look_every{500};   // for imports of other nodes' movers
  std::chrono::milliseconds patience{10'000};  // an order for a shard that is not served here is forgotten afterwards
  /// For tests: called with the name of each step before it is done; what it throws ends the mover on the spot, as if
  /// the process had died there.
  std::function<void(const std::string& step)> at_step = {};
  bool without_seal = false;  // for tests: shows that their comparison finds what is lost then
};

/// Executes orders of routing on the shards this node serves: COPY, SEAL, ABORT and FINISH where the source is
/// served, OPEN where the target is. COPY of a range that is sealed already is answered SEALED. An order for a shard
/// that is not served here, or not yet, waits for it a while: routing gives it again. Thread-safe.
///
/// Every step may be ordered again, here or at another node, after a crash anywhere: what has been done is in the two
/// databases (`slot_owner`). Between SEAL and the decision requests of the range wait at the shard's port; the
/// decision is the storage map (map_changed): from then on the source refuses them.
class shard_movers {
 public:
  using report = std::function<void(const routing::v1::ShardMoveProgress&)>;
  /// `tell` is called on the mover's threads: on changes, and each second while copying.
  shard_movers(std::shared_ptr<const shard_slots> shards, const clock& time, report tell, mover_options how = {});
  ~shard_movers();
  shard_movers(const shard_movers&) = delete;
  shard_movers& operator=(const shard_movers&) = delete;

  /// Never blocks. The newest order of a move replaces the one before it; the same one again is answered again.
  void order(const routing::v1::ShardMoveOrder& what);
  /// Never blocks.
  void map_changed(const placement::snapshot_ptr& map);
  /// Ends the threads; what was under way goes on with the next order, anywhere.
  void stop();

 private:
  friend class source_work;
  friend class target_work;
  struct inside;
  const std::shared_ptr<inside> inside_;
};

}  // namespace tern::storage
