// One of the two databases of a move: pages of rows, the log of changed keys, and the state of the range.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libs/base/ids.hpp"
#include "libs/base/result.hpp"
#include "services/storage/moves/moved_tables.hpp"
#include "services/storage/moves/slot_doors.hpp"

namespace tern::storage {

struct slot_range {
  int64_t first = 0;
  int64_t last = 0;  // inclusive
};

/// slot_owner.phase. Numbers are stored. Checked and deleted: of a range that was moved for good.
constexpr int64_t phase_copying = 0, phase_copied = 1, phase_compared = 2, phase_checked = 3, phase_deleted = 4;

/// A row of slot_owner.
struct range_row {
  slot_range range;
  slot_state state = slot_state::served;
  slot_state before = slot_state::served;
  int64_t move = 0;
  int64_t epoch = 0;
  int64_t mover = 0;
  bool seen = false;
  int64_t phase = phase_copying;
  int64_t tab = 0;
  std::string place{};
  int64_t rows = 0, bytes = 0, rows_all = 0;
};

struct log_page {
  std::vector<int64_t> entries;
  std::map<int64_t, std::vector<row_key>> keys;  // by table, each once
};

/// Not thread-safe; calls block. After a lost connection the next begin() or read connects anew.
class move_side {
 public:
  static result<std::unique_ptr<move_side>> open(const std::string& dsn);
  explicit move_side(std::unique_ptr<sql::connection> database) : database_(std::move(database)) {}

  /// The next rows of the range by key.
  result<std::vector<sql::row>> page(const moved_table& table, slot_range of, const row_key& after, size_t rows);
  /// Rows after `after` up to and with `upto` (empty: to the end of the range).
  result<std::vector<sql::row>> between(const moved_table& table, slot_range of, const row_key& after,
                                        const row_key& upto);
  result<std::vector<sql::row>> rows_of(const moved_table& table, const std::vector<row_key>& keys);
  result<void> put(const moved_table& table, const std::vector<sql::row>& rows);
  result<void> erase(const moved_table& table, const std::vector<row_key>& keys);
  /// Deletes some rows of the range; how many. 0: none are left.
  result<size_t> erase_some(const moved_table& table, slot_range of, size_t rows);
  result<int64_t> count(slot_range of);

  result<log_page> log(slot_range of, size_t entries);
  result<void> drop_log(const std::vector<int64_t>& entries);
  result<void> drop_log_of(slot_range of);
  /// About, at most `most`.
  result<size_t> log_length(slot_range of, size_t most);
  result<bool> in_log(const moved_table& table, const row_key& key);

  /// The outbox (or what of it was imported), in entry order, with columns as in `outbox_columns`.
  result<std::vector<sql::row>> outbox(slot_range of, bool imported = false);
  result<void> import_outbox(slot_range of, const std::vector<sql::row>& rows);
  /// Gives the imported entries numbers from `first` on, in their order, and puts them into the outbox.
  result<void> open_outbox(slot_range of, uint64_t first);
  result<size_t> imported(slot_range of);
  result<void> erase_outbox(slot_range of, bool imported);

  /// The shard's data keys, wrapped; and those of another shard, to open rows that come from there with.
  result<std::vector<sql::row>> data_keys();
  result<void> put_data_keys(const std::vector<sql::row>& keys);

  result<std::vector<range_row>> ranges();
  result<std::optional<range_row>> range_of(int64_t move);
  result<void> write(const range_row& row);
  /// The shard's owner lets nobody in to an import.
  result<void> mark_seen(const range_row& row);
  result<void> remove(slot_range of);
  /// Inside transact: locks of others are waited for 100 ms at most (PostgreSQL).
  result<void> wait_briefly();
  // What logs changes (of ranges that want it). PostgreSQL: the shard's writer waits behind locks on its tables, so
  // these are taken for one table after the other, each given up after some tens of milliseconds and tried again.
  result<bool> logging();
  result<void> start_logging();
  /// Takes it away unless a range needs it, or will.
  result<void> stop_logging(uint64_t epoch);
  /// Waits for all who are changing rows now: every later change is logged, if slot_owner says so and logging() was
  /// true then.
  result<void> wait_for_writers();
  /// Runs `work` in a transaction; not done at all if it fails. Refused (stale_epoch) unless the shard's writer is
  /// the one of `epoch`; 0: not asked.
  template <class Work>
  result<void> transact(uint64_t epoch, Work&& work) {
    if (auto begun = begin(epoch); !begun) return begun;
    result<void> done = work();
    if (!done) {
      database_->rollback();
      return done;
    }
    return database_->commit();
  }
  /// Inside transact: stale_epoch unless the range is an import of `move` and `mover` is its mover.
  result<void> check_mover(slot_range of, int64_t move, int64_t mover);

 private:
  result<void> begin(uint64_t epoch);
  result<std::vector<sql::row>> read(const std::string& text, const std::vector<sql::value>& params);
  result<void> run(const std::string& text, const std::vector<sql::value>& params = {});
  result<bool> may_stop_logging();
  result<void> patiently(const std::function<result<void>()>& work);
  result<void> put_chunk(const moved_table& table, const sql::row* rows, size_t count);
  bool pg() const { return database_->dialect() == sql::dialect::pg; }

  std::unique_ptr<sql::connection> database_;
  bool inside_ = false;
};

/// Which slots of a shard are served, as its database has it.
slot_doors doors_of(const std::vector<range_row>& ranges);
/// By the database whose writer is the one of `epoch`; unavailable: it is another server, or another writer's.
result<slot_doors> doors_in(const std::string& dsn, uint64_t epoch);

}  // namespace tern::storage
