// Virtual rooms under faults, in a cluster without data: two people push into one room while the group node that
// owns it, a gateway, again a group node and at last both of them go away, by SIGKILL and by SIGTERM. Subscriptions
// and grants stay, frames come again, each sender's order is kept at every viewer, and every command has an answer.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/ids.hpp"
#include "libs/client/terminal.hpp"
#include "libs/cluster/cluster.hpp"

namespace tern {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using wire::frame_type;

constexpr auto patience = 60s;
constexpr int32_t no_right = 4105, no_object = 4109, overload = 5104;

/// VROOM's rtype.
enum vroom_command : int32_t { make = 1, end = 2, grant = 3, take = 4, watch = 5 };

/// One terminal; keeps what it was told and checks the order of each sender's frames. Bodies are "<sender> <number>".
class participant final : public client::terminal_observer {
 public:
  participant(client::loop& loop, const client::endpoint& to, const std::string& name, wire::encoding encoding)
      : name_(name), terminal_(std::make_unique<client::terminal>(loop, to, encoding, *this)) {}

  void ask(vroom_command what, std::string_view about = {}, std::string_view node2 = {}, bool binary = false) {
    wire::tim_req req;
    req.rtype = what;
    if (!about.empty()) req.node = about;
    if (!node2.empty()) req.node2 = node2;
    if (binary) req.req_int = 1;
    ++asked;
    terminal_->send(frame_type::vroom, req);
  }
  void push(std::string_view where, std::string_view body) {
    wire::tim_stream stream;
    stream.vnode = where;
    stream.body = body;
    terminal_->send(frame_type::stream, stream);
  }
  bool is_usable() const { return !node.empty() && !closed; }
  /// Frames of this sender so far.
  uint64_t count(const std::string& sender) const {
    const auto found = seen_.find(sender);
    return found == seen_.end() ? 0 : found->second.count;
  }

  std::string node, room;  // own node; room of the last VROOM 1
  bool ends_room = false;  // it is the one that sends VROOM 2
  bool closed = false;
  uint64_t asked = 0, answered = 0;
  uint64_t refused_late = 0;        // VROOM answered 5104
  std::vector<int32_t> codes;       // of all other refusals of VROOM
  std::vector<int32_t> push_codes;  // refusals of STREAM
  uint64_t ends = 0;                // "the room is over"
  std::vector<std::string> faults;  // what must not have come

 private:
  struct position {
    int64_t last = -1;
    uint64_t count = 0;
  };

  void on_open(client::terminal& self) override {
    wire::tim_auth auth;
    auth.name = name_;
    auth.pwd = "any";
    self.login(auth);
  }
  void on_message(client::terminal&, const wire::tim_message&, bool) override {}
  void on_ack(client::terminal&, const wire::tim_ack& ack, bool) override {
    const int32_t code = ack.error ? ack.error->code.value_or(0) : 0;
    switch (static_cast<frame_type>(ack.tim_type)) {
      case frame_type::auth:
        if (ack.ok && ack.n) node = *ack.n;
        return;
      case frame_type::stream: push_codes.push_back(code); return;
      case frame_type::vroom: break;
      default: return;
    }
    if (ack.ok && ack.t == end) {
      ++ends;
      if (!ends_room) return;  // told, not asked
    }
    ++answered;
    if (ack.ok && ack.t == make) room = ack.n.value_or("");
    if (ack.ok) return;
    if (code == overload) {
      ++refused_late;
    } else {
      codes.push_back(code);
    }
  }
  void on_stream(client::terminal&, const wire::tim_stream& stream) override { take(stream.body.value_or("")); }
  void on_big_data(client::terminal&, frame_type, std::string_view, std::string_view data) override { take(data); }
  void on_closed(client::terminal&, std::string_view) override { closed = true; }

  void take(std::string_view body) {
    const size_t space = body.find(' ');
    int64_t number = -1;
    if (space != std::string_view::npos) std::from_chars(body.data() + space + 1, body.data() + body.size(), number);
    auto& at = seen_[std::string(body.substr(0, space))];
    if (number <= at.last) {
      faults.push_back(std::string(body) + " came after " + std::to_string(at.last));
    }
    at.last = number;
    ++at.count;
  }

  const std::string name_;
  std::map<std::string, position> seen_;
  std::unique_ptr<client::terminal> terminal_;
};

using participant_ptr = std::unique_ptr<participant>;

class live_kill_test : public ::testing::Test {
 protected:
  void SetUp() override {
    testing::cluster_options options;
    options.gateways = 3;
    options.groups = 2;
    options.databases = 0;
    options.settings["gateway"] = {{"gateway.request_rate_per_second", "0"}};
    auto started = testing::cluster::start(options);
    ASSERT_TRUE(started) << started.error().detail;
    cluster_ = std::move(*started);
    gates_ = cluster_->gateways();
    owner_ = enter(0, "owner");
    guest_ = enter(1, "guest");
    stranger_ = enter(1, "stranger");
    newcomer_ = enter(2, "newcomer");
    for (size_t i = 0; i < 6; ++i) viewers_.push_back(enter(i % 2, "viewer-" + std::to_string(i)));
    if (HasFatalFailure()) return;
    owner_->ask(make);
    ASSERT_TRUE(until([&] { return !owner_->room.empty(); })) << "no room";
    room_ = owner_->room;
    owner_->ask(grant, room_, guest_->node);
    for (size_t i = 0; i < viewers_.size(); ++i) viewers_[i]->ask(watch, room_, {}, i % 3 == 0);
    ASSERT_TRUE(until([&] { return all_answered(); }));
    pump();
    ASSERT_TRUE(flows(viewers_)) << "no frames before the first fault";
  }

