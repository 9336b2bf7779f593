// A cluster grows from two databases to four, shrinks again and goes back, while people chat and processes are
// killed: slots move between four PostgreSQL servers, the history checker has the last word, and each database holds
// exactly the rows of its own slots.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <thread>

#include "libs/cluster/cluster.hpp"
#include "libs/testing/temp_dir.hpp"
#include "tests/cluster/shard_operations.hpp"
#include "tests/verify/dump.hpp"
#include "tests/verify/history.hpp"
#include "tests/verify/model_chat.hpp"
#include "tests/verify/workload.hpp"

namespace tern {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr uint64_t flow = 300;
constexpr auto recovery_limit = 40s;
constexpr auto move_limit = 90s;

class shard_move_test : public ::testing::Test {
 protected:
  void begin(size_t more_databases, size_t accounts) {
    for (size_t i = 0; i < more_databases; ++i) {
      auto started = testing::postgres_server::start();
      ASSERT_TRUE(started) << started.error().detail;
      more_.push_back(std::move(*started));
    }
    testing::cluster_options options;
    options.routings = 2;
    options.storages = more_databases == 0 ? 2 : 3;
    // Whatever waits goes in two commits at once: both are under way when something is killed.
    options.settings["storage"] = {{"storage.login.hash_memory_kib", "64"},
                                   {"storage.login.hash_passes", "1"},
                                   {"storage.batch.split_requests", "2"}};
    options.prefix_of = [this](const std::string& node) -> std::vector<std::string> {
      if (dies_at_.empty() || !node.starts_with("storage")) return {};
      return {"/usr/bin/env", "TERN_MOVE_DIES_AT=" + dies_at_};
    };
    auto started = testing::cluster::start(options);
    ASSERT_TRUE(started) << started.error().detail;
    cluster_ = std::move(*started);
    shards_ = std::make_unique<testing::shard_operations>(
        std::vector<std::string>{cluster_->node("routing-0").rpc_address, cluster_->node("routing-1").rpc_address});
    verify::workload_options clients;
    clients.accounts = accounts;
    clients.messages_per_second = 200;
    clients.gateways = cluster_->gateways();
    workload_ = std::make_unique<verify::workload>(clients);
    const auto ready = workload_->start();
    ASSERT_TRUE(ready) << ready.error().detail << "\n" << logs();
    ASSERT_TRUE(workload_->wait_receipts(flow, recovery_limit)) << logs();
  }

  std::string logs() {
    std::string text;
    for (auto& node : cluster_->nodes()) {
      if (node.service == "routing" || node.service == "storage") {
        text += "--- " + node.name + "\n" + cluster_->log_tail(node.name, 12);
      }
    }
    return text;
  }
  void well() { EXPECT_EQ(shards_->trouble(), "") << logs(); }
  bool moves_are(const std::set<std::string>& states) {
    const bool they_are = shards_->wait_all(states, move_limit);
    EXPECT_TRUE(they_are) << shards_->trouble() << logs();
    return they_are;
  }
  void come_back(const std::string& name) {
    EXPECT_TRUE(cluster_->restart(name)) << name;
    EXPECT_TRUE(cluster_->wait_ready(name, 30s)) << name << "\n" << cluster_->log_tail(name);
  }
  void kill_and_restart(const std::string& name) {
    cluster_->kill(name);
    come_back(name);
    flows(name + " killed");
  }
  void flows(const std::string& after, std::chrono::seconds ago = 2s) {
    const auto began = steady_clock::now();
    EXPECT_TRUE(workload_->wait_receipts(flow, recovery_limit)) << after << ": messages do not flow again\n"
                                                                << logs();
    std::cout << "  " << after << ": " << flow << " receipts after "
              << std::chrono::duration<double>(steady_clock::now() - began).count() << " s\n";
    faults_.emplace_back((began - ago).time_since_epoch().count(), steady_clock::now().time_since_epoch().count());
  }
  void finish_all() {
    for (const auto& each : shards_->moves("kept")) shards_->finish(each.move());
    moves_are({"done", "aborted"});
  }
  /// Each database holds rows of the slots that the map gives it, and of no others.
  void expect_rows_where_they_belong() {
    const auto all = shards_->status();
    for (size_t i = 0; i < 2 + more_.size(); ++i) {
      auto& server = i < 2 ? *cluster_->databases()[i] : *more_[i - 2];
      const auto shard = "shard-" + std::to_string(i);
      std::string mine = "false";
      for (const auto& each : all.maps().storage()) {
        if (each.owner() != shard) continue;
        mine += " or slot between " + std::to_string(each.first()) + " and " + std::to_string(each.last());
      }
      for (const auto* table : {"message", "conversation", "account", "roster", "cursor", "member", "room"}) {
        const auto strange = server.query("select count(*) from " + std::string(table) + " where not (" + mine + ")");
        ASSERT_TRUE(strange) << strange.error().detail;
        EXPECT_EQ(strange->substr(0, strange->find('\n')), "0") << table << " in " << shard;
      }
    }
  }
  void judge() {
    EXPECT_TRUE(workload_->wait_receipts(2 * flow, recovery_limit)) << logs();
    auto seen = workload_->finish(40s);
    seen.faults = faults_;
    std::cout << "  " << seen.sends.size() << " messages sent, " << seen.receives.size() << " received\n";
    const auto found = verify::check(seen);
    for (size_t i = 0; i < std::min<size_t>(found.size(), 20); ++i) {
      ADD_FAILURE() << found[i].check << ": " << found[i].detail;
    }
    if (!found.empty()) std::cout << logs();
    const char* directory = std::getenv("TERN_HISTORY_DIR");
    if (!found.empty() && directory != nullptr) {
      EXPECT_TRUE(verify::dump(seen, std::string(directory) + "/history.txt"));
    }
    auto spoiled = seen;
    ASSERT_TRUE(verify::plant(spoiled, verify::all_planted_bugs().front().bug));
    EXPECT_FALSE(verify::check(spoiled).empty()) << "the checker sees nothing";
    shards_.reset();
    for (const auto& name : cluster_->stop()) ADD_FAILURE() << name << " did not stop cleanly";
  }

