#include "services/storage/metrics.hpp"

#include "services/storage/convert.hpp"

namespace tern::storage {
namespace {

using op_case = v1::StorageRequest::OpCase;

constexpr op_case operations_known[] = {
    v1::StorageRequest::kAppend,       v1::StorageRequest::kRelate,     v1::StorageRequest::kRosterPut,
    v1::StorageRequest::kCursorPut,    v1::StorageRequest::kNoticeDrop, v1::StorageRequest::kAccountCreate,
    v1::StorageRequest::kTokenIssue,   v1::StorageRequest::kTokenLogin, v1::StorageRequest::kPasswordLogin,
    v1::StorageRequest::kAccountGet,   v1::StorageRequest::kRosterList, v1::StorageRequest::kBacklog,
    v1::StorageRequest::kRead,         v1::StorageRequest::kRecall,     v1::StorageRequest::kRoomCreate,
    v1::StorageRequest::kRoomAppend,   v1::StorageRequest::kRoomChange, v1::StorageRequest::kAccountRoomPut,
    v1::StorageRequest::kNoticePut,    v1::StorageRequest::kProfilePut, v1::StorageRequest::kPasswordChange,
    v1::StorageRequest::kAccountRooms, v1::StorageRequest::kRoomGet,    v1::StorageRequest::kRoomMembers,
    v1::StorageRequest::kRoomPermit,   v1::StorageRequest::kProfileGet, v1::StorageRequest::OP_NOT_SET,
};

}  // namespace

operation_metrics::operation_metrics(metrics::registry& registry)
    : shed_(registry.counter("tern_overload_shed_total", "refused because too much waits, by what was full",
                             {{"reason", "storage_queue"}})),
      commit_stage_(metrics::stage_seconds(registry, metrics::stage::commit)) {
  constexpr std::array<const char*, result_kinds> names{"ok", "rejected", "overload", "wrong_owner", "failed"};
  for (const auto op : operations_known) {
    const std::string name(operation_name(op));
    auto& one = by_op_[op];
    for (size_t kind = 0; kind < result_kinds; ++kind) {
      one.answers[kind] =
          registry.counter("tern_storage_operations_total", "Requests answered, by operation and result",
                           {{"op", name}, {"result", names[kind]}});
    }
    one.seconds = registry.histogram("tern_storage_operation_seconds", "From a request's arrival to its answer",
                                     metrics::latency_buckets(), {{"op", name}});
  }
}

operation_metrics::result_kind operation_metrics::kind_of(int32_t code) {
  switch (static_cast<errc>(code)) {
    case errc::ok: return ok;
    case errc::overload: return overload;
    case errc::wrong_owner: return wrong_owner;
    case errc::unavailable:
    case errc::deadline:
    case errc::database:
    case errc::internal:
    case errc::undefined: return failed;
    default: return rejected;
  }
}

void operation_metrics::observe(v1::StorageRequest::OpCase op, int32_t code, double seconds) const {
  const auto at = by_op_.find(op);
  if (at == by_op_.end()) return;
  const auto kind = kind_of(code);
  at->second.answers[kind].add();
  if (kind == overload) shed_.add();
  at->second.seconds.observe(seconds);
  if (op == v1::StorageRequest::kAppend && kind == ok && metrics::stage_sampled<metrics::stage::commit>())
    commit_stage_.observe(seconds);
}

void operation_metrics::observe(const std::vector<answer>& answers, clock::time_point now) const {
  for (const auto& one : answers) {
    observe(one.op, one.reply.code(), std::chrono::duration<double>(now - one.arrived).count());
  }
}

shard_metrics::shard_metrics(metrics::registry& registry, const std::string& shard) {
  const metrics::labels of{{"shard", shard}};
  const auto retries = [&](const char* reason) {
    return registry.counter("tern_storage_retries_total", "Database work done again, by reason",
                            {{"shard", shard}, {"reason", reason}});
  };
  up = registry.gauge("tern_storage_shard_up", "1 while this node serves the shard and its database answers", of);
  epoch = registry.gauge("tern_storage_shard_epoch", "Epoch in which this node serves the shard", of);
  restarts = registry.counter("tern_storage_shard_restarts_total", "Shards started again after an actor died", of);
  commits = registry.counter("tern_storage_commits_total", "Group commits", of);
  commit_seconds = registry.histogram("tern_storage_commit_seconds", "Reading, planning and committing one batch",
                                      metrics::latency_buckets(), of);
  batch_rows =
      registry.histogram("tern_storage_batch_rows", "Rows written by one commit", metrics::size_buckets(), of);
  messages = registry.counter("tern_storage_messages_total", "Messages stored", of);
  statements = registry.counter("tern_storage_statements_total", "Statements sent to the database", of);
  writes_waiting = registry.gauge("tern_storage_writes_waiting", "Writes not answered yet", of);
  reads_waiting = registry.gauge("tern_storage_reads_waiting", "Reads waiting for a connection", of);
  const auto connections = [&](const char* state) {
    return registry.gauge("tern_storage_pool_connections", "Connections of the reading pool, by state",
                          {{"shard", shard}, {"state", state}});
  };
  connections_busy = connections("busy");
  connections_idle = connections("idle");
  pool_wait_seconds = registry.histogram("tern_storage_pool_wait_seconds", "Time reads wait for a connection",
                                         metrics::latency_buckets(), of);
  retries_unavailable = retries("unavailable");
  retries_unknown = retries("unknown_outcome");
  retries_other = retries("other");
  outbox_rows = registry.gauge("tern_storage_outbox_rows", "Undelivered entries held by the dispatcher", of);
  outbox_oldest_seconds = registry.gauge("tern_storage_outbox_oldest_seconds", "Age of the oldest of them", of);
  outbox_behind =
      registry.gauge("tern_storage_outbox_behind", "1 while the outbox is being read from the database", of);
  dispatched = registry.counter("tern_storage_dispatched_total", "Outbox entries sent to session nodes", of);
  dispatch_stage = metrics::stage_seconds(registry, metrics::stage::dispatch);
  confirmed = registry.counter("tern_storage_confirmed_total", "Outbox entries confirmed by session nodes", of);
  refused = registry.counter("tern_storage_dispatch_refused_total",
                             "Outbox entries sent to a node that does not own them", of);
  bytes = registry.gauge("tern_storage_shard_bytes", "Size of the shard's database", of);
  term = registry.gauge("tern_storage_shard_term", "Timeline of the PostgreSQL primary that is written to", of);
  copies = registry.gauge("tern_storage_shard_copies", "Standbys that confirm each commit", of);
  degraded = registry.gauge("tern_storage_shard_degraded",
                            "1 while writes go on with fewer confirming standbys than configured", of);
  resealed =
      registry.counter("tern_storage_resealed_rows_total", "Rows sealed again with the shard's current data key", of);
  reseal_progress = registry.gauge("tern_storage_reseal_progress_ratio",
                                   "How far that has come; 1: all rows are sealed with it", of);
  expired = registry.counter("tern_storage_expired_messages_total",
                             "Messages deleted because they were older than their domain keeps them", of);
  retention_progress =
      registry.gauge("tern_storage_retention_progress_ratio",
                     "How far the shard has been looked through for them; 1: once more, or none is", of);
  move_rows = registry.counter("tern_storage_move_rows_total", "Rows copied to other shards by moves of slots", of);
  move_bytes = registry.counter("tern_storage_move_bytes_total", "Bytes of these rows", of);
  move_behind = registry.gauge("tern_storage_move_behind_rows",
                               "Rows of a range on the move that changed and are not copied again yet", of);
  move_state = registry.gauge("tern_storage_move_state",
                              "What the newest move out of the shard has come to: 0 none under way, 1 copying, "
                              "2 ready, 3 sealed, 7 failed",
                              of);
  move_sealed_seconds = registry.histogram(
      "tern_storage_move_sealed_seconds",
      "From closing the slots of a move to their being handed over, sealed: requests wait so long, "
      "and until the map says so",
      metrics::latency_buckets(), of);
  move_seals_given_up = registry.counter("tern_storage_move_seals_given_up_total",
                                         "Seals taken back because they took too long or the database refused", of);
  moves_failed = registry.counter("tern_storage_moves_failed_total", "Moves given back to routing as failed", of);
}

storage_metrics::storage_metrics(metrics::registry& to)
    : registry(to),
      operations(to),
      hashes_waiting(to.gauge("tern_storage_hashes_waiting", "Password hashes waiting for a thread")),
      delivery_links(to.gauge("tern_storage_delivery_links", "Streams to session nodes that are up")) {}

}  // namespace tern::storage
