// The metric series of the storage service.
#pragma once

#include <tern/storage/v1/storage.pb.h>

#include <array>
#include <atomic>
#include <map>
#include <string>

#include "libs/metrics/metrics.hpp"
#include "libs/metrics/stages.hpp"
#include "services/storage/logic/write_request.hpp"

namespace tern::storage {

/// Per operation: answers by result and the time from arrival to answer.
class operation_metrics {
 public:
  explicit operation_metrics(metrics::registry& registry);
  void observe(v1::StorageRequest::OpCase op, int32_t code, double seconds) const;
  void observe(const std::vector<answer>& answers, clock::time_point now) const;

 private:
  enum result_kind : size_t { ok, rejected, overload, wrong_owner, failed, result_kinds };
  struct series {
    std::array<metrics::counter, result_kinds> answers;
    metrics::histogram seconds;
  };
  static result_kind kind_of(int32_t code);
  std::map<v1::StorageRequest::OpCase, series> by_op_;
  metrics::counter shed_;
  metrics::histogram commit_stage_;
};

/// Per shard.
struct shard_metrics {
  shard_metrics(metrics::registry& registry, const std::string& shard);
  metrics::gauge up;  // 1 while this node serves the shard
  metrics::gauge epoch;
  std::atomic<uint64_t> dispatching{0};  // newest epoch that had a dispatcher here
  metrics::counter restarts;             // of its actors, after one died
  metrics::counter commits;
  metrics::histogram commit_seconds;
  metrics::histogram batch_rows;
  metrics::counter messages;
  metrics::counter statements;
  metrics::gauge writes_waiting;
  metrics::gauge reads_waiting;
  metrics::gauge connections_busy, connections_idle;  // of the reading pool
  metrics::histogram pool_wait_seconds;
  metrics::counter retries_unavailable, retries_unknown, retries_other;
  metrics::gauge outbox_rows;
  metrics::gauge outbox_oldest_seconds;
  metrics::gauge outbox_behind;  // 1 while the outbox is read from the database, not taken from commits
  metrics::counter dispatched;
  metrics::histogram dispatch_stage;
  metrics::counter confirmed;
  metrics::counter refused;  // entries a session node did not own
  metrics::gauge bytes;
  metrics::gauge term, copies, degraded;  // of the database's servers (PostgreSQL)
  metrics::counter resealed;
  metrics::gauge reseal_progress;
  metrics::counter expired;  // messages deleted because of their age
  metrics::gauge retention_progress;
  metrics::counter move_rows, move_bytes;  // copied out of the shard
  metrics::gauge move_behind;
  metrics::gauge move_state;  // ShardMoveProgress.State of the newest move out of it; 0: none is under way
  metrics::histogram move_sealed_seconds;
  metrics::counter move_seals_given_up, moves_failed;
};

/// Of the whole service.
struct storage_metrics {
  explicit storage_metrics(metrics::registry& registry);
  metrics::registry& registry;
  operation_metrics operations;
  metrics::gauge hashes_waiting;
  metrics::gauge delivery_links;  // streams to session nodes that are up
};

}  // namespace tern::storage
