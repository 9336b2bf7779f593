// The actors of the storage service and what they say to each other. Per shard and epoch: one writer (detached: it
// blocks in the database) and one dispatcher; one supervisor (detached) for all.
#pragma once

#include <caf/all.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libs/actor/actor.hpp"
#include "libs/base/backoff.hpp"
#include "libs/base/clock.hpp"
#include "libs/placement/view.hpp"
#include "services/storage/logic/dispatch_window.hpp"
#include "services/storage/logic/write_request.hpp"
#include "services/storage/logic/writer_engine.hpp"
#include "services/storage/logic/writer_task.hpp"

namespace tern::storage {

class delivery_hub;
class shard_port;
struct shard_metrics;
struct storage_metrics;

// ---- to the writer -----------------------------------------------------------------------------------------------

/// Writes under way to a writer. Should they never be taken, because the writer has died, the supervisor hears of it.
struct write_parcel {
  write_parcel(std::vector<write_request>&& what, caf::actor whom)
      : items(std::move(what)), supervisor(std::move(whom)) {}
  ~write_parcel();
  write_parcel(const write_parcel&) = delete;
  write_parcel& operator=(const write_parcel&) = delete;
  std::vector<write_request> items;
  caf::actor supervisor;
};
/// Writes in order; answered after their commit.
struct write_message {
  std::shared_ptr<write_parcel> parcel;
};
/// Outbox entries to delete with the next commit.
struct done_message {
  std::shared_ptr<std::vector<uint64_t>> entries;
};
/// Wanted: the outbox after `after`; answered to the dispatcher with page_message.
struct page_request {
  uint64_t after = 0;
};
/// Work of a mover.
struct task_message {
  std::shared_ptr<writer_task> task;
};
/// Answer what waits with wrong_owner and quit.
struct stop_message {};
/// To itself: run a round; the pause after a failure is over; confirmations have waited long enough.
struct round_message {};
struct resume_message {};
struct done_due_message {};

// ---- to the dispatcher -------------------------------------------------------------------------------------------

struct writer_message {
  caf::actor writer;
};
/// Entries of one commit, in order.
struct committed_message {
  std::shared_ptr<std::vector<session::v1::Delivery>> entries;
  clock::time_point committed;
};
struct page_message {
  std::shared_ptr<std::vector<session::v1::Delivery>> entries;  // null: could not be read
  bool last = false;
};
/// A commit ended in an unknown outcome: look into the outbox.
struct resync_message {};
struct map_message {
  placement::snapshot_ptr map;
};
/// A stream to a session node is up, or (null) down.
struct stream_message {
  std::string node;
  std::shared_ptr<delivery_sink> out;
};
struct replies_message {
  std::string node;  // who says so
  std::shared_ptr<std::vector<session::v1::DeliveryReply>> items;
};
/// Which slots' entries go from here: at the start, and one change later (`task` ends then).
struct doors_message {
  slot_doors doors;
};
struct door_message {
  std::shared_ptr<writer_task> task;
};
/// To itself: try again what had to wait.
struct pump_message {};

// ---- to the supervisor -------------------------------------------------------------------------------------------

/// The writer serves (or lost) its database; `stale`: another node owns the shard, the writer has quit.
struct shard_state_message {
  std::string shard;
  uint64_t epoch = 0;
  bool open = false;
  bool stale = false;
};
/// Streams with requests that nobody will answer: to be ended, so that their owners ask again, in order.
struct abandoned_message {
  std::vector<std::shared_ptr<reply_sink>> streams;
};
/// To itself, every 200 ms.
struct tick_message {};

/// What a writer is made with.
struct writer_setup {
  writer_options options;
  const clock* time = nullptr;
  writer_engine::open_function open;
  std::shared_ptr<shard_port> port;
  std::shared_ptr<shard_metrics> metrics;
  std::shared_ptr<storage_metrics> service_metrics;
  caf::actor dispatcher;
  caf::actor supervisor;  // may be empty
  std::shared_ptr<shard_counters> counters;
};
struct writer_state {
  static inline const char* name = "shard_writer";
  ~writer_state();
  writer_setup setup;
  std::unique_ptr<writer_engine> engine;
  backoff pause{std::chrono::milliseconds{10},
                std::chrono::milliseconds{250}};  // between attempts to reach the database
  bool round_due = false;
  bool paused = false;
  bool done_due = false;
  bool announced_open = false;
  uint64_t statements_counted = 0;
  uint64_t failures = 0;                            // in a row
  std::vector<std::shared_ptr<writer_task>> tasks;  // that wait for writes before them
};
/// Spawn it detached.
caf::behavior writer_behavior(actor::stateful<writer_state>* self, writer_setup setup);

struct dispatcher_setup {
  std::string shard;
  uint64_t epoch = 0;
  const clock* time = nullptr;
  dispatch_options options;
  std::shared_ptr<shard_metrics> metrics;
  placement::snapshot_ptr map;
};
struct dispatcher_state {
  static inline const char* name = "dispatcher";
  dispatcher_setup setup;
  dispatch_window window;
  caf::actor writer;
  bool pump_due = false;
  std::map<uint64_t, clock::time_point> measured;  // entries of messages whose stages are, since their commit
};
caf::behavior dispatcher_behavior(actor::stateful<dispatcher_state>* self, dispatcher_setup setup);

}  // namespace tern::storage

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::storage::write_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::storage::done_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::storage::page_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::storage::task_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::storage::doors_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::storage::door_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::storage::stop_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::storage::round_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::storage::resume_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::storage::done_due_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::storage::writer_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::storage::committed_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::storage::page_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::storage::resync_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::storage::map_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::storage::stream_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::storage::replies_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::storage::pump_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::storage::shard_state_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::storage::abandoned_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::storage::tick_message)
