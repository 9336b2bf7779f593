// `ternctl account erase` on a cluster with two shards, while storage nodes and ternctl itself are killed; afterwards
// dumps of both databases are looked through.
#include <csignal>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <thread>

#include "libs/cluster/cluster.hpp"
#include "tests/protocol/fixture.hpp"

namespace tern::testing {
namespace {

using namespace std::chrono_literals;
using wire::frame_type;

constexpr size_t friends = 6;
constexpr size_t texts = 40;  // to each

std::string hex_of(std::string_view bytes) {
  std::string out;
  for (const char each : bytes) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", static_cast<unsigned>(static_cast<unsigned char>(each)));
    out += two;
  }
  return out;
}

std::string read_file(const std::string& name) {
  std::ifstream in(name);
  return {std::istreambuf_iterator<char>(in), {}};
}

class account_erasure : public protocol {
 protected:
  server& where() override {
    if (own_) return *own_;
    auto settings = default_settings();
    settings["storage.encryption.mode"] = "off";  // a dump shows what is there
    own_ = std::make_unique<server>(server_kind::cluster, settings);
    return *own_;
  }
  void TearDown() override {
    protocol::TearDown();
    own_.reset();
  }
  cluster& nodes() { return *where().nodes(); }

  std::vector<std::string> command(std::vector<std::string> words) {
    const char* bin = std::getenv("TERN_BIN");
    words.insert(words.begin(), std::string(bin == nullptr ? "build/bin" : bin) + "/ternctl");
    words.push_back("--routing=" + nodes().node("routing-0").rpc_address);
    return words;
  }
  process start(const std::vector<std::string>& words) {
    process_options how;
    how.output = scratch_.file("out");
    std::ofstream(how.output, std::ios::trunc);
    auto child = process::start(command(words), how);
    EXPECT_TRUE(child);
    return std::move(*child);
  }
  std::string output() { return read_file(scratch_.file("out")); }
  /// Runs ternctl to its end; its exit code.
  int run(const std::vector<std::string>& words, std::chrono::milliseconds limit = 120s) {
    auto child = start(words);
    EXPECT_TRUE(child.wait(limit)) << output();
    return child.exit_code();
  }
  /// Data of all shards, as pg_dump writes it.
  std::string dump() {
    std::string all;
    for (const auto& each : nodes().databases()) {
      auto text = run_program({postgres_program("pg_dump"), "--dbname=" + each->dsn()});
      EXPECT_TRUE(text) << text.error().detail;
      if (text) all += *text;
    }
    return all;
  }
  /// Tables of a dump with `word` as a column or part of one.
  static std::set<std::string> tables_with(const std::string& dump, const std::string& word) {
    std::set<std::string> out;
    std::string table;
    std::istringstream in(dump);
    for (std::string line; std::getline(in, line);) {
      if (line.starts_with("COPY public.")) table = line.substr(12, line.find(' ', 12) - 12);
      if (line == "\\.") table.clear();
      if (!table.empty() && line.find(word) != std::string::npos) out.insert(table);
    }
    return out;
  }

