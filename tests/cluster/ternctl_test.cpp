// The real ternctl against a real cluster with two routing replicas.
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "libs/cluster/cluster.hpp"
#include "libs/testing/temp_dir.hpp"

namespace tern {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr uint32_t all_slots = 1U << 20U;

struct ended {
  int code = -1;
  std::string text;
};

class ternctl_test : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    testing::cluster_options options;
    options.routings = 2;
    options.gateways = 1;
    options.groups = 2;
    options.storages = 1;
    options.databases = 1;
    options.redis = false;
    auto started = testing::cluster::start(options);
    ASSERT_TRUE(started) << started.error().detail;
    cluster_ = std::move(*started).release();
  }
  static void TearDownTestSuite() {
    if (cluster_ == nullptr) return;
    for (const auto& name : cluster_->stop()) ADD_FAILURE() << name << " did not stop cleanly";
    delete cluster_;
    cluster_ = nullptr;
  }
  void SetUp() override {
    if (cluster_ == nullptr) FAIL() << "there is no cluster";
  }

  static std::string address(const std::string& node) { return cluster_->node(node).rpc_address; }
  static std::string both() { return address("routing-0") + "," + address("routing-1"); }

  /// With both replicas, unless `routing` says otherwise.
  static ended run(std::vector<std::string> words, const std::string& routing = both(),
                   std::chrono::milliseconds limit = 60s) {
    testing::temp_dir scratch("ternctl");
    testing::process_options how;
    how.output = scratch.file("out");
    const char* bin = std::getenv("TERN_BIN");
    words.insert(words.begin(), std::string(bin == nullptr ? "build/bin" : bin) + "/ternctl");
    words.push_back("--routing=" + routing);
    auto child = testing::process::start(words, how);
    if (!child) return {-1, child.error().detail};
    if (!child->wait(limit)) child->stop(0ms, 9);
    std::ifstream in(how.output);
    return {child->exit_code(), {std::istreambuf_iterator<char>(in), {}}};
  }
  static json run_json(std::vector<std::string> words) {
    words.push_back("--json");
    const auto end = run(words);
    EXPECT_EQ(end.code, 0) << end.text;
    auto parsed = json::parse(end.text, nullptr, false);
    EXPECT_FALSE(parsed.is_discarded()) << end.text;
    return parsed;
  }
  static uint64_t slots_of(const std::string& node) {
    const json nodes = run_json({"nodes"});
    for (const auto& each : nodes["nodes"]) {
      if (each["name"] == node) return each["slots"].get<uint64_t>();
    }
    return 0;
  }
  static std::string owner_of(uint32_t slot, const std::string& kind = "sessions") {
    const json ranges = run_json({"ranges", "--kind", kind});
    for (const auto& each : ranges["ranges"]) {
      if (each["first"] <= slot && slot <= each["last"]) return each["node"];
    }
    return "";
  }

  static testing::cluster* cluster_;
};

testing::cluster* ternctl_test::cluster_ = nullptr;

TEST_F(ternctl_test, status_tells_of_every_node_and_of_all_slots) {
  const auto text = run({"cluster", "status"});
  EXPECT_EQ(text.code, 0) << text.text;
  for (const char* expected : {"leader routing-", "gateway", "session", "group", "storage", "sessions"}) {
    EXPECT_NE(text.text.find(expected), std::string::npos) << text.text;
  }
  const auto status = run_json({"cluster", "status"});
  EXPECT_GT(status["term"], 0);
  EXPECT_GT(status["version"], 0);
  for (const char* kind : {"sessions", "groups", "storage"}) {
    uint64_t sum = 0;
    for (const auto& each : status["ranges"][kind]) {
      sum += each["last"].get<uint64_t>() - each["first"].get<uint64_t>() + 1;
      EXPECT_NE(each["node"], "") << kind;
      EXPECT_GT(each["epoch"], 0);
    }
    EXPECT_EQ(sum, all_slots) << kind;
  }
}

TEST_F(ternctl_test, nodes_are_up_and_share_the_slots) {
  const auto text = run({"nodes"});
  EXPECT_EQ(text.code, 0) << text.text;
  for (const auto& node : cluster_->nodes()) {
    if (node.service == "routing") continue;
    EXPECT_NE(text.text.find(node.name), std::string::npos) << text.text;
  }
  EXPECT_EQ(slots_of("session-0") + slots_of("session-1"), all_slots);
  EXPECT_EQ(run_json({"nodes", "--service", "session"})["nodes"].size(), 2U);
}

TEST_F(ternctl_test, ranges_of_one_node_are_its_own) {
  const json found = run_json({"ranges", "--node", "session-1"})["ranges"];
  ASSERT_FALSE(found.empty());
  for (const auto& each : found) EXPECT_EQ(each["node"], "session-1");
  const auto text = run({"ranges", "--kind", "storage"});
  EXPECT_NE(text.text.find("shard-0"), std::string::npos) << text.text;
}

TEST_F(ternctl_test, the_replica_that_does_not_lead_says_who_does) {
  for (const char* node : {"routing-0", "routing-1"}) {
    const auto end = run({"cluster", "status"}, address(node));
    EXPECT_EQ(end.code, 0) << node << "\n" << end.text;
    EXPECT_NE(end.text.find("leader routing-"), std::string::npos) << end.text;
  }
}

