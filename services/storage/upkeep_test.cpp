// Work in the background of a storage node with a real database.
#include "services/storage/upkeep.hpp"

#include <thread>

#include "libs/sql/connection.hpp"
#include "libs/testing/temp_dir.hpp"
#include "services/storage/repositories/sealing/key_ring.hpp"
#include "services/storage/testing/storage_node.hpp"

namespace tern::storage {
namespace {

using namespace std::chrono_literals;
using testing::ann;
using testing::append;
using testing::ben;

class upkeep_of_a_node : public ::testing::Test {
 protected:
  void start(upkeep_options how) {
    testing::node_options node;
    node.dsn = dsn_;
    node.open = [this](const std::string& dsn) {
      sealing sealed;
      sealed.keys = *master_keys::make({std::string(64, 'a')});
      return open_sealed_store(dsn, sealed);
    };
    node_ = std::make_unique<testing::storage_node>(std::move(node));
    low_ = std::make_unique<testing::fake_session>(node_->network(), "local:session-0");
    high_ = std::make_unique<testing::fake_session>(node_->network(), "local:session-1");
    client_ = testing::fake_client::connect(node_->network(), "local:storage-0", link_);
    upkeep_ = std::make_unique<upkeep>(std::move(how), system_clock(), [this] {
      ++looks_;
      // The caller owns nothing: the node outlives the work.
      return std::vector{std::shared_ptr<shard_slot>(std::shared_ptr<void>(), &node_->slot())};
    });
    upkeep_->start();
  }
  void TearDown() override {
    if (upkeep_) upkeep_->stop();
    link_.reset();
    node_.reset();
  }
  double metric(const std::string& name) { return node_->metric(name + "{shard=\"s0\"}"); }
  /// Waits for a condition, 10 s at most.
  template <class Condition>
  bool comes(const Condition& condition) {
    for (const auto end = std::chrono::steady_clock::now() + 10s; std::chrono::steady_clock::now() < end;) {
      if (condition()) return true;
      std::this_thread::sleep_for(5ms);
    }
    return false;
  }
  int64_t count(const std::string& what) {
    auto rows = (*sql::open(dsn_))->query("select count(*) from " + what);
    return rows ? sql::as_int(rows->front()[0]) : -1;
  }
  static upkeep_options keeping(uint64_t days) {
    upkeep_options how;
    how.kept = *parse_retention(days, {});
    how.expire_per_second = 100'000;
    return how;
  }

  tern::testing::temp_dir directory_;
  std::string dsn_ = "sqlite:" + (directory_.path() / "shard.db").string();
  std::unique_ptr<testing::storage_node> node_;
  std::unique_ptr<testing::fake_session> low_, high_;
  std::unique_ptr<rpc::link> link_;
  std::shared_ptr<testing::fake_client> client_;
  std::atomic<uint64_t> looks_{0};
  std::unique_ptr<upkeep> upkeep_;
};

TEST_F(upkeep_of_a_node, a_shard_that_is_opened_later_is_looked_after_soon) {
  start({});
  ASSERT_TRUE(comes([&] { return looks_ > 0; }));
  EXPECT_EQ(metric("tern_storage_reseal_progress_ratio"), 0);
  const auto before = std::chrono::steady_clock::now();
  node_->publish(1);
  ASSERT_TRUE(comes([&] { return metric("tern_storage_reseal_progress_ratio") == 1; }));
  EXPECT_LT(std::chrono::steady_clock::now() - before, 5s);
  EXPECT_EQ(metric("tern_storage_retention_progress_ratio"), 1) << "nothing is to be deleted";
}

/// Counts how often it is opened ahead; `migrated` from the second time on.
class counted_store final : public store {
 public:
  explicit counted_store(std::atomic<int>& prepared) : prepared_(prepared) {}
  result<std::unique_ptr<writer_store>> open_writer() override { return real_->open_writer(); }
  result<std::unique_ptr<reader_store>> open_reader() override { return real_->open_reader(); }
  result<bool> prepare() override { return ++prepared_ > 1; }
  result<void> migrate() override { return real_->migrate(); }
  result<uint64_t> size_bytes() override { return real_->size_bytes(); }
  store_health health() const override { return {.term = 77}; }

 private:
  std::unique_ptr<store> real_ = std::move(*open_store("memory:"));
  std::atomic<int>& prepared_;
};

TEST_F(upkeep_of_a_node, the_database_of_another_nodes_shard_is_opened_ahead_once_it_is_migrated) {
  std::atomic<int> prepared{0};
  testing::node_options node;
  node.open = [&](const std::string&) { return std::unique_ptr<store>(std::make_unique<counted_store>(prepared)); };
  node_ = std::make_unique<testing::storage_node>(std::move(node));
  node_->publish(1, "storage-9");
  upkeep_ = std::make_unique<upkeep>(upkeep_options{}, system_clock(), [this] {
    return std::vector{std::shared_ptr<shard_slot>(std::shared_ptr<void>(), &node_->slot())};
  });
  upkeep_->start();
  ASSERT_TRUE(comes([&] { return prepared == 1; }));
  EXPECT_EQ(node_->slot().store->health().term, 0U);  // not kept
  EXPECT_TRUE(comes([&] { return node_->slot().store->health().term == 77; }));
  EXPECT_EQ(prepared, 2);
}

TEST_F(upkeep_of_a_node, it_sleeps_when_there_is_nothing_to_do) {
  start({});
  node_->publish(1);
  ASSERT_TRUE(comes([&] { return metric("tern_storage_reseal_progress_ratio") == 1; }));
  const uint64_t before = looks_;
  std::this_thread::sleep_for(1s);
  EXPECT_LE(looks_ - before, 3U);
}

TEST_F(upkeep_of_a_node, old_messages_go_and_the_conversation_goes_on) {
  start({});
  node_->publish(1);
  for (uint64_t i = 1; i <= 20; ++i) client_->send(append(i, ann, ben, "k" + std::to_string(i), "text"));
  ASSERT_TRUE(client_->wait_for_all());
  ASSERT_TRUE(comes([&] { return count("outbox") == 0; }));
  upkeep_->stop();
  const auto month = std::to_string(std::chrono::nanoseconds(std::chrono::days(30)).count());
  ASSERT_TRUE(
      (*sql::open(dsn_))->script("update message set timestamp_ns = timestamp_ns - " + month + " where mid <= 15"));
  upkeep_ = std::make_unique<upkeep>(keeping(8), system_clock(), [this] {
    return std::vector{std::shared_ptr<shard_slot>(std::shared_ptr<void>(), &node_->slot())};
  });
  upkeep_->start();
  ASSERT_TRUE(comes([&] { return count("message") == 5; }));
  ASSERT_TRUE(comes([&] { return metric("tern_storage_retention_progress_ratio") == 1; }));
  EXPECT_EQ(metric("tern_storage_expired_messages_total"), 15);
  EXPECT_EQ(client_->ask(append(21, ann, ben, "next", "text")).appended().mid(), 21U);
  const auto page = client_->ask(testing::read_all(22, ann, ben)).page();
  ASSERT_EQ(page.rows_size(), 6);
  EXPECT_EQ(page.head(), 21U);
}

}  // namespace
}  // namespace tern::storage
