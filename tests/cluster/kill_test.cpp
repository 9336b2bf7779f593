// The promise under faults: two hundred accounts chat, two by two and in rooms, over a real cluster while every kind
// of process and each database server is killed in turn and started again; the history checker has the last word.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <thread>

#include "libs/cluster/cluster.hpp"
#include "tests/verify/dump.hpp"
#include "tests/verify/history.hpp"
#include "tests/verify/model_chat.hpp"
#include "tests/verify/workload.hpp"

namespace tern {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

/// Receipts that must flow before the next fault: the cluster serves again.
constexpr uint64_t flow = 400;
constexpr auto recovery_limit = 40s;

std::string list(const std::vector<verify::violation>& found) {
  std::string text = std::to_string(found.size()) + " violations\n";
  size_t shown = 0;
  for (const auto& one : found) {
    if (++shown > 25) break;
    text += "  " + one.check + ": " + one.detail + "\n";
  }
  return text;
}

class kill_test : public ::testing::Test {
 protected:
  void SetUp() override {
    testing::cluster_options options;
    options.groups = 2;
    // Whatever waits goes in two commits at once: both are under way when something is killed.
    options.settings["storage"] = {{"storage.login.hash_memory_kib", "64"},
                                   {"storage.login.hash_passes", "1"},
                                   {"storage.batch.split_requests", "2"}};
    auto started = testing::cluster::start(options);
    ASSERT_TRUE(started) << started.error().detail;
    cluster_ = std::move(*started);
    auto clients = who_chats();
    clients.gateways = cluster_->gateways();
    if (const char* seed = std::getenv("TERN_SEED"); seed != nullptr) clients.seed = std::strtoull(seed, nullptr, 10);
    workload_ = std::make_unique<verify::workload>(clients);
    const auto ready = workload_->start();
    ASSERT_TRUE(ready) << ready.error().detail << "\n" << logs();
    ASSERT_TRUE(workload_->wait_receipts(flow, recovery_limit)) << "no traffic before the first fault\n" << logs();
  }

  virtual verify::workload_options who_chats() { return {}; }

  std::string logs() {
    std::string text;
    for (auto& node : cluster_->nodes()) text += "--- " + node.name + "\n" + cluster_->log_tail(node.name, 8);
    return text;
  }

  /// Runs the fault, then waits until messages flow again, and prints how long that took.
  void fault(const std::string& name, const std::function<void()>& strike) {
    const auto began = steady_clock::now();
    strike();
    const bool flows = workload_->wait_receipts(flow, recovery_limit);
    const auto took = std::chrono::duration<double>(steady_clock::now() - began).count();
    std::cout << "  " << name << ": " << flow << " receipts after " << took << " s, " << workload_->online() << "/"
              << workload_->terminals() << " terminals on line\n";
    EXPECT_TRUE(flows) << name << ": messages do not flow again\n" << logs();
    faults_.emplace_back(began.time_since_epoch().count(), steady_clock::now().time_since_epoch().count());
  }

  void kill_and_restart(const std::string& name, std::chrono::milliseconds down) {
    cluster_->kill(name);
    std::this_thread::sleep_for(down);
    const auto started = cluster_->restart(name);
    EXPECT_TRUE(started) << name;
    EXPECT_TRUE(cluster_->wait_ready(name, 30s)) << name << "\n" << cluster_->log_tail(name);
  }

  /// Ends the run; the checker has the last word.
  void judge() {
    ASSERT_TRUE(workload_->wait_receipts(4 * flow, recovery_limit)) << "no traffic after the last fault\n" << logs();
    auto seen = workload_->finish(40s);
    seen.faults = faults_;
    std::cout << "  " << seen.sends.size() << " messages sent, " << seen.receives.size() << " received, "
              << seen.finals.size() << " histories, " << seen.pulls.size() << " pulls, " << seen.recalls.size()
              << " recalls, " << seen.members.size() << " changes of members\n";
    const auto found = verify::check(seen);
    EXPECT_TRUE(found.empty()) << list(found) << logs();
    const char* directory = std::getenv("TERN_HISTORY_DIR");
    if (!found.empty() && directory != nullptr) {
      EXPECT_TRUE(verify::dump(seen, std::string(directory) + "/history.txt"));
    }

    // Each check must be able to turn red on this very history.
    for (const auto& each : verify::all_planted_bugs()) {
      auto spoiled = seen;
      ASSERT_TRUE(verify::plant(spoiled, each.bug)) << each.check;
      const auto caught = verify::check(spoiled);
      EXPECT_TRUE(std::any_of(caught.begin(), caught.end(),
                              [&](const verify::violation& v) { return v.check == each.check; }))
          << "planted bug " << static_cast<int>(each.bug) << " was not found by " << each.check;
    }
    for (const auto& name : cluster_->stop()) ADD_FAILURE() << name << " did not stop cleanly";
  }