  temp_dir scratch_{"erasure"};
  std::unique_ptr<server> own_;
};

INSTANTIATE_TEST_SUITE_P(cluster, account_erasure,
                         ::testing::Values(place{server_kind::cluster, wire::encoding::thrift}), place_name);

TEST_P(account_erasure, destroys_it_everywhere_though_nodes_are_killed_meanwhile) {
  std::string name;
  auto alice = new_user("wonderland", &name);
  const std::string node = alice->node();
  const auto id = std::to_string(static_cast<int64_t>(account_from_node(node)->value));
  wire::tim_nodes self;
  self.ntype = 6;
  wire::tim_user_bean bean;
  bean.name = "Profile of Liddell";
  self.usermap.emplace().emplace_back("me", bean);
  alice->send(frame_type::nodes, self);
  expect_ok(*alice, frame_type::nodes, 6);

  std::vector<client_ptr> others;
  std::vector<std::string> names(friends);
  for (size_t i = 0; i < friends; ++i) {
    others.push_back(new_user("friend", &names[i]));
    befriend(*alice, *others[i]);
    for (size_t k = 0; k < texts; ++k) send_text(*alice, others[i]->node(), "secret of alice " + std::to_string(k));
    send_text(*others[i], node, "kept by a friend");
  }
  const auto hers = new_room(*alice, open_room, "Tea party");
  const auto other_room = new_room(*others[0]);
  pull_in(*alice, hers, *others[0]);
  pull_in(*others[0], other_room, *alice);
  send_to_room(*alice, hers, "secret of alice in her room");
  send_to_room(*alice, other_room, "secret of alice as a guest");
  send_to_room(*others[0], other_room, "kept in the room");
  const auto absent = others[1]->node();
  others[1].reset();  // off line: what waits for it is destroyed, too
  send_text(*alice, absent, "secret of alice, the last");
  const auto token = account_call(port(), frame_type::token, enc(), name, "secret");
  EXPECT_EQ(token.code, 0);
  std::string key;
  for (const auto& each : nodes().databases()) {
    const auto found = each->query("select encode(name_key, 'hex') from account where id = " + id);
    if (found && found->size() >= 64) key = found->substr(0, 64);
  }
  ASSERT_EQ(key.size(), 64U);
  const auto before = dump();
  ASSERT_NE(before.find(hex_of("secret of alice")), std::string::npos) << "the search would find it";
  ASSERT_NE(before.find(hex_of("Profile of Liddell")), std::string::npos);
  ASSERT_NE(before.find(hex_of("Tea party")), std::string::npos);
  ASSERT_TRUE(tables_with(before, id).contains("roster"));

  // Slowly, and ternctl and one storage node after the other are killed in the middle of it.
  const std::vector<std::string> slowly{"account", "erase", node, "--rate=30"};
  for (const char* victim : {"", "storage-0", "storage-1"}) {
    auto child = start(slowly);
    const auto until = std::chrono::steady_clock::now() + 60s;
    while (output().find("round 1, ") == std::string::npos && std::chrono::steady_clock::now() < until) {
      ASSERT_TRUE(child.running()) << output();
      std::this_thread::sleep_for(20ms);
    }
    if (victim[0] != '\0') {
      nodes().kill(victim);
      std::this_thread::sleep_for(1500ms);
      EXPECT_TRUE(child.running()) << "it waits: " << output();
    }
    child.stop(0ms, SIGKILL);
    if (victim[0] != '\0') {
      ASSERT_TRUE(nodes().restart(victim));
      ASSERT_TRUE(nodes().wait_all_ready(60s));
    }
    EXPECT_EQ(run({"account", "erasure", node}), 0) << output();
    EXPECT_NE(output().find("state     erasing"), std::string::npos) << output();
  }
  const auto refused = anonymous()->login(name, "secret");
  EXPECT_FALSE(refused.ok) << "during it";
  ASSERT_EQ(run({"account", "erase", node}), 0) << output();
  const auto receipt = output();
  EXPECT_NE(receipt.find("state     erased"), std::string::npos) << receipt;
  EXPECT_NE(receipt.find("all       messages              " + std::to_string(friends * texts + 1) + "\n"),
            std::string::npos)
      << receipt;

  EXPECT_TRUE(alice->next(frame_type::logout)) << "its terminals are ended";
  EXPECT_FALSE(anonymous()->login(name, "secret").ok);
  EXPECT_EQ(account_call(port(), frame_type::reg, enc(), name, "secret").code, 4101) << "the name stays taken";
  EXPECT_NE(account_call(port(), frame_type::token, enc(), name, "secret").code, 0);

  auto bob = log_in(names[0]);
  EXPECT_TRUE(list_of(*bob, 1).empty()) << "no friend any more";
  EXPECT_EQ(list_of(*bob, 2), std::vector<std::string>{other_room}) << "the founder's room is cancelled";
  EXPECT_EQ(list_of(*bob, 3, other_room), std::vector<std::string>{bob->node()});
  const auto talk = pull(*bob, history(1, node, 0, 100));
  ASSERT_EQ(talk.size(), 1U) << "what bob wrote is bob's";
  EXPECT_EQ(talk[0].text, "kept by a friend");
  const auto in_room = pull(*bob, history(2, other_room, 0, 100));
  ASSERT_EQ(in_room.size(), 1U);
  EXPECT_EQ(in_room[0].text, "kept in the room");
  bob->send(frame_type::message, text_message(node, "are you there?"));
  EXPECT_TRUE(bob->next_ack().error);
  auto late = log_in(names[1]);
  for (const auto& each : drain(*late)) EXPECT_EQ(each.text.find("secret of alice"), std::string::npos);

  const auto after = dump();
  for (const std::string_view text : {"secret of alice", "Profile of Liddell", "Tea party"}) {
    EXPECT_EQ(after.find(hex_of(text)), std::string::npos) << text;
    EXPECT_EQ(after.find(text), std::string::npos) << text;
  }
  EXPECT_EQ(after.find(name), std::string::npos);
  EXPECT_EQ(after.find(hex_of(name)), std::string::npos);
  EXPECT_EQ(after.find(key.substr(16)), std::string::npos) << "the keyed hash of the name";
  EXPECT_NE(after.find(hex_of("kept by a friend")), std::string::npos);
  for (const auto& table : tables_with(after, id)) {
    const std::set<std::string> stays{"account", "conversation", "cursor", "erasure", "message", "room"};
    EXPECT_TRUE(stays.contains(table)) << table;
  }

  ASSERT_EQ(run({"account", "erasure", node}), 0) << output();
  EXPECT_EQ(output(), receipt.substr(receipt.find("account   "))) << "shown again, the same";
  ASSERT_EQ(run({"account", "erase", node}), 0) << "nothing is left to do";
  EXPECT_EQ(output(), receipt.substr(receipt.find("account   ")));
  EXPECT_EQ(run({"account", "erase", to_node(account_id{12345})}), 1) << output();
  EXPECT_EQ(run({"account", "erase", "nonsense"}), 2) << output();
}

class ternd_erasure : public protocol {
 protected:
  void SetUp() override {}
  void TearDown() override {}

