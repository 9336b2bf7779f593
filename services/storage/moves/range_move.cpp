#include "services/storage/moves/range_move.hpp"

#include <algorithm>
#include <map>
#include <thread>

#include "libs/crypto/random.hpp"

namespace tern::storage {
namespace {

using std::chrono::steady_clock;

std::map<std::string, const sql::row*> by_key(const moved_table& table, const std::vector<sql::row>& rows) {
  std::map<std::string, const sql::row*> out;
  for (const auto& row : rows) out.emplace(write_place(key_of(table, row)), &row);
  return out;
}

/// Keys whose rows are not the same in both, or are in one only.
std::vector<row_key> differing(const moved_table& table, const std::vector<sql::row>& one,
                               const std::vector<sql::row>& other) {
  std::vector<row_key> out;
  auto left = by_key(table, other);
  for (const auto& row : one) {
    const auto at = left.find(write_place(key_of(table, row)));
    if (at == left.end() || *at->second != row) out.push_back(key_of(table, row));
    if (at != left.end()) left.erase(at);
  }
  for (const auto& [name, row] : left) out.push_back(key_of(table, *row));
  return out;
}

bool overlap(slot_range a, slot_range b) { return a.first <= b.last && b.first <= a.last; }

error differs(const moved_table& table, const row_key& key) {
  return {errc::internal, std::string("the target has something else in ") + table.name + " at " + write_place(key)};
}

}  // namespace

range_move::range_move(move_plan plan, move_tuning how, uint64_t source_epoch, std::function<bool()> stopped)
    : plan_(std::move(plan)), how_(std::move(how)), epoch_(source_epoch), stopped_(std::move(stopped)) {}

result<void> range_move::connect() {
  for (auto [side, dsn] : {std::pair{&source_, &plan_.source_dsn}, std::pair{&target_, &plan_.target_dsn}}) {
    if (*side) continue;
    auto made = move_side::open(*dsn);
    if (!made) return made.error();
    *side = std::move(*made);
  }
  return {};
}

result<void> range_move::write_own(slot_state state) {
  auto next = own_;
  next.state = state;
  if (auto done = source_->write(next); !done) return done;
  return {};
}

// ---- begin -------------------------------------------------------------------------------------------------------

result<void> range_move::begin(bool again) {
  if (auto there = connect(); !there) return there;
  auto known = source_->range_of(plan_.move);
  if (!known) return known.error();
  if (*known) {
    own_ = **known;
  } else if (again) {
    return error{errc::config, "nothing of this move is here"};
  } else {
    auto all = source_->ranges();
    if (!all) return all.error();
    range_row before;
    for (const auto& one : *all) {
      if (!overlap(one.range, plan_.range)) continue;
      const bool way_back = plan_.back_of != 0 && one.state == slot_state::open && one.move == plan_.back_of &&
                            one.range.first == plan_.range.first && one.range.last == plan_.range.last;
      if (!way_back) return error{errc::config, "slots of the range are part of another move that is not finished"};
      before = one;
    }
    if (plan_.back_of != 0 && before.state != slot_state::open)
      return error{errc::config, "there is nothing to go back from"};
    auto rows = plan_.back_of != 0 ? result<int64_t>{int64_t{0}} : source_->count(plan_.range);
    if (!rows) return rows.error();
    own_ = {plan_.range, slot_state::exporting, before.state, plan_.move, plan_.epoch};
    own_.rows_all = *rows;
    own_.phase = plan_.back_of != 0 ? phase_copied : phase_copying;
    step("log");
    if (auto made = prepare_log(*source_); !made) return made;
    step("export");
    auto done = source_->transact(epoch_, [&]() -> result<void> {
      if (auto put = write_own(slot_state::exporting); !put) return put;
      return must_log(*source_);
    });
    if (!done) {
      own_ = {};
      return done;
    }
  }
  progress_.rows = static_cast<uint64_t>(own_.rows);
  progress_.bytes = static_cast<uint64_t>(own_.bytes);
  progress_.rows_all = static_cast<uint64_t>(own_.rows_all);
  if (own_.state != slot_state::exporting && own_.state != slot_state::sealed) return {};
  if (own_.state == slot_state::exporting && own_.phase == phase_copying && own_.tab == 0 && own_.place.empty()) {
    // Who changed rows before the range was an export is not in the log.
    if (auto waited = source_->wait_for_writers(); !waited) return waited;
  }
  step("claim");
  return claim_target();
}

/// Before it is needed: of the target, too, for a way back.
result<void> range_move::prepare_log(move_side& side) const {
  if (how_.without_log) return {};
  auto there = side.logging();
  if (!there) return there.error();
  return *there ? result<void>{} : side.start_logging();
}

/// Inside a transaction that has written a range which needs it. Who ended the last one's may have taken it away.
result<void> range_move::must_log(move_side& side) const {
  if (how_.without_log) return {};
  auto there = side.logging();
  if (!there) return there.error();
  return *there ? result<void>{} : result<void>{error{errc::unavailable, "changes would not be logged"}};
}

/// Whoever copied before writes nothing into the target from here on: its transactions look for their own number.
result<void> range_move::claim_target() {
  const auto drawn = static_cast<int64_t>(crypto::random_u64() >> 1U) | 1;
  if (auto made = prepare_log(*target_); !made) return made;
  auto done = target_->transact(0, [&]() -> result<void> {
    auto all = target_->ranges();
    if (!all) return all.error();
    range_row import{plan_.range, slot_state::importing, slot_state::served, plan_.move, plan_.epoch};
    for (const auto& one : *all) {
      if (one.move == plan_.move) {
        if (one.state != slot_state::importing) return error{errc::config, "the target has opened the range"};
        import = one;
        continue;
      }
      if (!overlap(one.range, plan_.range)) continue;
      // Decided, but not left yet: in a moment.
      if (one.state == slot_state::sealed && one.move == plan_.back_of)
        return error{errc::unavailable, "the target has not left the slots yet"};
      if (one.state != slot_state::moved) return error{errc::config, "the target has another move of these slots"};
      import.before = slot_state::moved;
      // What is left of it on both sides stays as it is.
      if (auto gone = target_->remove(one.range); !gone) return gone;
      for (const auto& rest :
           {slot_range{one.range.first, plan_.range.first - 1}, slot_range{plan_.range.last + 1, one.range.last}}) {
        if (rest.first > rest.last || !overlap(rest, one.range)) continue;
        auto kept = one;
        kept.range = rest;
        if (auto put = target_->write(kept); !put) return put;
      }
    }
    import.mover = drawn;
    if (auto put = target_->write(import); !put) return put;
    return must_log(*target_);
  });
  if (!done) return done;
  mover_ = drawn;
  return copy_keys();
}

result<void> range_move::copy_keys() {
  auto keys = source_->data_keys();
  if (!keys) return keys.error();
  return target_->transact(0, [&] { return target_->put_data_keys(*keys); });
}

result<bool> range_move::target_opened() {
  if (auto there = connect(); !there) return there.error();
  auto row = target_->range_of(plan_.move);
  if (!row) return row.error();
  return *row && (*row)->state == slot_state::open;
}

result<bool> range_move::target_knows() {
  auto row = target_->range_of(plan_.move);
  if (!row) return row.error();
  return *row && (*row)->seen;
}

// ---- copy and compare --------------------------------------------------------------------------------------------

result<void> range_move::save(bool now) {
  if (!now && steady_clock::now() - saved_at_ < std::chrono::seconds{1}) return {};
  saved_at_ = steady_clock::now();
  own_.rows = static_cast<int64_t>(progress_.rows.load());
  own_.bytes = static_cast<int64_t>(progress_.bytes.load());
  return source_->transact(epoch_, [&] { return write_own(own_.state); });
}

/// Slower than asked when the source is: its own users come first.
void range_move::throttle(size_t bytes, steady_clock::duration took) {
  const double seconds = std::chrono::duration<double>(took).count();
  usual_seconds_ =
      usual_seconds_ == 0 ? seconds : std::min(usual_seconds_ * 1.02, seconds * 0.1 + usual_seconds_ * 0.9);
  double pause =
      static_cast<double>(bytes) / static_cast<double>(std::max<uint64_t>(how_.bytes_per_second, 1)) - seconds;
  if (seconds > 0.02 && seconds > 4 * usual_seconds_) pause = std::max(pause, seconds);
  const auto until = steady_clock::now() + std::chrono::duration_cast<steady_clock::duration>(
                                               std::chrono::duration<double>(std::max(pause, 0.0)));
  while (!stopped_() && steady_clock::now() < until) {
    const auto left = std::min<steady_clock::duration>(until - steady_clock::now(), std::chrono::milliseconds{50});
    if (left.count() > 0) std::this_thread::sleep_for(left);
  }
}

/// The shard's own users get the other half of its database's time.
void range_move::rest(steady_clock::duration worked) const {
  const auto until = steady_clock::now() + worked;
  while (!stopped_() && steady_clock::now() < until) {
    const auto left = std::min<steady_clock::duration>(until - steady_clock::now(), std::chrono::milliseconds{50});
    if (left.count() > 0) std::this_thread::sleep_for(left);
  }
}

result<bool> range_move::advance() {
  if (own_.phase == phase_compared) return true;
  // What changes meanwhile must not pile up.
  if (++pages_ % 8 == 0) {
    if (auto left = catch_up(1); !left) return left.error();
  }
  if (own_.phase == phase_copying) step("copy");
  if (own_.phase == phase_copied) step("compare");
  auto done = own_.phase == phase_copying ? copy_page() : compare_page();
  if (!done) return done.error();
  return own_.phase == phase_compared;
}

result<void> range_move::copy_page() {
  const auto all = moved_tables();
  if (own_.tab >= static_cast<int64_t>(all.size())) {
    own_.tab = 0;
    own_.place.clear();
    own_.phase = phase_copied;
    return save(true);
  }
  const auto& table = all[static_cast<size_t>(own_.tab)];
  const auto begun = steady_clock::now();
  auto rows = source_->page(table, own_.range, read_place(table, own_.place), how_.page_rows);
  if (!rows) return rows.error();
  const auto took = steady_clock::now() - begun;
  size_t bytes = 0;
  if (!rows->empty()) {
    auto done = target_->transact(0, [&]() -> result<void> {
      if (auto mine = target_->check_mover(own_.range, plan_.move, mover_); !mine) return mine;
      return target_->put(table, *rows);
    });
    if (!done) return done;
    for (const auto& row : *rows) bytes += bytes_of(row);
    progress_.rows += rows->size();
    progress_.bytes += bytes;
    own_.place = write_place(key_of(table, rows->back()));
  }
  if (rows->size() < how_.page_rows) {
    ++own_.tab;
    own_.place.clear();
  }
  if (auto saved = save(false); !saved) return saved;
  throttle(bytes, took);
  return {};
}

result<void> range_move::compare_page() {
  const auto all = moved_tables();
  if (own_.tab >= static_cast<int64_t>(all.size())) {
    own_.tab = 0;
    own_.place.clear();
    own_.phase = phase_compared;
    return save(true);
  }
  const auto& table = all[static_cast<size_t>(own_.tab)];
  const auto begun = steady_clock::now();
  const auto after = read_place(table, own_.place);
  auto rows = source_->page(table, own_.range, after, how_.page_rows);
  if (!rows) return rows.error();
  const bool last = rows->size() < how_.page_rows;
  const auto upto = last ? row_key{} : key_of(table, rows->back());
  auto there = target_->between(table, own_.range, after, upto);
  if (!there) return there.error();
  for (const auto& key : differing(table, *rows, *there)) {
    if (auto settled = settle(table, key); !settled) return settled;
  }
  size_t bytes = 0;
  for (const auto& row : *rows) bytes += bytes_of(row);
  if (last) ++own_.tab;
  own_.place = last ? std::string{} : write_place(upto);
  if (auto saved = save(false); !saved) return saved;
  throttle(bytes, steady_clock::now() - begun);
  return {};
}

/// A row that differs is one that changed, and then its key is in the log; else the target has not what it was given.
/// Read first, then the log: only this thread takes keys out of it.
result<void> range_move::settle(const moved_table& table, const row_key& key) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    auto here = source_->rows_of(table, {key});
    if (!here) return here.error();
    auto there = target_->rows_of(table, {key});
    if (!there) return there.error();
    if (*here == *there) return {};
    auto logged = source_->in_log(table, key);
    if (!logged) return logged.error();
    if (!*logged) return differs(table, key);
    if (auto left = catch_up(4); !left) return left.error();
  }
  return {};  // it changes all the time: what is carried is read back
}