TEST_F(ternctl_test, a_drained_session_node_is_empty_until_it_is_taken_back) {
  const auto end = run({"drain", "session-1", "--watch"});
  ASSERT_EQ(end.code, 0) << end.text << cluster_->log_tail("routing-0") << cluster_->log_tail("routing-1");
  EXPECT_NE(end.text.find("drain session-1  ["), std::string::npos) << end.text;
  EXPECT_NE(end.text.find("100 %"), std::string::npos) << end.text;
  EXPECT_NE(end.text.find("session-1 is empty after"), std::string::npos) << end.text;
  EXPECT_EQ(slots_of("session-1"), 0U);
  EXPECT_EQ(slots_of("session-0"), all_slots);

  // The last one that is left cannot go, too; nor can anything move to a node that is being drained.
  const auto last = run({"drain", "session-0"});
  EXPECT_EQ(last.code, 1) << last.text;
  EXPECT_NE(last.text.find("ternctl: refused: there is no other session node"), std::string::npos) << last.text;
  EXPECT_EQ(run({"migrate", "0-63", "session-1"}).code, 1);

  const auto back = run({"undrain", "session-1"});
  EXPECT_EQ(back.code, 0) << back.text;
}

TEST_F(ternctl_test, slots_that_are_migrated_stay_until_they_are_released) {
  const std::string target = owner_of(0) == "session-0" ? "session-1" : "session-0";
  const auto end = run_json({"migrate", "0-4095", target});
  EXPECT_EQ(end["command"], "migrate");
  EXPECT_EQ(end["done"], true);
  EXPECT_EQ(owner_of(0), target);
  EXPECT_EQ(owner_of(4095), target);
  const json pinned = run_json({"cluster", "status"})["pinned"];
  ASSERT_EQ(pinned.size(), 1U);
  EXPECT_EQ(pinned[0]["node"], target);
  EXPECT_EQ(run({"migrate", "--release", "0-4095"}).code, 0);
  EXPECT_EQ(run_json({"cluster", "status"})["pinned"].size(), 0U);

  const std::string group = owner_of(0, "groups") == "group-0" ? "group-1" : "group-0";
  const auto rooms = run({"migrate", "--kind", "groups", "0%-1%", group});
  EXPECT_EQ(rooms.code, 0) << rooms.text;
  EXPECT_EQ(owner_of(0, "groups"), group);
  EXPECT_EQ(run({"migrate", "--kind", "groups", "--release", "0%-1%"}).code, 0);
}

TEST_F(ternctl_test, rebalance_shows_its_plan_and_then_does_it) {
  ASSERT_EQ(run({"drain", "group-1"}).code, 0);
  ASSERT_EQ(run({"undrain", "group-1", "--json"}).code, 0);
  const auto plan = run_json({"rebalance", "--dry-run"});
  EXPECT_EQ(plan["dry_run"], true);
  for (const auto& each : plan["plan"]) EXPECT_LE(each["first"], each["last"]);
  const auto end = run({"rebalance"});
  EXPECT_EQ(end.code, 0) << end.text;
  EXPECT_GT(slots_of("group-1"), all_slots / 3);
  EXPECT_EQ(run({"moves"}).code, 0);
  EXPECT_TRUE(run_json({"moves"})["moves"].is_array());
}

TEST_F(ternctl_test, watching_shows_what_changes_and_ends_with_its_reader) {
  const auto end = run({"nodes", "--watch", "--json"}, both(), 1500ms);
  EXPECT_EQ(end.code, 137) << "it goes on until it is ended";
  const auto line = end.text.substr(0, end.text.find('\n'));
  EXPECT_FALSE(json::parse(line, nullptr, false).is_discarded()) << end.text;
}

TEST_F(ternctl_test, what_makes_no_sense_is_refused_with_its_own_code) {
  const auto unknown = run({"drain", "session-9"});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_NE(unknown.text.find("no node 'session-9' is known"), std::string::npos) << unknown.text;
  const auto wrong = run({"migrate", "0-63", "gateway-0"});
  EXPECT_EQ(wrong.code, 1);
  EXPECT_NE(wrong.text.find("is a gateway node"), std::string::npos) << wrong.text;
  EXPECT_EQ(run({"migrate", "9-3", "session-0"}).code, 2);
  EXPECT_EQ(run({"drian", "session-0"}).code, 2);
  EXPECT_EQ(run({"nodes", "--timeout", "300ms"}, "unix:/nowhere/routing").code, 3);
}

TEST_F(ternctl_test, the_next_leader_is_found_when_the_first_is_killed) {
  const std::string leader = run_json({"cluster", "status"})["leader"];
  cluster_->kill(leader);
  const auto end = run({"cluster", "status", "--timeout", "20s"});
  EXPECT_EQ(end.code, 0) << end.text;
  EXPECT_EQ(end.text.find("leader " + leader), std::string::npos) << end.text;
  ASSERT_TRUE(cluster_->restart(leader));
  EXPECT_TRUE(cluster_->wait_ready(leader, 20s));
}

}  // namespace
}  // namespace tern
