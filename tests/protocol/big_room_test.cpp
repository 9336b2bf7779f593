// A room of ten thousand members, two thousand of them on line over two gateways and two session nodes: everybody
// gets every message once and in order, and who was off line catches up.
#include <gtest/gtest.h>

#include <atomic>
#include <iostream>
#include <thread>

#include "libs/base/ids.hpp"
#include "libs/client/terminal.hpp"
#include "libs/cluster/cluster.hpp"
#include "tests/protocol/server.hpp"

namespace tern::testing {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using wire::encoding;
using wire::frame_type;

constexpr size_t all_members = 10'000;
constexpr size_t on_line = 2'000;
constexpr size_t pullers = 100;
constexpr size_t senders = 10;
constexpr size_t each_sends = 4;
constexpr size_t messages = senders * each_sends;
constexpr size_t late_comers = 300;
constexpr auto limit = 240s;

/// One terminal of one member: logs in as soon as it is open, and keeps what it sees of the room.
class member final : public client::terminal_observer {
 public:
  member(client::loop& where, const client::endpoint& to, std::string name, encoding enc)
      : name_(std::move(name)), terminal_(where, to, enc, *this) {}

  client::terminal& terminal() { return terminal_; }

  void business(int32_t what, std::string_view node, std::string_view node2 = {}) {
    wire::tim_req req;
    req.rtype = what;
    req.node = node;
    if (!node2.empty()) req.node2 = node2;
    if (what == 8) req.req_int = 2;
    terminal_.send(frame_type::business, req);
  }
  void say(const std::string& room, const std::string& text) {
    wire::tim_message message;
    message.ms_type = 3;
    message.od_type = 1;
    message.room_tid.emplace().node = room;
    message.data_string = text;
    terminal_.send(frame_type::message, message);
  }

  /// Pulls these accounts in, one after the other.
  void pull(std::string_view room, std::vector<std::string> others) {
    room_ = room;
    others_ = std::move(others);
    pull_next();
  }

  bool finished() const { return pulled == others_.size(); }

  bool logged_in = false, joined = false, ended = false;
  size_t pulled = 0, seen = 0;
  int64_t last_mid = 0;
  std::string new_room, problem;

 private:
  void pull_next() {
    if (pulled < others_.size()) business(12, room_, others_[pulled]);
  }
  void on_open(client::terminal&) override {
    wire::tim_auth auth;
    auth.name = name_;
    auth.pwd = "secret";
    terminal_.login(auth);
  }
  void on_message(client::terminal&, const wire::tim_message& message, bool) override {
    if (message.od_type == 4) {
      joined = joined || message.bn_type == 10 || message.bn_type == 12;
      return;
    }
    if (message.ms_type != 3) return;
    ++seen;
    const int64_t mid = message.mid.value_or(0);
    if (mid != last_mid + 1 && problem.empty()) {
      problem = "mid " + std::to_string(mid) + " behind " + std::to_string(last_mid);
    }
    last_mid = mid;
  }
  void on_ack(client::terminal&, const wire::tim_ack& ack, bool logout) override {
    if (!ack.ok || logout) {
      problem = "refused: " + std::to_string(ack.error ? ack.error->code.value_or(0) : 0) + " for type " +
                std::to_string(ack.tim_type);
      return;
    }
    if (ack.tim_type == static_cast<int8_t>(frame_type::auth)) logged_in = true;
    if (ack.t == 12) {
      ++pulled;
      pull_next();
    }
    if (ack.t == 8) new_room = ack.n.value_or("");
  }
  void on_offline_end(client::terminal&) override { ended = true; }
  void on_closed(client::terminal&, std::string_view why) override { problem = "closed: " + std::string(why); }