  std::string dies_at_;
  std::vector<std::unique_ptr<testing::postgres_server>> more_;
  std::unique_ptr<testing::cluster> cluster_;
  std::unique_ptr<testing::shard_operations> shards_;
  std::unique_ptr<verify::workload> workload_;
  std::vector<std::pair<verify::instant, verify::instant>> faults_;
};

TEST_F(shard_move_test, a_cluster_grows_and_shrinks_under_load_while_anything_is_killed) {
  ASSERT_NO_FATAL_FAILURE(begin(2, 100));
  shards_->add("shard-2", more_[0]->dsn());
  shards_->add("shard-3", more_[1]->dsn());
  EXPECT_GE(shards_->rebalance(1U << 20U).size(), 2U);
  well();
  shards_->wait_some("copying", 20s);
  kill_and_restart(shards_->owner("shard-0"));
  kill_and_restart(shards_->owner("shard-2"));
  kill_and_restart(shards_->status().leader());
  more_[1]->stop_immediately();
  EXPECT_TRUE(more_[1]->restart());
  flows("the target's database stopped");
  ASSERT_TRUE(moves_are({"kept"}));
  for (const auto* shard : {"shard-0", "shard-1", "shard-2", "shard-3"}) {
    EXPECT_NEAR(static_cast<double>(shards_->slots(shard)), 1 << 18, 1) << shard;
  }
  flows("grown to four");

  const auto before = shards_->moves("kept");
  ASSERT_GE(before.size(), 2U);
  shards_->roll_back(before[0].move());
  kill_and_restart(shards_->owner(before[0].target()));
  ASSERT_TRUE(moves_are({"kept"}));
  flows("one move rolled back");
  finish_all();
  expect_rows_where_they_belong();

  shards_->drain("shard-1", 1U << 20U);
  shards_->wait_some("copying", 20s);
  cluster_->databases()[1]->kill_hard();
  EXPECT_TRUE(cluster_->databases()[1]->restart());
  flows("the source's database killed");
  ASSERT_TRUE(moves_are({"kept", "done"}));
  EXPECT_EQ(shards_->slots("shard-1"), 0U);
  finish_all();
  expect_rows_where_they_belong();
  well();
  for (const auto& each : shards_->moves()) {
    std::cout << "  move " << each.move() << " " << each.source() << " to " << each.target() << ": "
              << each.progress().rows() << " rows, writes stood still for "
              << static_cast<double>(each.progress().stalled_us()) / 1000 << " ms\n";
  }
  judge();
}

/// The storage node dies before each step of a move, once; whoever serves the shard then goes on.
TEST_F(shard_move_test, dies_before_each_step_and_goes_on) {
  ASSERT_NO_FATAL_FAILURE(begin(0, 60));
  const std::vector<std::string> forward{"export", "claim", "copy",   "compare", "carry", "forget", "close",
                                         "seal",   "drain", "outbox", "sealed",  "leave", "left"};
  const std::vector<std::string> backward{"reopen", "clean", "cleaned"};
  const std::vector<std::string> ends{"check", "delete", "finish"};
  uint32_t first = 0;
  const auto storages = {"storage-0", "storage-1"};
  const auto one = [&](const std::string& step, bool gives_up, bool ends_it) {
    dies_at_ = step;
    for (const auto* name : storages) {
      cluster_->kill(name);
      come_back(name);
    }
    // Half of shard-0's slots, so that people write into them; the next time back again.
    const bool there = shards_->slots("shard-0") == 1U << 19U;
    first = (1U << 19U) / 2;
    const auto made = shards_->move(there ? "shard-0" : "shard-1", there ? "shard-1" : "shard-0", first,
                                    (1U << 19U) - 1, gives_up ? 20'000 : 0);
    ASSERT_EQ(made.size(), 1U) << step << ": " << shards_->trouble();
    if (gives_up) {
      shards_->wait_copied(20s);
      shards_->abort(made[0]);
    }
    if (ends_it) {
      ASSERT_TRUE(moves_are({"kept", "done", "aborted"})) << step;
      shards_->finish(made[0]);
    }
    const auto dead = [&]() -> std::string {
      for (const auto* name : storages) {
        if (cluster_->node(name).child.wait(100ms)) return name;
      }
      return {};
    };
    std::string found;
    for (const auto end = steady_clock::now() + 30s; found.empty() && steady_clock::now() < end;) found = dead();
    ASSERT_FALSE(found.empty()) << "nobody died at " << step << "\n" << logs();
    dies_at_.clear();
    come_back(found);
    for (const auto* name : storages) {
      if (name == found) continue;
      cluster_->kill(name);
      come_back(name);
    }
    ASSERT_TRUE(moves_are({"kept", "done", "aborted"})) << step;
    finish_all();
    flows(found + " died before " + step, 20s);
    std::cout << "  at " << steady_clock::now().time_since_epoch().count() << "\n";
    expect_rows_where_they_belong();
  };
  for (const auto& step : forward) ASSERT_NO_FATAL_FAILURE(one(step, false, false));
  for (const auto& step : backward) ASSERT_NO_FATAL_FAILURE(one(step, true, false));
  for (const auto& step : ends) ASSERT_NO_FATAL_FAILURE(one(step, false, true));
  well();
  judge();
}

/// From one process with a file to a cluster with PostgreSQL, while people chat: the file's slots move into the
/// database by the commands of a cluster, then a cluster goes on with it under the same keys.
TEST(growth_test, a_laptops_file_becomes_a_cluster_under_load) {
  testing::temp_dir home("ternd-grows");
  std::unique_ptr<verify::workload> workload;
  testing::cluster_options options;
  options.gateways = 1;
  options.databases = 1;
  options.redis = false;
  options.settings["storage"] = {{"storage.login.hash_memory_kib", "64"}, {"storage.login.hash_passes", "1"}};
  options.planned = [&](testing::cluster& all) {
    testing::ternd_options small;
    small.directory = home.path().string();
    const auto socket = home.file("control.sock");
    small.settings = {"storage.login.hash_memory_kib=64", "storage.login.hash_passes=1",
                      "routing.control.socket=" + socket,
                      // Where the cluster's gateway will be: the clients notice nothing but a reconnect.
                      "gateway.listen_address=127.0.0.1:" + std::to_string(all.node("gateway-0").client_port)};
    auto ternd = testing::ternd_process::start(small);
    ASSERT_TRUE(ternd) << ternd.error().detail;
    verify::workload_options clients;
    clients.gateways = all.gateways();
    clients.accounts = 40;
    clients.messages_per_second = 100;
    workload = std::make_unique<verify::workload>(clients);
    const auto ready = workload->start();
    ASSERT_TRUE(ready) << ready.error().detail;
    ASSERT_TRUE(workload->wait_receipts(200, recovery_limit));

    testing::shard_operations shards({"unix:" + socket});
    shards.add("shard-0", all.databases()[0]->dsn());
    const auto made = shards.drain("main");
    ASSERT_EQ(made.size(), 1U) << shards.trouble();
    ASSERT_TRUE(shards.wait_all({"kept"}, move_limit)) << shards.trouble();
    ASSERT_TRUE(workload->wait_receipts(200, recovery_limit)) << "in PostgreSQL";
    shards.finish(made[0]);
    ASSERT_TRUE(shards.wait_all({"done"}, move_limit)) << shards.trouble();
    EXPECT_EQ(shards.trouble(), "");
    EXPECT_EQ((*ternd)->child().stop(15s), 0);

    const auto quoted = [](const std::string& text) { return "\"" + text + "\""; };
    all.settings_of("routing")["routing.meta.import_dsn"] = quoted("sqlite:" + home.file("meta.db"));
    for (const auto* service : {"gateway", "session"}) {
      all.settings_of(service)["identity.key_file"] = quoted(home.file("identity.key"));
    }
    all.settings_of("storage")["storage.encryption.key_file"] = quoted(home.file("encryption.key"));
  };
  auto cluster = testing::cluster::start(options);
  ASSERT_TRUE(cluster) << cluster.error().detail;
  ASSERT_TRUE(workload);
  EXPECT_TRUE(workload->wait_receipts(400, recovery_limit)) << (*cluster)->log_tail("storage-0");
  const auto seen = workload->finish(40s);
  std::cout << "  " << seen.sends.size() << " messages sent, " << seen.receives.size() << " received\n";
  for (const auto& one : verify::check(seen)) ADD_FAILURE() << one.check << ": " << one.detail;
  workload.reset();
  for (const auto& name : (*cluster)->stop()) ADD_FAILURE() << name << " did not stop cleanly";
}

}  // namespace
}  // namespace tern