  std::unique_ptr<testing::cluster> cluster_;
  std::unique_ptr<verify::workload> workload_;
  std::vector<std::pair<verify::instant, verify::instant>> faults_;
};

TEST_F(kill_test, no_promise_is_broken_by_killing_anything) {
  fault("gateway-1 killed, back after 0.5 s", [&] { kill_and_restart("gateway-1", 500ms); });
  fault("session-0 killed, back at once", [&] { kill_and_restart("session-0", 0ms); });
  fault("session-1 killed, away for longer than its lease", [&] { kill_and_restart("session-1", 9000ms); });
  fault("storage-0 killed, back at once", [&] { kill_and_restart("storage-0", 0ms); });
  fault("storage-1 killed, away for longer than its lease", [&] { kill_and_restart("storage-1", 9000ms); });
  fault("routing-0 killed, back after 2 s", [&] { kill_and_restart("routing-0", 2000ms); });
  fault("group-0 killed, back at once", [&] { kill_and_restart("group-0", 0ms); });
  fault("group-1 killed, away for longer than its lease", [&] { kill_and_restart("group-1", 9000ms); });
  fault("postgres-0 killed, back after 1 s", [&] {
    cluster_->databases()[0]->kill_hard();
    std::this_thread::sleep_for(1s);
    const auto back = cluster_->databases()[0]->restart();
    EXPECT_TRUE(back) << back.error().detail;
  });
  fault("postgres-1 stopped immediately, back at once", [&] {
    cluster_->databases()[1]->stop_immediately();
    const auto back = cluster_->databases()[1]->restart();
    EXPECT_TRUE(back) << back.error().detail;
  });
  fault("redis killed, back after 1 s", [&] {
    cluster_->redis()->kill_hard();
    std::this_thread::sleep_for(1s);
    EXPECT_TRUE(cluster_->redis()->restart());
  });
  judge();
}

/// Most of the talk is in rooms, and those who order and spread it die again and again in the middle of that.
class room_kill_test : public kill_test {
 protected:
  verify::workload_options who_chats() override {
    verify::workload_options clients;
    clients.accounts = 100;
    clients.messages_per_second = 150;
    clients.room_percent = 60;
    clients.rooms = 12;
    clients.naps_per_second = 2;
    clients.prefix = "r";
    clients.seed = 2;
    return clients;
  }
};

TEST_F(room_kill_test, rooms_lose_double_and_reorder_nothing) {
  for (int round = 0; round < 3; ++round) {
    fault("group-0 killed, back at once", [&] { kill_and_restart("group-0", 0ms); });
    fault("group-1 killed, back after 0.3 s", [&] { kill_and_restart("group-1", 300ms); });
  }
  fault("both groups killed, back at once", [&] {
    cluster_->kill("group-1");
    kill_and_restart("group-0", 0ms);
    EXPECT_TRUE(cluster_->restart("group-1"));
    EXPECT_TRUE(cluster_->wait_ready("group-1", 30s));
  });
  fault("session-1 and group-0 killed, back at once", [&] {
    cluster_->kill("session-1");
    kill_and_restart("group-0", 0ms);
    EXPECT_TRUE(cluster_->restart("session-1"));
    EXPECT_TRUE(cluster_->wait_ready("session-1", 30s));
  });
  fault("storage-0 and group-1 killed, back at once", [&] {
    cluster_->kill("storage-0");
    kill_and_restart("group-1", 0ms);
    EXPECT_TRUE(cluster_->restart("storage-0"));
    EXPECT_TRUE(cluster_->wait_ready("storage-0", 30s));
  });
  fault("gateway-0 killed, back at once", [&] { kill_and_restart("gateway-0", 0ms); });
  fault("session-0 killed, away for longer than its lease", [&] { kill_and_restart("session-0", 9000ms); });
  judge();
}

}  // namespace
}  // namespace tern
