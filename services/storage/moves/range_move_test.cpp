// Moves of a range between real databases under load, cut off at every step.
#include "services/storage/moves/range_move.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "services/storage/repositories/store_fixture.hpp"

namespace tern::storage {
namespace {

using namespace std::chrono_literals;

constexpr slot_range moved{20, 59};
constexpr uint64_t slots = 100;

bool is_moved(uint64_t id) { return slot_of(id) >= moved.first && slot_of(id) <= moved.last; }
uint64_t id_in(uint64_t slot, uint64_t number) { return (slot << 44U) | number; }

/// A shard's writer and somebody who writes a bit of everything with it.
class load {
 public:
  load(const std::string& dsn, uint64_t epoch, uint64_t seed) : dice_(seed), next_entry_(epoch << 40U) {
    auto opened = open_store(dsn);
    EXPECT_TRUE(opened);
    store_ = std::move(*opened);
    auto migrated = store_->migrate();
    EXPECT_TRUE(migrated) << migrated.error().detail;
    writer_ = std::move(*store_->open_writer());
    EXPECT_TRUE(writer_->acquire(epoch));
  }

  /// As the port does: whoever is let in has been committed when this returns.
  void close(bool closed) {
    const std::lock_guard guard(mutex_);
    closed_ = closed;
  }
  void only(bool moved_slots) { only_moved_ = moved_slots; }

  void write_once() {
    const std::lock_guard guard(mutex_);
    write_batch batch;
    const auto before = heads_;
    std::set<uint64_t> used;
    for (int i = 0; i < 12; ++i) {
      const uint64_t slot = only_moved_ ? 20 + dice_() % 40 : dice_() % slots;
      const uint64_t id = id_in(slot, 1 + dice_() % 5);
      if ((closed_ && is_moved(id)) || !used.insert(id).second) continue;
      add(batch, id);
    }
    const auto done = writer_->commit(batch);
    if (!done) {
      heads_ = before;  // a batch that met a lock
      ++failed;
      last_error = done.error().detail;
    } else {
      ++commits;
    }
  }
  void start() {
    thread_ = std::thread([this] {
      while (!stop_) {
        write_once();
        std::this_thread::sleep_for(40ms);
      }
    });
  }
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    stop_ = false;
  }
  ~load() { stop(); }

  std::atomic<int> commits{0}, failed{0};
  std::string last_error;
  std::map<uint64_t, uint64_t> heads_;

 private:
  void add(write_batch& batch, uint64_t id) {
    const conversation_id in{id, id * 7};
    auto& head = heads_[id];
    const account_id who{id}, other{id + 1000};
    const auto text = std::to_string(dice_());
    for (int i = 0; i < 3; ++i) {
      ++head;
      batch.messages.push_back(
          {in, head, who, "k" + std::to_string(head), static_cast<int64_t>(dice_() >> 2U), text});
      batch.outbox.push_back({++next_entry_, other, in, outbox_kind::message, head, {}, 5});
    }
    if (head > 9 && dice_() % 3 == 0) batch.recalled.push_back({in, 1 + dice_() % 6});
    if (head > 9 && dice_() % 4 == 0) {
      // An old key is used again by the newest message.
      auto row = batch.messages.back();
      row.key = "k" + std::to_string(1 + dice_() % 3);
      batch.released_keys.push_back(row);
      batch.messages.back().key = row.key;
    }
    batch.conversations.push_back({in, who, other, head, 4, 4, head});
    if (next_entry_ % 5 == 0) batch.outbox_done.push_back(next_entry_ - 9);
    batch.roster.push_back({who, other, head, 1, static_cast<uint32_t>(dice_() % 7)});
    batch.cursors.push_back({who, in, other, head, static_cast<cursor_kind>(dice_() % 3)});
    batch.notices.push_back({who, head, text});
    if (head > 3) batch.notices_done.push_back({who, head - 3, {}});
    batch.tokens.push_back({text.substr(0, 8) + std::string("\0\xff", 2) + std::to_string(next_entry_), who, 77});
    batch.accounts.push_back({who, std::string(32, 'n'), "dom", "hash", 3});
    batch.profiles.push_back({who, {}, 0, text});
    if (dice_() % 3 == 0) batch.passwords.push_back({who, text});
    auto hall_row = room(room_id{id}, head);
    batch.rooms.push_back(hall_row);
    batch.members.push_back({room_id{id}, other, static_cast<uint32_t>(dice_() % 2)});
    batch.account_rooms.push_back({who, room_id{id + dice_() % 3}, head, 1, 2});
  }

