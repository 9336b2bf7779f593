// A hundred logins of one account at once, over all gateways, where one terminal is allowed: exactly one is alive in
// the end, whichever came first at the one place that counts them.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "libs/client/terminal.hpp"
#include "libs/cluster/cluster.hpp"

namespace tern {
namespace {

using namespace std::chrono_literals;

constexpr size_t logins = 100;
constexpr auto patience = 60s;
constexpr int32_t over_entry = 4111;
constexpr int32_t not_oneself = 4105;

/// One login and what became of it.
class device final : public client::terminal_observer {
 public:
  device(client::loop& loop, const client::endpoint& to, const client::account& who) : who_(who) {
    terminal_ = std::make_unique<client::terminal>(loop, to, wire::encoding::thrift, *this);
  }

  /// Asks its session for something that is always refused: answered by a session that knows the terminal.
  void ask_session() {
    wire::tim_req request;
    request.rtype = 4;
    request.node = node_;
    terminal_->send(wire::frame_type::business, request);
  }

  bool answered = false;    // AUTH
  bool let_in = false;      // ok
  bool logged_out = false;  // LOGOUT
  bool closed = false;
  bool known = false;  // the session has answered ask_session()
  int32_t code = 0;    // of the refusal or LOGOUT
  bool alive() const { return let_in && !logged_out && !closed; }
  bool settled() const { return closed || (answered && (!let_in || !logged_out)); }

 private:
  void on_open(client::terminal& self) override {
    wire::tim_auth auth;
    auth.name = who_.name;
    auth.pwd = who_.password;
    self.login(auth);
  }
  void on_message(client::terminal&, const wire::tim_message&, bool) override {}
  void on_ack(client::terminal&, const wire::tim_ack& ack, bool logout) override {
    if (ack.error) code = ack.error->code.value_or(0);
    if (logout) {
      logged_out = true;
    } else if (ack.tim_type == static_cast<int8_t>(wire::frame_type::auth)) {
      answered = true;
      let_in = ack.ok;
      if (ack.ok && ack.n) node_ = *ack.n;
    } else if (code == not_oneself) {
      known = true;
    }
  }
  void on_closed(client::terminal&, std::string_view) override { closed = true; }

  const client::account& who_;
  std::string node_;
  std::unique_ptr<client::terminal> terminal_;
};

struct crowd {
  client::account account;
  client::loop loop;
  std::vector<std::unique_ptr<device>> devices;

  size_t count(const std::function<bool(const device&)>& which) const {
    return static_cast<size_t>(
        std::count_if(devices.begin(), devices.end(), [&](const auto& one) { return which(*one); }));
  }
  size_t alive() const {
    return count([](const device& one) { return one.alive(); });
  }
};

/// All logins at once; returns when each has its answer and only one terminal is left.
void rush(crowd& all, const std::vector<client::endpoint>& gateways, const std::string& name) {
  all.account = {.name = name, .password = "secret", .domain = {}, .node = {}};
  const auto node = client::register_account(gateways.front(), all.account, wire::encoding::thrift);
  ASSERT_TRUE(node) << node.error().detail;
  for (size_t i = 0; i < logins; ++i) {
    all.devices.push_back(std::make_unique<device>(all.loop, gateways[i % gateways.size()], all.account));
  }
  const bool settled = all.loop.run_until(
      [&] { return all.alive() == 1 && all.count([](const device& one) { return one.settled(); }) == logins; },
      patience);
  EXPECT_TRUE(settled) << all.alive() << " alive, " << all.count([](const device& one) { return one.answered; })
                       << " answered";
}

void expect_one_alive(crowd& all) {
  for (auto& one : all.devices) {
    if (one->alive()) one->ask_session();
  }
  EXPECT_TRUE(
      all.loop.run_until([&] { return all.count([](const device& one) { return one.known; }) == 1; }, patience))
      << "the session does not know the terminal that was let in";
  EXPECT_EQ(all.alive(), 1U);
}

/// Older terminals are not replaced: the first one in stays.
void expect_first_stays(const std::vector<client::endpoint>& gateways) {
  crowd all;
  rush(all, gateways, "patient");
  expect_one_alive(all);
  EXPECT_EQ(all.count([](const device& one) { return one.let_in; }), 1U);
  EXPECT_EQ(all.count([](const device& one) { return !one.let_in && one.code == over_entry; }), logins - 1);
}

/// Older terminals are replaced at once: the last one in stays, all others are told why they had to go.
void expect_last_stays(const std::vector<client::endpoint>& gateways) {
  crowd all;
  rush(all, gateways, "impatient");
  expect_one_alive(all);
  EXPECT_EQ(all.count([](const device& one) { return one.let_in; }), logins);
  EXPECT_EQ(all.count([](const device& one) { return one.logged_out && one.code == over_entry && one.closed; }),
            logins - 1);
}

void on_ternd(const std::string& interval_ms, void (*expect)(const std::vector<client::endpoint>&)) {
  testing::ternd_options options;
  options.settings = {"storage.login.hash_memory_kib=64", "storage.login.hash_passes=1", "session.device_limit=1",
                      "session.auth_min_interval_ms=" + interval_ms};
  auto started = testing::ternd_process::start(options);
  ASSERT_TRUE(started) << started.error().detail;
  expect({(*started)->gateway()});
  EXPECT_EQ((*started)->child().stop(15s), 0);
}

void on_cluster(const std::string& interval_ms, void (*expect)(const std::vector<client::endpoint>&)) {
  testing::cluster_options options;
  options.storages = options.databases = 1;
  options.redis = false;
  options.settings["storage"] = {{"storage.login.hash_memory_kib", "64"}, {"storage.login.hash_passes", "1"}};
  options.settings["session"] = {{"session.device_limit", "1"}, {"session.auth_min_interval_ms", interval_ms}};
  auto started = testing::cluster::start(options);
  ASSERT_TRUE(started) << started.error().detail;
  expect((*started)->gateways());
  EXPECT_TRUE((*started)->stop().empty());
}

TEST(device_limit, lets_one_of_a_hundred_logins_in_at_ternd) { on_ternd("600000", expect_first_stays); }
TEST(device_limit, leaves_the_last_of_a_hundred_logins_at_ternd) { on_ternd("0", expect_last_stays); }
TEST(device_limit, lets_one_of_a_hundred_logins_in_at_a_cluster) { on_cluster("600000", expect_first_stays); }
TEST(device_limit, leaves_the_last_of_a_hundred_logins_at_a_cluster) { on_cluster("0", expect_last_stays); }

}  // namespace
}  // namespace tern