  std::string name_, room_;
  std::vector<std::string> others_;
  client::terminal terminal_;
};

using members = std::vector<std::unique_ptr<member>>;

class big_room : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(server_.problem(), "");
    nodes_.resize(all_members);
    names_.resize(all_members);
    register_all();
  }

  void register_all() {
    std::atomic<size_t> next{0}, failed{0};
    const auto work = [&] {
      for (size_t i = next++; i < all_members; i = next++) {
        client::account who;
        who.password = "secret";
        // A request a busy machine answers too late has an unknown outcome: then under another name.
        for (int attempt = 0; attempt < 20 && nodes_[i].empty(); ++attempt) {
          who.name = "member-" + std::to_string(i) + "-" + std::to_string(attempt);
          const auto node = client::register_account(server_.nodes()->gateways()[i % 2], who, encoding::thrift);
          if (node) nodes_[i] = *node;
        }
        names_[i] = who.name;
        if (nodes_[i].empty()) ++failed;
      }
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 16; ++i) threads.emplace_back(work);
    for (auto& one : threads) one.join();
    ASSERT_EQ(failed, 0U);
  }

  /// Connects members [from, to), some at a time.
  members log_in(size_t from, size_t to) {
    members out;
    for (size_t i = from; i < to; ++i) {
      out.push_back(std::make_unique<member>(loop_, server_.nodes()->gateways()[i % 2], names_[i],
                                             i % 4 < 2 ? encoding::thrift : encoding::json));
      if (out.size() % 100 == 0 || i + 1 == to) {
        EXPECT_TRUE(wait(out, "logging in", [](const member& one) { return one.logged_in; }));
      }
    }
    return out;
  }

  /// Until it holds for everybody; tells for how many it does not, and the first problem.
  bool wait(const members& who, const std::string& what, const std::function<bool(const member&)>& holds) {
    size_t reached = 0;
    const auto all = [&] {
      while (reached < who.size() && (holds(*who[reached]) || !who[reached]->problem.empty())) ++reached;
      return reached == who.size();
    };
    const bool done = loop_.run_until(all, limit);
    size_t missing = 0;
    std::string problem;
    for (const auto& one : who) {
      if (!holds(*one) || !one->problem.empty()) ++missing;
      if (problem.empty()) problem = one->problem;
    }
    EXPECT_TRUE(done && missing == 0) << what << ": not for " << missing << " of " << who.size() << ". " << problem;
    return done && missing == 0;
  }

  void tell(const std::string& what) {
    const auto now = steady_clock::now();
    std::cout << "  " << std::chrono::duration<double>(now - since_).count() << " s: " << what << "\n";
    since_ = now;
  }

  steady_clock::time_point since_ = steady_clock::now();
  server server_{server_kind::cluster, default_settings()};
  client::loop loop_;
  std::vector<std::string> nodes_, names_;
};

TEST_F(big_room, brings_every_message_to_ten_thousand_members_once_and_in_order) {
  tell("cluster started, 10,000 accounts registered");
  auto present = log_in(0, on_line);
  tell("2,000 logged in");
  auto& founder = *present[0];
  founder.business(8, "Agora");
  ASSERT_TRUE(loop_.run_until([&] { return !founder.new_room.empty() || !founder.problem.empty(); }, limit));
  const std::string room = founder.new_room;
  ASSERT_TRUE(from_node(node_kind::room, room)) << founder.problem;
  founder.joined = true;
  for (auto& one : present) {
    if (one.get() != &founder) one->business(9, room);
  }
  ASSERT_TRUE(wait(present, "joining", [](const member& one) { return one.joined; }));
  tell("2,000 joined");
  // A few at a time: what waits for a reader of storage is bounded, and more would be refused.
  constexpr size_t each_pulls = (all_members - on_line) / pullers;
  for (size_t i = 0; i < pullers; ++i) {
    const auto from = nodes_.begin() + static_cast<ptrdiff_t>(on_line + i * each_pulls);
    present[i]->pull(room, {from, from + each_pulls});
  }
  ASSERT_TRUE(wait(present, "pulling in", [&](const member& one) { return one.finished(); }));
  tell("8,000 pulled in");

  for (size_t i = 0; i < each_sends; ++i) {
    for (size_t sender = 0; sender < senders; ++sender) {
      present[sender * on_line / senders]->say(room, std::to_string(i) + " of " + std::to_string(sender));
    }
  }
  ASSERT_TRUE(wait(present, "receiving", [](const member& one) { return one.seen == messages; }));
  tell(std::to_string(messages) + " messages received by each of them");

  const auto late = log_in(on_line, on_line + late_comers);
  for (auto& one : late) one->terminal().request_offline();
  wait(late, "catching up", [](const member& one) { return one.seen == messages; });
  wait(late, "the end of what was off line", [](const member& one) { return one.ended; });
  tell(std::to_string(late_comers) + " others logged in and caught up");
  for (const auto& one : present) ASSERT_EQ(one->seen, messages) << "nothing came twice";
  for (const auto& one : late) ASSERT_EQ(one->seen, messages) << "nothing came twice";
  EXPECT_EQ(server_.dead(), "");
}

}  // namespace
}  // namespace tern::testing