  std::mt19937_64 dice_;
  uint64_t next_entry_;
  std::unique_ptr<store> store_;
  std::unique_ptr<writer_store> writer_;
  std::mutex mutex_;
  bool closed_ = false;
  std::atomic<bool> only_moved_{false};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

struct killed : std::exception {
  const char* what() const noexcept override { return "killed"; }
};

class range_move_test : public ::testing::TestWithParam<std::pair<std::string, std::string>> {
 protected:
  void SetUp() override {
    source_dsn_ = make(GetParam().first, "source");
    target_dsn_ = make(GetParam().second, "target");
    source_ = std::make_unique<load>(source_dsn_, 3, 1);
    target_ = std::make_unique<load>(target_dsn_, 5, 2);
    for (int i = 0; i < 60; ++i) source_->write_once();
    target_->close(true);  // other slots only
    for (int i = 0; i < 5; ++i) target_->write_once();
    ASSERT_EQ(source_->failed, 0) << source_->last_error;
  }
  std::string make(const std::string& kind, const std::string& name) {
    return kind == "pg" ? fresh_database() : "sqlite:" + (directory_.path() / (name + ".db")).string();
  }

  std::unique_ptr<range_move> mover(move_tuning how = {}) {
    if (how.page_rows == 512) how.page_rows = 64;
    return std::make_unique<range_move>(plan(), how, 3, [] { return false; });
  }
  move_plan plan() const { return {7, moved, source_dsn_, target_dsn_, 0, 11}; }

  static void until_ready(range_move& move) {
    while (true) {
      auto ready = move.advance();
      ASSERT_TRUE(ready) << ready.error().detail;
      if (*ready) return;
    }
  }
  /// Rows of the range that are not the same on both sides; both also counted.
  static size_t differences(const std::string& one, const std::string& other, size_t* rows = nullptr) {
    auto a = *move_side::open(one);
    auto b = *move_side::open(other);
    size_t wrong = 0;
    for (const auto& table : moved_tables()) {
      auto here = a->between(table, moved, {}, {});
      auto there = b->between(table, moved, {}, {});
      EXPECT_TRUE(here && there);
      if (rows != nullptr) *rows += here->size();
      std::map<std::string, sql::row> left;
      for (auto& row : *there) left.emplace(write_place(key_of(table, row)), row);
      for (auto& row : *here) {
        const auto at = left.find(write_place(key_of(table, row)));
        if (at == left.end() || at->second != row) ++wrong;
        if (at != left.end()) left.erase(at);
      }
      wrong += left.size();
    }
    return wrong;
  }
  static size_t rows_in(const std::string& dsn) {
    auto side = *move_side::open(dsn);
    return static_cast<size_t>(*side->count(moved));
  }
  static std::multiset<std::string> waiting(const std::string& dsn) {
    auto side = *move_side::open(dsn);
    std::multiset<std::string> out;
    const auto rows = side->outbox(moved);
    for (const auto& row : *rows) {
      out.insert(std::to_string(sql::as_int(row[1])) + " " + std::to_string(sql::as_int(row[4])) + " " +
                 std::to_string(sql::as_int(row[3])));
    }
    return out;
  }
  uint64_t target_entry_ = (uint64_t{5} << 40U) + (1U << 30U);
  result<void> open_target(const move_plan& what, uint64_t epoch) {
    return range_move::open_target(what, epoch, [&](size_t count) { return (target_entry_ += count) - count; });
  }
  static std::vector<range_row> states(const std::string& dsn) { return *(*move_side::open(dsn))->ranges(); }