  /// Alice writes to bob in a ternd, which has ended when this returns.
  void talk(const ternd_options& how, std::string& node, const std::string& name) {
    auto started = ternd_process::start(how);
    ASSERT_TRUE(started) << started.error().detail;
    const auto at = (*started)->gateway().port;
    for (const std::string& each : {name, std::string("bob")})
      ASSERT_EQ(account_call(at, frame_type::reg, enc(), each, "secret").code, 0);
    tim_client alice(at, enc()), bob(at, enc());
    ASSERT_TRUE(alice.login(name, "secret").ok);
    ASSERT_TRUE(bob.login("bob", "secret").ok);
    node = alice.node();
    befriend(alice, bob);
    for (int i = 0; i < 20; ++i) send_text(alice, bob.node(), "secret of alice");
    EXPECT_EQ((*started)->child().stop(15s), 0);
  }
};

INSTANTIATE_TEST_SUITE_P(ternd, ternd_erasure, ::testing::Values(place{}), place_name);

TEST_P(ternd_erasure, leaves_nothing_in_the_file) {
  temp_dir home("erasure");
  ternd_options how;
  how.directory = home.file("data");
  how.settings = {"storage.encryption.mode=off", "storage.login.hash_memory_kib=64", "storage.login.hash_passes=1",
                  "session.auth_min_interval_ms=0", "gateway.request_rate_per_second=0"};
  const std::string name = "wonderland";
  std::string node;
  talk(how, node, name);
  if (HasFatalFailure()) return;
  const auto contents = [&] {
    return read_file(how.directory + "/main.db") + read_file(how.directory + "/main.db-wal");
  };
  ASSERT_NE(contents().find("secret of alice"), std::string::npos) << "the search would find it";

  const char* bin = std::getenv("TERN_BIN");
  std::vector<std::string> words{std::string(bin == nullptr ? "build/bin" : bin) + "/ternd",
                                 "--data-dir",
                                 how.directory,
                                 "--listen",
                                 "127.0.0.1:0",
                                 "--metrics",
                                 "127.0.0.1:0",
                                 "--erase-account",
                                 node};
  for (const auto& each : how.settings) words.insert(words.end(), {"--set", each});
  const auto receipt = run_program(words, {}, 60s);
  ASSERT_TRUE(receipt) << receipt.error().detail;
  EXPECT_NE(receipt->find("state     erased"), std::string::npos) << *receipt;
  EXPECT_NE(receipt->find("main      messages              20\n"), std::string::npos) << *receipt;
  EXPECT_EQ(contents().find("secret of alice"), std::string::npos);
  words[words.size() - 2 * how.settings.size() - 1] = to_node(account_id{12345});
  EXPECT_FALSE(run_program(words, {}, 60s)) << "nobody has this account";

  auto again = ternd_process::start(how);
  ASSERT_TRUE(again) << again.error().detail;
  tim_client alice((*again)->gateway().port, wire::encoding::thrift);
  EXPECT_FALSE(alice.login(name, "secret").ok);
  tim_client bob((*again)->gateway().port, wire::encoding::thrift);
  EXPECT_TRUE(bob.login("bob", "secret").ok);
  EXPECT_EQ((*again)->child().stop(15s), 0);
}

}  // namespace
}  // namespace tern::testing
