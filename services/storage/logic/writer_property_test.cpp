// A database that fails before or after commits at random, against a model of what was promised to the senders.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <tuple>

#include "libs/testing/fake_clock.hpp"
#include "services/storage/logic/writer_engine.hpp"
#include "services/storage/testing/requests.hpp"

namespace tern::storage {
namespace {

using namespace std::chrono_literals;

enum class fault : uint8_t { none, before, after_commit, lost_before_commit, refused };

/// Passes on to a real writer, unless the dice say otherwise. After a failure the connection is gone.
class faulty_writer final : public writer_store {
 public:
  faulty_writer(std::unique_ptr<writer_store> real, std::mt19937_64& dice, double rate)
      : real_(std::move(real)), dice_(dice), rate_(rate) {}

  result<void> acquire(uint64_t epoch) override { return real_->acquire(epoch); }
  result<std::vector<conversation_row>> load(std::span<const conversation_id> ids) override {
    if (broken(errc::unavailable)) return errc::unavailable;
    return real_->load(ids);
  }
  result<std::vector<found_key>> find_keys(std::span<const message_key> keys) override {
    if (broken(errc::deadline)) return errc::deadline;
    return real_->find_keys(keys);
  }
  result<std::vector<outbox_entry>> scan_outbox(uint64_t after, size_t limit) override {
    if (broken(errc::unavailable)) return errc::unavailable;
    return real_->scan_outbox(after, limit);
  }
  result<write_outcome> commit(const write_batch& batch) override {
    if (dead_) return errc::unavailable;
    switch (roll()) {
      case fault::none:
        return real_->commit(batch);
      case fault::before:
        dead_ = true;
        return errc::unavailable;
      case fault::lost_before_commit:
        dead_ = true;
        return errc::deadline;
      case fault::after_commit: {
        dead_ = true;
        auto done = real_->commit(batch);
        if (!done) return done.error();
        return errc::deadline;
      }
      case fault::refused:
        return errc::internal;
    }
    return errc::internal;
  }
  uint64_t statements() const override { return real_->statements(); }

