// The steps of one move over its two databases. Each may be cut off anywhere and done again, here or elsewhere.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "services/storage/moves/move_side.hpp"

namespace tern::storage {

struct move_plan {
  int64_t move = 0;
  slot_range range;
  std::string source_dsn, target_dsn;
  int64_t back_of = 0;  // not 0: a rollback of that move
  int64_t epoch = 0;    // of the range in the storage map
};

struct move_tuning {
  uint64_t bytes_per_second = 64U << 20U;
  size_t page_rows = 512;
  bool without_log = false;  // tests: shows that the comparison finds what is lost
  std::function<void(const std::string& step)> at_step;
};

/// What the mover tells while it works.
struct move_progress {
  std::atomic<uint64_t> rows{0}, bytes{0}, rows_all{0}, behind{0};
};

/// Used by one thread. `source_epoch`: of the shard's writer at this node; another writer ends it (stale_epoch).
class range_move {
 public:
  range_move(move_plan plan, move_tuning how, uint64_t source_epoch, std::function<bool()> stopped);

  /// From here on changes of the range are logged, and the target knows of the import. `again`: only if that has been
  /// done before, else errc::config.
  result<void> begin(bool again = false);
  /// One piece of the first copy or of the comparison. True: the range is ready to be sealed. errc::internal: the
  /// target differs, the move has failed.
  result<bool> advance();
  /// Applies up to `pages` pages of changes; how many are left, about.
  result<size_t> catch_up(size_t pages);
  /// Has the target's owner (if it has one) seen that it must not serve the range yet?
  result<bool> target_knows();
  result<bool> target_opened();

  /// After the last write of the range was committed: nobody serves it. True: it was not sealed before.
  result<bool> seal();
  /// Everything that is left goes over. Afterwards the target has it all.
  result<void> hand_over();
  /// Before a decision: back to export.
  result<void> unseal();

  /// The decision is the target: the source never serves it again.
  result<void> leave();
  /// The decision is the source: it serves again. Then clean_target().
  result<void> reopen();
  result<void> clean_target();
  /// Everything the source kept and that has not changed since is the same in the target; it is deleted, and the
  /// target logs no more.
  result<void> finish();

  /// The target's half of the decision, at the target's node. `number` gives so many numbers of outbox entries.
  static result<void> open_target(const move_plan& plan, uint64_t target_epoch,
                                  const std::function<uint64_t(size_t)>& number);
  static result<void> open_target(const move_plan& plan, move_side& target, uint64_t target_epoch,
                                  const std::function<uint64_t(size_t)>& number);

  const move_progress& progress() const noexcept { return progress_; }
  slot_state source_state() const noexcept { return own_.state; }
  /// Copied and compared: only what changes since is carried.
  bool compared() const noexcept { return own_.phase >= phase_compared; }

 private:
  result<void> connect();
  /// Reads what the source knows of the move.
  result<void> read_own();
  static void end_logging(move_side& side, uint64_t epoch);
  void rest(std::chrono::steady_clock::duration worked) const;
  result<void> prepare_log(move_side& side) const;
  result<void> must_log(move_side& side) const;
  result<void> claim_target();
  /// The keys that rows of the source are sealed with go first: a row that arrives can be opened.
  result<void> copy_keys();
  result<void> copy_page();
  result<void> compare_page();
  result<void> settle(const moved_table& table, const row_key& key);
  result<void> carry(const log_page& page);
  result<void> carry_table(const moved_table& table, const std::vector<row_key>& keys);
  result<void> check_kept();
  result<void> save(bool now);
  result<void> write_own(slot_state state);
  void step(const char* name) const {
    if (how_.at_step) how_.at_step(name);
  }
  void throttle(size_t bytes, std::chrono::steady_clock::duration took);

  const move_plan plan_;
  const move_tuning how_;
  const uint64_t epoch_;
  const std::function<bool()> stopped_;
  std::unique_ptr<move_side> source_, target_;
  range_row own_;      // the source's row
  int64_t mover_ = 0;  // 0: the target is not claimed
  std::chrono::steady_clock::time_point saved_at_;
  size_t pages_ = 0;
  double usual_seconds_ = 0;  // a page of the source takes
  move_progress progress_;
};

}  // namespace tern::storage