// ---- what changed ------------------------------------------------------------------------------------------------

result<size_t> range_move::catch_up(size_t pages) {
  const size_t page_entries = std::max<size_t>(how_.page_rows, 1000);
  for (size_t i = 0; i < pages; ++i) {
    auto page = source_->log(own_.range, page_entries);
    if (!page) return page.error();
    if (page->entries.empty()) {
      progress_.behind = 0;
      return size_t{0};
    }
    step("carry");
    if (auto done = carry(*page); !done) return done.error();
    step("forget");
    auto dropped = source_->transact(epoch_, [&] { return source_->drop_log(page->entries); });
    if (!dropped) return dropped.error();
    if (page->entries.size() < page_entries) break;
  }
  auto left = source_->log_length(own_.range, 10'000);
  if (left) progress_.behind = *left;
  return left;
}

result<void> range_move::carry(const log_page& page) {
  if (auto keys = copy_keys(); !keys) return keys;  // rows that changed may have been sealed with a new one
  return target_->transact(0, [&]() -> result<void> {
    if (auto mine = target_->check_mover(own_.range, plan_.move, mover_); !mine) return mine;
    for (const auto& [tab, keys] : page.keys) {
      if (auto done = carry_table(*find_moved_table(tab), keys); !done) return done;
    }
    return {};
  });
}

result<void> range_move::carry_table(const moved_table& table, const std::vector<row_key>& keys) {
  auto rows = source_->rows_of(table, keys);
  if (!rows) return rows.error();
  const auto present = by_key(table, *rows);
  std::vector<row_key> gone;
  for (const auto& key : keys) {
    if (!present.contains(write_place(key))) gone.push_back(key);
  }
  if (auto done = target_->erase(table, gone); !done) return done;
  if (auto done = target_->put(table, *rows); !done) return done;
  auto there = target_->rows_of(table, keys);
  if (!there) return there.error();
  const auto wrong = differing(table, *rows, *there);
  return wrong.empty() ? result<void>{} : result<void>{differs(table, wrong.front())};
}

// ---- seal --------------------------------------------------------------------------------------------------------

result<bool> range_move::seal() {
  if (own_.state == slot_state::sealed) return false;
  step("seal");
  auto done = source_->transact(epoch_, [&]() -> result<void> {
    if (auto brief = source_->wait_briefly(); !brief) return brief;
    return write_own(slot_state::sealed);
  });
  if (!done) return done.error();
  own_.state = slot_state::sealed;
  return true;
}

result<void> range_move::hand_over() {
  step("drain");
  while (true) {
    auto left = catch_up(2);
    if (!left) return left.error();
    if (*left == 0) break;
    if (stopped_()) return error{errc::unavailable, "stopped"};
  }
  step("outbox");
  auto rows = source_->outbox(own_.range);
  if (!rows) return rows.error();
  if (auto keys = copy_keys(); !keys) return keys;
  return target_->transact(0, [&]() -> result<void> {
    if (auto mine = target_->check_mover(own_.range, plan_.move, mover_); !mine) return mine;
    return target_->import_outbox(own_.range, *rows);
  });
}

// ---- the end -----------------------------------------------------------------------------------------------------

/// The source's image was sealed; what the target changed since is in the target's log.
result<void> range_move::check_kept() {
  for (const auto& table : moved_tables()) {
    row_key after;
    while (!stopped_()) {
      step("check");
      const auto begun = steady_clock::now();
      auto rows = source_->page(table, own_.range, after, how_.page_rows);
      if (!rows) return rows.error();
      const bool last = rows->size() < how_.page_rows;
      const auto upto = last ? row_key{} : key_of(table, rows->back());
      auto there = target_->between(table, own_.range, after, upto);
      if (!there) return there.error();
      for (const auto& key : differing(table, *rows, *there)) {
        auto logged = target_->in_log(table, key);
        if (!logged) return logged.error();
        if (!*logged) return differs(table, key);
      }
      if (last) break;
      after = upto;
      rest(steady_clock::now() - begun);
    }
  }
  return stopped_() ? result<void>{error{errc::unavailable, "stopped"}} : result<void>{};
}

result<void> range_move::finish() {
  if (auto there = connect(); !there) return there;
  if (auto begun = read_own(); !begun) return begun;
  if (own_.state != slot_state::moved) {
    return error{errc::config, "the source has not left the range"};
  }
  auto row = target_->range_of(plan_.move);
  if (!row) return row.error();
  const bool logged = *row && (*row)->state == slot_state::open;
  if (own_.phase < phase_checked) {
    if (!logged) return error{errc::config, "the target has not opened the range"};
    if (auto same = check_kept(); !same) return same;
    own_.phase = phase_checked;
    if (auto saved = save(true); !saved) return saved;
  }
  for (const auto& table : moved_tables()) {
    while (!stopped_() && own_.phase != phase_deleted) {
      step("delete");
      const auto begun = steady_clock::now();
      size_t gone = 0;
      auto done = source_->transact(epoch_, [&]() -> result<void> {
        auto some = source_->erase_some(table, own_.range, how_.page_rows);
        if (!some) return some.error();
        gone = *some;
        return {};
      });
      if (!done) return done;
      if (gone == 0) break;
      rest(steady_clock::now() - begun);
    }
  }
  if (stopped_()) return error{errc::unavailable, "stopped"};
  if (own_.phase != phase_deleted) {
    own_.phase = phase_deleted;
    if (auto saved = save(true); !saved) return saved;
  }
  if (!logged) return {};
  step("finish");
  auto done = target_->transact(0, [&]() -> result<void> {
    if (auto gone = target_->drop_log_of(own_.range); !gone) return gone;
    return target_->remove(own_.range);
  });
  if (!done) return done;
  end_logging(*target_, 0);
  return {};
}

}  // namespace tern::storage
