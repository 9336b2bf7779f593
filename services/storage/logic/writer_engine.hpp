// The shard writer without its actor: the queue, the rounds of group commit, and what happens when the database
// fails.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "libs/base/clock.hpp"
#include "services/storage/logic/batch_builder.hpp"
#include "services/storage/logic/write_request.hpp"

namespace tern::storage {

struct writer_options {
  std::string shard;
  uint64_t epoch = 0;
  size_t batch_requests = 1024;    // per commit
  size_t batch_bytes = 4U << 20U;  // of bodies, per commit; one request always fits
  size_t done_rows = 4096;         // confirmed outbox entries deleted by one commit
  // So many that wait go in two commits at once, each of other slots, where the store can. 0: never.
  size_t split_requests = 512;
  // How long keys are looked up before each commit, after the store was opened or a key was found: that is when
  // senders repeat themselves. Else the commit says when a key is there already, and is done anew with a look.
  std::chrono::milliseconds look_for_keys{10'000};
  cache_bounds cached;
};

/// What one round did.
struct round {
  enum class outcome : uint8_t {
    idle,    // nothing to do
    served,  // a batch was committed, or its requests needed no commit
    retry,   // the database is away: try again after a pause
    stale,   // another writer owns the shard: nothing more will be served; everything has been answered
  };
  outcome what = outcome::idle;
  std::vector<answer> answers;
  std::vector<session::v1::Delivery> deliveries;  // of this commit, in entry order
  bool resync = false;      // outbox rows may have been committed without being in `deliveries`: scan
  errc failure = errc::ok;  // why, for retry
  std::string detail;
  size_t commits = 0;  // two when there was much to do
  size_t rows = 0;     // of what was committed
  size_t messages = 0;
};

/// Used by one thread. Nothing is answered before it is durable. After an unknown outcome the caches are dropped and
/// the database is asked whether the batch is in it: then its requests are answered as planned, else they are done
/// anew.
///
/// A round in which much waits makes two commits at the same time, the second on a thread that ends with the round.
/// No slot is in both, and between two rounds none is under way: so what is read, asked for by movers or delivered
/// never meets half of it.
class writer_engine {
 public:
  /// Opens the store and acquires the shard with the engine's epoch; called again after each failure.
  using open_function = std::function<result<std::unique_ptr<writer_store>>()>;
  /// `counters`: those of an earlier engine of the same epoch, if there was one.
  writer_engine(writer_options how, const clock& time, open_function open,
                std::shared_ptr<shard_counters> counters = nullptr);

  void add(std::vector<write_request>&& items);
  /// Outbox entries that their recipients' owners confirmed; deleted by the next commit.
  void add_done(const std::vector<uint64_t>& entries);
  /// Takes one batch through reading, planning and commit. Blocks for the database. After an exception on the way its
  /// requests are taken one by one, and one that throws again is answered with an error.
  round run();
  /// A page of the outbox as deliveries. unavailable, deadline: try again later. stale_epoch never.
  result<std::vector<session::v1::Delivery>> scan(uint64_t after, size_t limit);
  /// Before a planned end: deletes what was confirmed, if the database is there.
  void flush_done();
  /// The writes that wait, to end their streams: they go to nobody else from here.
  const std::deque<write_request>& items() const noexcept { return items_; }
  /// Answers everything that waits. Afterwards the engine is empty.
  std::vector<answer> refuse_all(errc code);
  /// Answers what waited beyond its deadline.
  std::vector<answer> expire();

  /// Are all writes of slots first..last that were added committed and answered? False while the database is away:
  /// what was sent to it last may still be done.
  bool settled(slot_type first, slot_type last) const;
  /// Nothing of these slots is remembered.
  void forget(slot_type first, slot_type last) { cache_.forget(first, last); }
  shard_counters& counters() noexcept { return *counters_; }

  size_t waiting() const noexcept { return items_.size(); }
  size_t done_waiting() const noexcept { return done_.size(); }
  bool open() const noexcept { return store_ != nullptr; }
  /// Opens the store if it is not open. stale_epoch: somebody else owns the shard.
  result<void> ensure_open();
  /// Statements sent to the database so far, over all connections.
  uint64_t statements() const;

 private:
  /// The first so many requests go in one commit, and so many behind them in another one at the same time.
  struct batch_sizes {
    size_t first = 0, second = 0;
  };
  /// One commit of the requests items_[from, from + count).
  struct attempt;

  size_t batch_size() const;
  bool may_split();
  batch_sizes split();
  void run_batch(round& out);
  result<void> resolve(round& out);
  result<bool> was_committed(const batch_witness& witness);
  void doubt(attempt& one);
  void unanswerable(round& out);
  batch_builder new_plan();
  bool run_planned(size_t count, bool look, round& out);
  void run_both(const batch_sizes& sizes, bool look, round& out);
  bool plan(attempt& one, bool look);
  void take_done(attempt& one);
  void commit(attempt& one, writer_store& into);
  void conclude(std::span<attempt* const> all, round& out);
  result<void> read(attempt& one, bool ask_keys);
  result<void> read_keys(batch_builder& builder, bool ask);
  void look_for_keys();
  void settle(attempt& one, round& out);
  void fail(const error& why, size_t count, bool committing, round& out);
  void drop_store();
  void remove(size_t from, size_t count);

  writer_options how_;
  const clock& time_;
  open_function open_;
  std::unique_ptr<writer_store> store_;
  std::unique_ptr<writer_store> beside_;  // of store_, once it was needed
  uint64_t closed_statements_ = 0;
  std::optional<uint64_t> term_;  // of the database when it was last opened
  shard_cache cache_;
  std::shared_ptr<shard_counters> counters_;
  std::deque<write_request> items_;
  std::deque<uint64_t> done_;
  std::vector<batch_witness> doubts_;  // of the batches whose outcome is not known; their requests are in_doubt
  clock::time_point look_until_{};     // for keys
  size_t in_batch_ = 0;                // requests of the batches under way
  bool durable_ = false;               // one of them is committed
  size_t solo_ = 0;  // so many requests go one by one, because a batch with them failed for no known reason
};

}  // namespace tern::storage