  void TearDown() override {
    pumping_ = false;
    if (!HasFailure() || !cluster_) return;
    for (auto& node : cluster_->nodes()) std::cout << "--- " << node.name << "\n" << cluster_->log_tail(node.name, 8);
  }

  bool until(const std::function<bool()>& done, std::chrono::milliseconds limit = patience) {
    return loop_.run_until(done, limit);
  }

  participant_ptr enter(size_t gateway, const std::string& name) {
    const auto encoding = ++entered_ % 2 == 0 ? wire::encoding::json : wire::encoding::thrift;
    auto one = std::make_unique<participant>(loop_, gates_[gateway], name, encoding);
    EXPECT_TRUE(until([&] { return one->is_usable() || one->closed; })) << name;
    EXPECT_TRUE(one->is_usable()) << name << " cannot log in";
    return one;
  }

  /// Both senders push every few milliseconds, whatever happens; every tenth time somebody asks something.
  void pump() {
    if (!pumping_) return;
    ++pushed_;
    const std::string number = " " + std::to_string(pushed_);
    if (owner_ && owner_->is_usable()) owner_->push(room_, "owner" + number);
    if (guest_ && guest_->is_usable()) guest_->push(room_, "guest" + number);
    if (pushed_ % 10 == 0) {
      if (owner_ && owner_->is_usable()) owner_->ask(pushed_ % 20 == 0 ? grant : take, room_, stranger_node_);
      if (stranger_ && stranger_->is_usable()) stranger_->ask(take, room_, stranger_node_);
    }
    loop_.after(5ms, [this] { pump(); });
  }

  std::vector<participant*> everybody() {
    std::vector<participant*> out;
    for (auto* one : {&owner_, &guest_, &stranger_, &newcomer_}) {
      if (*one) out.push_back(one->get());
    }
    for (auto& one : viewers_) out.push_back(one.get());
    return out;
  }
  bool all_answered() {
    const auto all = everybody();
    return std::all_of(all.begin(), all.end(),
                       [](const participant* one) { return one->closed || one->answered == one->asked; });
  }

  /// Every one of these viewers gets a hundred more frames of each sender.
  bool flows(const std::vector<participant_ptr>& who, const std::vector<std::string>& senders = {"owner", "guest"}) {
    std::vector<std::pair<participant*, std::vector<uint64_t>>> goals;
    for (const auto& one : who) {
      if (one->closed) continue;
      auto& goal = goals.emplace_back(one.get(), std::vector<uint64_t>{}).second;
      for (const auto& sender : senders) goal.push_back(one->count(sender) + 100);
    }
    EXPECT_FALSE(goals.empty());
    return until([&] {
      return std::all_of(goals.begin(), goals.end(), [&](const auto& each) {
        for (size_t i = 0; i < senders.size() && !each.first->closed; ++i) {
          if (each.first->count(senders[i]) < each.second[i]) return false;
        }
        return true;
      });
    });
  }

  /// The group node that has the room: the only room there is.
  std::string owner_node() {
    for (const std::string name : {"group-0", "group-1"}) {
      auto& node = cluster_->node(name);
      if (!node.child.running()) continue;
      const std::string page = client::http_get({"127.0.0.1", node.metrics_port}, "/metrics").body;
      const std::string gauge = "\ntern_group_vrooms ";
      const size_t at = page.find(gauge);
      if (at != std::string::npos && std::strtod(page.c_str() + at + gauge.size(), nullptr) > 0) return name;
    }
    return {};
  }

  void fault(const std::string& name, const std::function<void()>& strike,
             const std::vector<std::string>& senders = {"owner", "guest"}) {
    const auto began = steady_clock::now();
    strike();
    EXPECT_TRUE(flows(viewers_, senders)) << name << ": frames do not come again";
    const auto took = std::chrono::duration<double>(steady_clock::now() - began).count();
    std::cout << "  " << name << ": frames again after " << took << " s\n";
    check_promises(name);
  }

  /// What holds at every moment.
  void check_promises(const std::string& when) {
    for (auto* one : everybody()) {
      for (const auto& fault : one->faults) ADD_FAILURE() << when << ": " << fault;
      EXPECT_EQ(one->ends, 0U) << when << ": the room has ended for somebody";
      for (const int32_t code : one->push_codes) {
        EXPECT_EQ(code, overload) << when << ": a push of who may push was refused";
      }
      for (const int32_t code : one->codes) {
        EXPECT_TRUE(one == stranger_.get() && code == no_right) << when << ": a command was refused with " << code;
      }
    }
  }

