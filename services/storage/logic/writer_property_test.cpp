// A database that fails before or after commits at random, against a model of what was promised to the senders.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <tuple>

#include "libs/testing/fake_clock.hpp"
#include "services/storage/logic/writer_engine.hpp"
#include "services/storage/testing/faulty_writer.hpp"
#include "services/storage/testing/requests.hpp"

namespace tern::storage {
namespace {

using namespace std::chrono_literals;
using testing::faulty_writer;

/// Some people write to each other through an engine on a faulty database; what they were told is remembered.
class trial {
 public:
  explicit trial(uint64_t seed) : seed_(seed), dice_(seed) { EXPECT_TRUE(real_->migrate()); }

  void send_some();
  void run_once();
  void finish();
  void all_goes_on();
  void check();

 private:
  writer_options options() const;
  result<std::unique_ptr<writer_store>> open();
  bool splits() const { return options().split_requests > 0; }
  void read_outbox();
  void offer(const session::v1::Delivery& entry);
  void check_pair(account_id one, account_id other);

  using message_name = std::tuple<account_id, account_id, std::string>;  // from, to, key

  const uint64_t seed_;
  std::mt19937_64 dice_;
  double rate_ = 0.3;
  tern::testing::fake_clock time_;
  std::unique_ptr<store> real_ = std::move(*open_store("memory:"));
  writer_engine engine_{options(), time_, [this] { return open(); }};
  std::shared_ptr<testing::recording_sink> sink_ = std::make_shared<testing::recording_sink>();
  // Two of their six pairs have odd slots.
  std::vector<account_id> people_{{1ULL << 44 | 0x1111}, {1ULL << 37 | 0x2222}, {1ULL << 44 | 0x3333}, {0x4444}};
  std::map<uint64_t, message_name> calls_;
  std::map<message_name, uint64_t> promised_;  // mid
  std::vector<uint64_t> offered_;              // outbox entries, as the dispatcher would take them
  uint64_t position_ = 0;
  uint64_t last_call_ = 0;
  size_t stored_ = 0;
  size_t twice_ = 0;  // rounds of two commits
};

writer_options trial::options() const {
  writer_options how;
  how.shard = "s0";
  how.epoch = 1;
  how.batch_requests = 16;
  how.split_requests = seed_ % 4 == 0 ? 0 : 1 + seed_ % 4 * 4;  // never, or many two at a time
  how.cached.keys = 8;                                          // so small that most lookups reach the database
  how.cached.conversations = 3;
  how.look_for_keys = std::chrono::milliseconds(seed_ % 3 * 200);  // never, seldom, often
  return how;
}

result<std::unique_ptr<writer_store>> trial::open() {
  auto made = real_->open_writer();
  if (!made) return made.error();
  if (auto held = (*made)->acquire(1); !held) return held.error();
  return std::unique_ptr<writer_store>(std::make_unique<faulty_writer>(std::move(*made), dice_, rate_));
}

void trial::send_some() {
  std::vector<write_request> items(dice_() % (splits() ? 25 : 7));
  for (auto& item : items) {
    const auto from = people_[dice_() % 4];
    auto to = people_[dice_() % 4];
    while (to == from) to = people_[dice_() % 4];
    const auto key = "k" + std::to_string(dice_() % 150);
    calls_[++last_call_] = {from, to, key};
    item.message = testing::append(last_call_, from, to, key, key);
    item.from = sink_;
    item.arrived = time_.now();
    item.deadline = time_.now() + 1500ms;
  }
  engine_.add(std::move(items));
  time_.advance(std::chrono::milliseconds(dice_() % 120));
}

void trial::run_once() {
  auto done = engine_.run();
  if (done.commits == 2) ++twice_;
  send_answers(done.answers);
  for (const auto& reply : sink_->take()) {
    if (reply.code() != 0) continue;
    const auto [at, first] = promised_.try_emplace(calls_.at(reply.call()), reply.appended().mid());
    EXPECT_EQ(at->second, reply.appended().mid()) << "another mid for a key, seed " << seed_;
  }
  if (done.resync) read_outbox();
  for (const auto& entry : done.deliveries) offer(entry);
}

void trial::read_outbox() {
  for (;;) {
    auto page = engine_.scan(position_, 5);
    if (!page) continue;
    for (const auto& entry : *page) offer(entry);
    if (page->size() < 5) return;
  }
}

void trial::offer(const session::v1::Delivery& entry) {
  if (entry.entry() <= position_) return;
  position_ = entry.entry();
  offered_.push_back(position_);
}

void trial::finish() {
  rate_ = 0;
  while (engine_.waiting() > 0) run_once();
}

/// Whatever happened, the engine serves every pair again once the database is well.
void trial::all_goes_on() {
  for (size_t a = 0; a < people_.size(); ++a) {
    for (size_t b = a + 1; b < people_.size(); ++b) {
      std::vector<write_request> items(1);
      calls_[++last_call_] = {people_[a], people_[b], "last"};
      items[0].message = testing::append(last_call_, people_[a], people_[b], "last", "last");
      items[0].from = sink_;
      items[0].deadline = time_.now() + 1500ms;
      engine_.add(std::move(items));
      while (engine_.waiting() > 0) run_once();
      EXPECT_TRUE(promised_.contains(calls_[last_call_])) << "refused by a healthy database, seed " << seed_;
    }
  }
}

/// Dense mids, no key twice, each promise where it was promised.
void trial::check_pair(account_id one, account_id other) {
  auto reader = std::move(*real_->open_reader());
  history_query query;
  query.conversation = testing::talk_of(one, other);
  query.newest_first = false;
  query.limit = 100'000;
  query.max_bytes = 100'000'000;
  const auto page = *reader->history(query);
  std::set<std::pair<account_id, std::string>> keys;
  uint64_t mid = 0;
  for (const auto& row : page.rows) {
    EXPECT_EQ(row.mid, ++mid) << "seed " << seed_;
    EXPECT_TRUE(keys.insert({row.sender, row.body}).second) << "stored twice: " << row.body << ", seed " << seed_;
    const auto at = promised_.find({row.sender, row.sender == one ? other : one, row.body});
    if (at == promised_.end()) continue;
    EXPECT_EQ(at->second, row.mid) << "seed " << seed_;
    promised_.erase(at);
  }
  stored_ += page.rows.size();
}

void trial::check() {
  for (size_t a = 0; a < people_.size(); ++a) {
    for (size_t b = a + 1; b < people_.size(); ++b) check_pair(people_[a], people_[b]);
  }
  EXPECT_TRUE(promised_.empty()) << promised_.size() << " acknowledged messages are lost, seed " << seed_;
  EXPECT_EQ(offered_.size(), stored_) << "each stored message is offered to the dispatcher once, seed " << seed_;
  EXPECT_TRUE(std::is_sorted(offered_.begin(), offered_.end()));
  EXPECT_GT(stored_, 100U);
  if (splits()) {
    EXPECT_GT(twice_, 5U) << "seed " << seed_;
  }
}

class writer_property : public ::testing::TestWithParam<uint64_t> {};

TEST_P(writer_property, no_acknowledged_message_is_lost_doubled_or_moved) {
  trial all(GetParam());
  for (int step = 0; step < 400; ++step) {
    all.send_some();
    all.run_once();
  }
  all.finish();
  all.all_goes_on();
  all.check();
}

INSTANTIATE_TEST_SUITE_P(seeds, writer_property, ::testing::Range<uint64_t>(1, 200));

TEST(writer_property_of_relations, a_change_with_an_unknown_outcome_is_answered_as_it_was_made) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    std::mt19937_64 dice(seed);
    tern::testing::fake_clock time;
    auto real = std::move(*open_store("memory:"));
    ASSERT_TRUE(real->migrate());
    const double rate = 0.5;
    writer_options how;
    how.shard = "s0";
    how.epoch = 1;
    writer_engine engine(how, time, [&]() -> result<std::unique_ptr<writer_store>> {
      auto made = real->open_writer();
      if (auto held = (*made)->acquire(1); !held) return held.error();
      return std::unique_ptr<writer_store>(std::make_unique<faulty_writer>(std::move(*made), dice, rate));
    });
    auto sink = std::make_shared<testing::recording_sink>();
    std::vector<write_request> items(2);
    items[0].message = testing::relate(1, testing::ann, testing::ben, v1::Relate::ADD);
    items[1].message = testing::relate(2, testing::ben, testing::ann, v1::Relate::ADD);
    for (auto& item : items) {
      item.from = sink;
      item.deadline = time.now() + 1h;
    }
    engine.add(std::move(items));
    while (engine.waiting() > 0) {
      auto done = engine.run();
      send_answers(done.answers);
    }
    for (const auto& reply : sink->take()) {
      if (reply.code() == static_cast<int32_t>(errc::database)) continue;  // refused by the dice, alone in its batch
      EXPECT_EQ(reply.code(), 0) << "seed " << seed;
      EXPECT_NE(reply.related().mine(), 0U) << "seed " << seed;
    }
    auto writer = std::move(*real->open_writer());
    ASSERT_TRUE(writer->acquire(1));
    const conversation_id ids[] = {testing::talk_of(testing::ann, testing::ben)};
    const auto rows = *writer->load(ids);
    if (!rows.empty()) {
      EXPECT_LE(rows[0].relation_version, 2U) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace tern::storage
