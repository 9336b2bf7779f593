// Work in the background on the shards this node serves: new data keys and what they have to be brought to, and
// messages that are older than they are kept.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "libs/base/clock.hpp"
#include "services/storage/repositories/sealing/reseal.hpp"
#include "services/storage/retention/retention_job.hpp"
#include "services/storage/shard_slot.hpp"

namespace tern::storage {

struct upkeep_options {
  std::chrono::hours key_life{0};      // a data key that is older is followed by a new one; 0: never
  int64_t rotate_before_ns = 0;        // so is one that was made before (wall clock); 0: no
  uint64_t rows_per_second = 2'000;    // looked at, per shard
  retention_rules kept;                // how long messages are
  uint64_t expire_per_second = 2'000;  // conversations looked at or messages deleted, per shard
};

/// One thread for all shards of the node. A shard is worked on while this node serves it; who serves it next goes on.
/// The databases of the others are opened, so that the node can serve them soon after it is told to.
class upkeep {
 public:
  /// `shards`: those of this node at the moment. From any thread, as long as this lives.
  using shards_function = std::function<std::vector<std::shared_ptr<shard_slot>>()>;
  upkeep(upkeep_options how, const clock& time, shards_function shards);
  ~upkeep();
  upkeep(const upkeep&) = delete;
  upkeep& operator=(const upkeep&) = delete;

  void start();
  /// Ends after the page that is being worked on. Idempotent.
  void stop();

 private:
  using time_point = std::chrono::steady_clock::time_point;
  struct shard_work {
    std::shared_ptr<key_ring> ring;
    std::unique_ptr<reseal_job> reseal;
    std::unique_ptr<retention_job> retention;
    time_point reseal_due{}, retention_due{}, prepare_due{};
    bool reseal_failing = false, retention_failing = false;
    bool told = false;  // that everything is sealed
  };
  void run();
  /// When there is something to do on this shard again.
  time_point look_after(shard_slot& slot);
  bool key_is_old(const data_key& key) const;
  void renew_key(shard_slot& slot, key_ring& ring);
  void reseal(shard_slot& slot, shard_work& work);
  void expire(shard_slot& slot, shard_work& work);

  const upkeep_options how_;
  const clock& time_;
  const shards_function shards_;
  std::map<std::string, shard_work> work_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace tern::storage