 private:
  fault roll() {
    if (std::uniform_real_distribution<>(0, 1)(dice_) >= rate_) return fault::none;
    return static_cast<fault>(std::uniform_int_distribution<>(1, 4)(dice_));
  }
  bool broken(errc) {
    if (!dead_ && std::uniform_real_distribution<>(0, 1)(dice_) < rate_ / 4) dead_ = true;
    return dead_;
  }
  std::unique_ptr<writer_store> real_;
  std::mt19937_64& dice_;
  double rate_;
  bool dead_ = false;
};

class writer_property : public ::testing::TestWithParam<uint64_t> {};

using side_pair = std::pair<account_id, account_id>;

/// What one message of the test went through.
struct sent_message {
  side_pair way;
  std::string key;
  std::string body;
};

TEST_P(writer_property, no_acknowledged_message_is_lost_doubled_or_moved) {
  std::mt19937_64 dice(GetParam());
  tern::testing::fake_clock time;
  auto real = std::move(*open_store("memory:"));
  ASSERT_TRUE(real->migrate());
  double rate = 0.3;
  const auto open = [&]() -> result<std::unique_ptr<writer_store>> {
    auto made = real->open_writer();
    if (!made) return made.error();
    if (auto held = (*made)->acquire(1); !held) return held.error();
    return std::unique_ptr<writer_store>(std::make_unique<faulty_writer>(std::move(*made), dice, rate));
  };
  writer_options how;
  how.shard = "s0";
  how.epoch = 1;
  how.batch_requests = 16;
  how.cached_keys = 8;           // so small that most lookups reach the database
  how.cached_conversations = 3;
  writer_engine engine(how, time, open);
  auto sink = std::make_shared<testing::recording_sink>();

  const account_id people[] = {{0x1111}, {0x2222}, {0x3333}, {0x4444}};
  std::map<uint64_t, sent_message> calls;                                 // by call
  std::map<std::tuple<account_id, account_id, std::string>, std::pair<uint64_t, std::string>> promised;  // -> mid, body
  std::set<uint64_t> delivered;
  std::vector<uint64_t> offered;
  uint64_t position = 0;
  uint64_t call = 0;
  const auto settle = [&] {
    for (const auto& reply : sink->take()) {
      const auto& sent = calls.at(reply.call());
      if (reply.code() != 0) continue;
      const auto key = std::tuple{sent.way.first, sent.way.second, sent.key};
      const auto [at, first] = promised.try_emplace(key, reply.appended().mid(), sent.body);
      EXPECT_EQ(at->second.first, reply.appended().mid()) << "another mid for a key, seed " << GetParam();
    }
  };
  const auto round_once = [&] {
    auto done = engine.run();
    send_answers(done.answers);
    settle();
    if (done.resync) {
      for (;;) {  // as the dispatcher would
        auto page = engine.scan(position, 5);
        if (!page) continue;
        for (const auto& entry : *page) {
          position = entry.entry();
          offered.push_back(entry.entry());
        }
        if (page->size() < 5) break;
      }
    }
    for (const auto& entry : done.deliveries) {
      if (entry.entry() <= position) continue;
      position = entry.entry();
      offered.push_back(entry.entry());
    }
  };
  for (int step = 0; step < 400; ++step) {
    std::vector<write_request> items;
    const int count = std::uniform_int_distribution<>(0, 6)(dice);
    for (int i = 0; i < count; ++i) {
      const auto from = people[dice() % 4];
      auto to = people[dice() % 4];
      while (to == from) to = people[dice() % 4];
      const auto key = "k" + std::to_string(dice() % 150);
      const auto body = key + " of " + std::to_string(++call);
      calls[call] = {{from, to}, key, body};
      auto& item = items.emplace_back();
      item.message = testing::append(call, from, to, key, body);
      item.from = sink;
      item.arrived = time.now();
      item.deadline = time.now() + 1500ms;
    }
    engine.add(std::move(items));
    round_once();
    time.advance(std::chrono::milliseconds(dice() % 120));
  }
  rate = 0;
  while (engine.waiting() > 0) round_once();

  // Every promise holds, histories are dense, no key is there twice.
  auto reader = std::move(*real->open_reader());
  size_t stored = 0;
  for (size_t a = 0; a < 4; ++a) {
    for (size_t b = a + 1; b < 4; ++b) {
      history_query query;
      query.conversation = testing::talk_of(people[a], people[b]);
      query.newest_first = false;
      query.limit = 100'000;
      query.max_bytes = 100'000'000;
      const auto page = *reader->history(query);
      std::set<std::pair<account_id, std::string>> keys;
      for (size_t i = 0; i < page.rows.size(); ++i) {
        const auto& row = page.rows[i];
        EXPECT_EQ(row.mid, i + 1) << "seed " << GetParam();
        const auto key = row.body.substr(0, row.body.find(' '));
        EXPECT_TRUE(keys.insert({row.sender, key}).second) << "stored twice: " << row.body << ", seed " << GetParam();
        const auto other = row.sender == people[a] ? people[b] : people[a];
        const auto at = promised.find({row.sender, other, key});
        if (at != promised.end()) {
          EXPECT_EQ(at->second.first, row.mid) << "seed " << GetParam();
          promised.erase(at);
        }
      }
      stored += page.rows.size();
    }
  }
  EXPECT_TRUE(promised.empty()) << promised.size() << " acknowledged messages are lost, seed " << GetParam();
  EXPECT_EQ(offered.size(), stored) << "each stored message is offered to the dispatcher once, seed " << GetParam();
  EXPECT_TRUE(std::is_sorted(offered.begin(), offered.end()));
  EXPECT_GT(stored, 100U);
}

INSTANTIATE_TEST_SUITE_P(seeds, writer_property, ::testing::Range<uint64_t>(1, 60));

TEST(writer_property_of_relations, a_change_with_an_unknown_outcome_is_answered_as_it_was_made) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    std::mt19937_64 dice(seed);
    tern::testing::fake_clock time;
    auto real = std::move(*open_store("memory:"));
    ASSERT_TRUE(real->migrate());
    writer_options how;
    how.shard = "s0";
    how.epoch = 1;
    writer_engine engine(how, time, [&]() -> result<std::unique_ptr<writer_store>> {
      auto made = real->open_writer();
      if (auto held = (*made)->acquire(1); !held) return held.error();
      return std::unique_ptr<writer_store>(std::make_unique<faulty_writer>(std::move(*made), dice, 0.5));
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