  tern::testing::temp_dir directory_;
  std::string source_dsn_, target_dsn_;
  std::unique_ptr<load> source_, target_;
};

TEST_P(range_move_test, goes_over_under_load_comes_back_with_what_changed_and_is_cleaned_up) {
  source_->start();
  auto move = mover();
  auto begun = move->begin();
  ASSERT_TRUE(begun) << begun.error().detail;
  until_ready(*move);
  ASSERT_TRUE(move->catch_up(100));
  const auto stalled = std::chrono::steady_clock::now();
  source_->close(true);
  ASSERT_TRUE(move->seal());
  auto over = move->hand_over();
  ASSERT_TRUE(over) << over.error().detail;
  const auto took = std::chrono::steady_clock::now() - stalled;
  size_t rows = 0;
  EXPECT_EQ(differences(source_dsn_, target_dsn_, &rows), 0U);
  EXPECT_GT(rows, 500U);
  EXPECT_EQ(source_->failed, 0) << source_->last_error;
  std::printf("%zu rows, %d commits beside it, sealed for %lld us\n", rows, source_->commits.load(),
              static_cast<long long>(std::chrono::duration_cast<std::chrono::microseconds>(took).count()));

  const auto entries = waiting(source_dsn_);
  EXPECT_FALSE(entries.empty());
  for (int again = 0; again < 2; ++again) {
    auto opened = open_target(plan(), 5);
    ASSERT_TRUE(opened) << opened.error().detail;
  }
  // The source's writer may delete an entry late, after it went over: then it is delivered once more.
  const auto taken = waiting(target_dsn_);
  EXPECT_TRUE(std::includes(taken.begin(), taken.end(), entries.begin(), entries.end()));
  ASSERT_TRUE(move->leave());
  EXPECT_TRUE(waiting(source_dsn_).empty());
  EXPECT_EQ(states(source_dsn_).at(0).state, slot_state::moved);

  // A day in the target, and back.
  source_->stop();
  target_->heads_ = source_->heads_;
  target_->close(false);
  target_->only(true);
  for (int i = 0; i < 40; ++i) target_->write_once();
  ASSERT_EQ(target_->failed, 0) << target_->last_error;
  EXPECT_GT(differences(source_dsn_, target_dsn_), 0U);
  target_->start();
  const move_plan back{8, moved, target_dsn_, source_dsn_, 7, 12};
  range_move home(back, {}, 5, [] { return false; });
  begun = home.begin();
  ASSERT_TRUE(begun) << begun.error().detail;
  until_ready(home);
  target_->close(true);
  ASSERT_TRUE(home.seal());
  ASSERT_TRUE(home.hand_over());
  target_->stop();
  EXPECT_EQ(target_->failed, 0) << target_->last_error;
  EXPECT_EQ(differences(source_dsn_, target_dsn_), 0U);
  const auto at_home = rows_in(source_dsn_);
  ASSERT_TRUE(open_target(back, 3));
  ASSERT_TRUE(home.leave());
  for (int again = 0; again < 2; ++again) {
    auto finished = home.finish();
    ASSERT_TRUE(finished) << finished.error().detail;
  }
  EXPECT_EQ(rows_in(target_dsn_), 0U);
  EXPECT_EQ(rows_in(source_dsn_), at_home);
  EXPECT_TRUE(states(source_dsn_).empty());
  EXPECT_EQ(states(target_dsn_).at(0).state, slot_state::moved);
}

TEST_P(range_move_test, loses_nothing_when_it_is_killed_at_every_step) {
  int attempts = 0;
  bool closed = false;
  for (bool done = false; !done; ++attempts) {
    ASSERT_LT(attempts, 500);
    if (!closed) source_->write_once();
    int left = attempts + 1;
    move_tuning how;
    how.page_rows = 200;
    how.at_step = [&](const std::string&) {
      if (--left == 0) throw killed();
    };
    try {
      auto move = mover(how);
      auto begun = move->begin();
      ASSERT_TRUE(begun) << begun.error().detail;
      until_ready(*move);
      if (!closed) source_->write_once();
      source_->close(true);
      closed = true;
      ASSERT_TRUE(move->seal());
      ASSERT_TRUE(move->hand_over());
      done = true;
    } catch (const killed&) {
    }
    if (!done && states(source_dsn_).size() == 1 && states(source_dsn_)[0].state != slot_state::sealed) {
      source_->close(false);
      closed = false;
    }
  }
  std::printf("%d attempts\n", attempts);
  EXPECT_EQ(differences(source_dsn_, target_dsn_), 0U);
  const auto kept = rows_in(target_dsn_);
  ASSERT_TRUE(open_target(plan(), 5));
  for (int dies_at = 1;; ++dies_at) {
    int left = dies_at;
    move_tuning how;
    how.at_step = [&](const std::string&) {
      if (--left == 0) throw killed();
    };
    try {
      auto move = mover(how);
      ASSERT_TRUE(move->leave());
      auto finished = move->finish();
      ASSERT_TRUE(finished) << finished.error().detail;
      break;
    } catch (const killed&) {
    }
  }
  EXPECT_EQ(rows_in(source_dsn_), 0U);
  EXPECT_EQ(rows_in(target_dsn_), kept);
}

TEST_P(range_move_test, an_abort_leaves_the_source_as_it_was_and_nothing_in_the_target) {
  auto move = mover();
  ASSERT_TRUE(move->begin());
  until_ready(*move);
  source_->close(true);
  ASSERT_TRUE(move->seal());
  ASSERT_TRUE(move->hand_over());
  const auto rows = rows_in(source_dsn_);
  const auto entries = waiting(source_dsn_);
  for (int dies_at = 1;; ++dies_at) {
    int left = dies_at;
    move_tuning how;
    how.at_step = [&](const std::string&) {
      if (--left == 0) throw killed();
    };
    try {
      auto other = mover(how);
      ASSERT_TRUE(other->reopen());
      auto cleaned = other->clean_target();
      ASSERT_TRUE(cleaned) << cleaned.error().detail;
      break;
    } catch (const killed&) {
    }
  }
  EXPECT_EQ(rows_in(source_dsn_), rows);
  EXPECT_EQ(waiting(source_dsn_), entries);
  EXPECT_EQ(rows_in(target_dsn_), 0U);
  EXPECT_TRUE(states(source_dsn_).empty());
  EXPECT_TRUE(states(target_dsn_).empty());
  source_->close(false);
  source_->write_once();
  EXPECT_EQ(*(*move_side::open(source_dsn_))->log_length(moved, 10), 0U);  // nothing is logged any more
}

TEST_P(range_move_test, the_keys_of_sealed_rows_go_before_them_and_seal_nothing_there) {
  const auto key = [](int64_t id, int64_t serial, const char* text) {
    return std::vector<sql::value>{id, serial, int64_t{4}, int64_t{5}, sql::blob{text}};
  };
  const auto put = [&](const std::string& dsn, std::vector<sql::value> row) {
    auto database = *sql::open(dsn);
    EXPECT_TRUE(database->query(
        "insert into data_key (id, serial, kek, created_ns, wrapped) values ($1, $2, $3, $4, $5)", row));
  };
  const auto keys = [&] {
    std::string out;
    auto database = *sql::open(target_dsn_);
    const auto rows = database->query("select id, serial, kek, created_ns, wrapped from data_key order by id");
    for (const auto& row : *rows) {
      out += std::to_string(sql::as_int(row[0])) + " " + std::to_string(sql::as_int(row[1])) + " " +
             std::to_string(sql::as_int(row[2])) + " " + sql::as_text(row[4]) + "; ";
    }
    return out;
  };
  put(source_dsn_, key(1, 1, "one"));
  put(target_dsn_, key(2, 1, "two"));
  auto move = mover();
  ASSERT_TRUE(move->begin());
  EXPECT_EQ(keys(), "1 0 4 one; 2 1 4 two; ");
  until_ready(*move);
  put(source_dsn_, key(3, 2, "three"));  // renewed on the way
  ASSERT_TRUE(move->seal());
  ASSERT_TRUE(move->hand_over());
  EXPECT_EQ(keys(), "1 0 4 one; 2 1 4 two; 3 0 4 three; ");
}

TEST_P(range_move_test, a_spoiled_row_in_the_target_is_found) {
  auto move = mover();
  ASSERT_TRUE(move->begin());
  auto spoiler = *sql::open(target_dsn_);
  bool failed = false;
  for (bool spoiled = false; !failed;) {
    auto ready = move->advance();
    if (!ready) {
      EXPECT_EQ(ready.code(), errc::internal) << ready.error().detail;
      failed = true;
      break;
    }
    ASSERT_FALSE(*ready) << "it was not found";
    if (!spoiled && states(source_dsn_).at(0).phase == 1) {
      ASSERT_TRUE(spoiler->query("update roster set theirs = 99 where slot = 33"));
      spoiled = spoiler->changed() > 0;
      ASSERT_TRUE(spoiled);
    }
  }
  EXPECT_GT(rows_in(source_dsn_), 0U);
}

TEST_P(range_move_test, without_the_seal_rows_are_lost_and_the_comparison_finds_them) {
  auto move = mover();
  ASSERT_TRUE(move->begin());
  until_ready(*move);
  ASSERT_TRUE(move->seal());
  ASSERT_TRUE(move->hand_over());
  source_->write_once();  // nobody told it
  source_->write_once();
  EXPECT_GT(differences(source_dsn_, target_dsn_), 0U);
}

TEST_P(range_move_test, without_the_log_changes_are_lost_and_the_move_fails) {
  move_tuning how;
  how.without_log = true;
  auto move = mover(how);
  ASSERT_TRUE(move->begin());
  bool failed = false;
  for (int i = 0; i < 100'000 && !failed; ++i) {
    if (i % 2 == 0 && i < 60) source_->write_once();
    auto ready = move->advance();
    failed = !ready;
    if (ready && *ready) break;
  }
  EXPECT_TRUE(failed);
}

TEST_P(range_move_test, a_mover_that_was_replaced_writes_nothing) {
  auto old = mover();
  ASSERT_TRUE(old->begin());
  ASSERT_TRUE(old->advance());
  auto next = mover();
  ASSERT_TRUE(next->begin());
  auto late = old->advance();
  ASSERT_FALSE(late);
  EXPECT_EQ(late.code(), errc::stale_epoch);
  until_ready(*next);
  // Nor does one whose shard has another writer.
  load other(source_dsn_, 4, 9);
  source_->write_once();
  EXPECT_FALSE(next->seal());
}

std::string named(const ::testing::TestParamInfo<std::pair<std::string, std::string>>& info) {
  return info.param.first + "_to_" + info.param.second;
}
INSTANTIATE_TEST_SUITE_P(each, range_move_test,
                         ::testing::Values(std::pair{"pg", "pg"}, std::pair{"sqlite", "pg"},
                                           std::pair{"pg", "sqlite"}, std::pair{"sqlite", "sqlite"}),
                         named);

}  // namespace
}  // namespace tern::storage