  std::unique_ptr<testing::cluster> cluster_;
  std::vector<client::endpoint> gates_;
  client::loop loop_;
  participant_ptr owner_, guest_, stranger_;
  participant_ptr newcomer_;  // at a gateway that has nothing to do with the room at first
  std::vector<participant_ptr> viewers_;
  std::string room_;
  const std::string stranger_node_ = to_node(account_id{12345});
  bool pumping_ = true;
  uint64_t pushed_ = 0;
  size_t entered_ = 0;
};

TEST_F(live_kill_test, rooms_survive_their_owners_and_gateways_keep_order_and_rights) {
  const std::string first = owner_node();
  ASSERT_FALSE(first.empty()) << "no group node says that it has the room";
  fault(first + " (the owner) killed", [&] {
    cluster_->kill(first);
    newcomer_->ask(watch, room_);
  });
  ASSERT_NE(owner_node(), first);
  // A gateway that knows nothing of the room asks a new owner that knows nothing of it: somebody else tells, in time.
  ASSERT_TRUE(until([&] { return newcomer_->answered == newcomer_->asked; })) << "a subscription without an answer";
  if (newcomer_->refused_late > 0) newcomer_->ask(watch, room_);
  ASSERT_TRUE(until([&] { return newcomer_->count("owner") > 0 && newcomer_->count("guest") > 0; }));
  check_promises("a subscription in the gap");
  viewers_.push_back(std::move(newcomer_));
  ASSERT_TRUE(cluster_->restart(first));
  ASSERT_TRUE(cluster_->wait_ready(first, 30s));
  fault(first + " is back", [] {});

  // The guest and half of the viewers lose their gateway; the others must not notice.
  fault("gateway-1 killed",
        [&] {
          cluster_->kill("gateway-1");
          EXPECT_TRUE(until([&] { return guest_->closed; }));
        },
        {"owner"});
  EXPECT_EQ(std::count_if(viewers_.begin(), viewers_.end(), [](const auto& one) { return one->closed; }), 3);
  ASSERT_TRUE(cluster_->restart("gateway-1"));
  ASSERT_TRUE(cluster_->wait_ready("gateway-1", 30s));
  guest_ = enter(1, "guest");  // the right is the account's
  stranger_ = enter(1, "stranger");
  for (size_t i = 0; i < viewers_.size(); ++i) {
    if (!viewers_[i]->closed) continue;
    viewers_[i] = enter(1, "viewer-" + std::to_string(i));
    viewers_[i]->ask(watch, room_, {}, i % 2 == 0);
  }
  fault("gateway-1 is back", [] {});

  const std::string second = owner_node();
  ASSERT_FALSE(second.empty());
  fault(second + " (the owner) drained", [&] {
    auto& node = cluster_->node(second);
    node.child.signal(SIGTERM);
    EXPECT_TRUE(until([&] { return !node.child.running(); })) << second << " does not end";
    EXPECT_EQ(node.child.exit_code(), 0);
  });
  EXPECT_NE(owner_node(), second);
  ASSERT_TRUE(cluster_->restart(second));
  ASSERT_TRUE(cluster_->wait_ready(second, 30s));

  fault("both group nodes killed, back at once", [&] {
    for (const std::string name : {"group-0", "group-1"}) cluster_->kill(name);
    for (const std::string name : {"group-0", "group-1"}) {
      EXPECT_TRUE(cluster_->restart(name));
      EXPECT_TRUE(cluster_->wait_ready(name, 30s));
    }
  });

  pumping_ = false;
  ASSERT_TRUE(until([&] { return all_answered(); })) << "commands without an answer";
  uint64_t asked = 0, late = 0;
  for (auto* one : everybody()) {
    asked += one->asked;
    late += one->refused_late;
  }
  std::cout << "  " << pushed_ << " pushes of each sender, " << asked << " commands, " << late
            << " of them refused for want of an owner\n";
  stranger_->push(room_, "stranger 1");
  ASSERT_TRUE(until([&] { return !stranger_->push_codes.empty(); }));
  EXPECT_EQ(stranger_->push_codes.front(), no_right) << "rights are as before";
  owner_->ends_room = true;
  owner_->ask(end, room_);
  ASSERT_TRUE(until([&] {
    return std::all_of(viewers_.begin(), viewers_.end(), [](const auto& one) { return one->ends == 1; }) &&
           owner_->answered == owner_->asked;
  })) << "the owner cannot end the room, or not everybody is told";
  EXPECT_EQ(owner_->ends, 1U);
  guest_->push(room_, "guest 999999999");
  ASSERT_TRUE(until([&] { return !guest_->push_codes.empty(); }));
  EXPECT_EQ(guest_->push_codes.back(), no_object);
  viewers_.clear();
  for (auto* one : {&owner_, &guest_, &stranger_}) one->reset();
  for (const auto& name : cluster_->stop()) ADD_FAILURE() << name << " did not stop cleanly";
}

}  // namespace
}  // namespace tern
