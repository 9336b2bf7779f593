// Two real session nodes, real routing and storage, over local links: ranges move between the nodes by an operator's
// order while messages flow. The gateway is scripted: it follows its terminals from node to node as gateways do.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <map>
#include <set>
#include <thread>

#include "libs/app/host.hpp"
#include "libs/crypto/identity.hpp"
#include "libs/metrics/metrics.hpp"
#include "libs/testing/temp_dir.hpp"
#include "libs/wire/codec.hpp"
#include "libs/wire/frame.hpp"
#include "services/ternd/app.hpp"
#include "tests/integration/scripted_gateway.hpp"

namespace tern::testing {
namespace {

using session::v1::DeliveryRef;
using session::v1::GatewayItem;
using session::v1::Out;
using session::v1::SessionItem;
using wire::frame_type;
using namespace std::chrono_literals;

constexpr const char* identity_key = "the key of this test";
constexpr auto patience = 10s;

/// Where two lists of mids begin to differ.
std::string difference(const std::vector<int64_t>& got, const std::vector<int64_t>& wanted) {
  const auto [at, other] = std::mismatch(got.begin(), got.end(), wanted.begin(), wanted.end());
  if (at == got.end() && other == wanted.end()) return "";
  const auto where = static_cast<size_t>(at - got.begin());
  std::string out = std::to_string(got.size()) + " of " + std::to_string(wanted.size()) + ", from " +
                    std::to_string(where) + " on:";
  for (size_t i = where; i < std::min(got.size(), where + 8); ++i) out += " " + std::to_string(got[i]);
  return out;
}

/// A connection and what its gateway keeps of it.
struct terminal {
  account_id account;
  uint64_t conn = 0;
  size_t at = 0;  // node
  bool bound = false;
  uint64_t seq = 0;
  std::map<uint64_t, GatewayItem> unconfirmed;
  std::vector<DeliveryRef> window;  // written, not acknowledged
  std::map<conversation_id, DeliveryRef> written;
  std::vector<int64_t> received;
  std::vector<int64_t> receipts;
  size_t binds = 0;
};

class session_move_test : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string dir = where_.path().string();
    options_.session.identity_key = identity_key;
    options_.session.open_messaging = true;
    options_.routing.meta_dsn = ternd::default_meta_dsn(dir);
    options_.routing.shards = {ternd::shard_name};
    options_.routing.settle = std::chrono::milliseconds{0};
    options_.storage.shards = {ternd::default_shard(dir)};
    options_.storage.hash_memory_kib = 64;
    options_.storage.encryption_key = std::string(64, 'e');
    options_.storage.hash_passes = 1;
    auto made = app::host::make({});
    ASSERT_TRUE(made);
    host_ = std::move(*made);
    auto entries = ternd::service_entries(options_);
    std::erase_if(entries, [](const auto& one) { return one.name == "gateway" || one.name == "erasure"; });
    entries.push_back(entries.back());
    entries.back().name = "second";  // another session node: the last entry is the session's
    for (auto* entry : {&entries[entries.size() - 2], &entries.back()}) {
      entry->make = [this, make = entry->make](app::context& with) {
        nodes_.push_back(&with);
        auto made_service = make(with);
        services_.push_back(made_service.get());
        return made_service;
      };
    }
    const auto started = host_->start(entries);
    ASSERT_TRUE(started) << started.error().detail;
    for (const auto* one : nodes_) {
      gateways_.push_back(std::make_unique<scripted_gateway>(one->network, one->address, 7));
    }
    for (size_t i = 0; i < terminals_.size(); ++i) log_on(terminals_[i], "name" + std::to_string(i));
  }
  void TearDown() override {
    gateways_.clear();
    if (host_) host_->stop();
  }

  void create(const std::string& name) {
    const std::string key = crypto::name_key(identity_key, "", name);
    for (uint64_t attempt = 0; attempt < 2000; ++attempt) {
      GatewayItem item;
      auto& call = *item.mutable_account_call();
      call.set_call(++last_call_);
      call.set_slot_key(crypto::account_of(key).value);
      call.set_name_key(key);
      call.set_password(name);
      scripted_gateway& at = *gateways_[attempt % 2];
      at.send(std::move(item));
      const auto answer = at.wait([&](const SessionItem& one) {
        return one.has_account_result() && one.account_result().call() == last_call_;
      });
      if (answer && answer->account_result().code() == 0) return;
      std::this_thread::sleep_for(5ms);  // the maps are on their way
    }
    ADD_FAILURE() << "no account";
  }
  void log_on(terminal& who, const std::string& name) {
    create(name);
    const std::string key = crypto::name_key(identity_key, "", name);
    who.conn = ++last_conn_;
    for (size_t attempt = 0; attempt < 2000; ++attempt) {
      GatewayItem item;
      auto& login = *item.mutable_login();
      login.set_conn(who.conn);
      login.set_slot_key(crypto::account_of(key).value);
      login.set_name_key(key);
      login.set_password(name);
      who.at = attempt % 2;
      gateways_[who.at]->send(std::move(item));
      const auto answer = gateways_[who.at]->wait(
          [&](const SessionItem& one) { return one.has_login_result() && one.login_result().conn() == who.conn; });
      ASSERT_TRUE(answer);
      who.account = account_id{answer->login_result().account()};
      who.bound = answer->login_result().code() == 0 && !answer->login_result().redirect();
      if (who.bound) return;
      std::this_thread::sleep_for(5ms);
    }
    ADD_FAILURE() << name << " cannot log on";
  }

  /// An operator's order; waits until it has been done.
  void migrate(account_id account, size_t to) {
    const slot_type first = slot_of(account) & ~63U;
    struct desk final : rpc::client_handler<rpc::control_stream> {
      void on_up(std::shared_ptr<rpc::sink<routing::v1::ControlRequest>> to_routing) override {
        const std::lock_guard held(mutex);
        out = std::move(to_routing);
      }
      void on_items(std::vector<routing::v1::ControlReply>& items) override {
        const std::lock_guard held(mutex);
        for (auto& one : items) replies.push_back(std::move(one));
      }
      void on_down() override {}
      std::mutex mutex;
      std::shared_ptr<rpc::sink<routing::v1::ControlRequest>> out;
      std::vector<routing::v1::ControlReply> replies;
    };
    const auto handler = std::make_shared<desk>();
    app::context& routing = host_->context_of("routing");
    const auto link = routing.network.connect<rpc::control_stream>({"ctl", "test", 1}, routing.address, handler);
    for (bool sent = false; !sent; std::this_thread::sleep_for(1ms)) {
      routing::v1::ControlRequest request;
      request.set_call(1);
      auto& what = *request.mutable_migrate();
      what.set_kind(routing::v1::MoveOrder::SESSIONS);
      what.set_first(first);
      what.set_last(first + 63);
      what.set_target(nodes_[to]->node);
      const std::lock_guard held(handler->mutex);
      sent = handler->out && handler->out->send(std::move(request));
    }
    for (;; std::this_thread::sleep_for(1ms)) {
      const std::lock_guard held(handler->mutex);
      if (handler->replies.empty()) continue;
      EXPECT_EQ(handler->replies[0].code(), 0) << handler->replies[0].text();
      break;
    }
  }

  void bind(terminal& who) {
    GatewayItem item;
    auto& what = *item.mutable_bind();
    what.set_conn(who.conn);
    what.set_account(who.account.value);
    what.set_next_seq(who.unconfirmed.empty() ? who.seq + 1 : who.unconfirmed.begin()->first);
    what.set_login_ns(1);
    for (const auto& one : who.window) *what.add_unacked() = one;
    for (const auto& [id, one] : who.written) *what.add_written() = one;
    gateways_[who.at]->send(std::move(item));
    for (auto& [seq, frame] : who.unconfirmed) {
      frame.mutable_frame()->set_again(true);
      gateways_[who.at]->send(frame);
    }
    ++who.binds;
  }
  void say(terminal& from, const terminal& to) {
    const std::string node = to_node(to.account);
    wire::tim_message message;
    message.ms_type = 2;
    message.od_type = 1;
    message.to_tid.emplace().node = node;
    const std::string text = std::to_string(++said_);
    message.data_string = text;
    GatewayItem item;
    auto& what = *item.mutable_frame();
    what.set_conn(from.conn);
    what.set_account(from.account.value);
    what.set_seq(++from.seq);
    what.set_type(static_cast<uint32_t>(frame_type::message));
    what.set_payload(wire::encode(wire::encoding::thrift, message));
    from.unconfirmed[from.seq] = item;
    gateways_[from.at]->send(std::move(item));
  }

  /// Takes what has come for the terminal from the node it is at; acknowledges some of it.
  void work(terminal& who) {
    const auto mine = [&](const SessionItem& one) {
      return (one.has_out() && one.out().conn() == who.conn) ||
             (one.has_confirm() && one.confirm().conn() == who.conn) ||
             (one.has_bind_result() && one.bind_result().conn() == who.conn) ||
             (one.has_close() && one.close().conn() == who.conn);
    };
    scripted_gateway& at = *gateways_[who.at];
    while (at.count(mine) != 0) {
      const auto item = at.wait(mine);
      if (!item) return;
      if (item->has_close()) ADD_FAILURE() << "closed";
      if (item->has_confirm()) confirm(who, item->confirm().seq());
      if (item->has_bind_result() && item->bind_result().code() != 0) {
        // Frames of the former owner that are still on their way are of an older epoch: dropped.
        scripted_gateway& next = *gateways_[1 - who.at];
        while (at.count(mine) != 0) at.wait(mine);
        while (next.count(mine) != 0) next.wait(mine);
        who.at = 1 - who.at;
        return bind(who);
      }
      if (item->has_out()) take(who, item->out());
    }
  }
  static void confirm(terminal& who, uint64_t seq) {
    std::erase_if(who.unconfirmed, [seq](const auto& one) { return one.first <= seq; });
  }
  void take(terminal& who, const Out& out) {
    if (out.confirm() != 0) confirm(who, out.confirm());
    if (!out.has_ref()) return;
    const conversation_id conversation{out.ref().conversation().hi(), out.ref().conversation().lo()};
    if (out.ref().kind() == DeliveryRef::RECEIPT) {
      who.receipts.push_back(static_cast<int64_t>(out.ref().mid()));
      return;
    }
    for (const int64_t mid : mids_of(out)) who.received.push_back(mid);
    DeliveryRef& newest = who.written[conversation];
    if (newest.mid() < out.ref().mid()) newest = out.ref();
    who.window.push_back(out.ref());
    if (who.window.size() >= 4) ack_oldest(who);
  }
  /// Of a MESSAGE, or of an OFFLINEMSG list: what came before its terminal waited in the log.
  std::vector<int64_t> mids_of(const Out& out) {
    std::vector<int64_t> mids;
    if (out.type() == static_cast<uint32_t>(frame_type::message)) {
      const auto one = wire::decode<wire::tim_message>(wire::encoding::thrift, out.payload(), memory_);
      if (one) mids.push_back(one->mid.value_or(0));
      return mids;
    }
    const auto list = wire::decode<wire::tim_message_list>(wire::encoding::thrift, out.payload(), memory_);
    if (!list || !list->message_list) return mids;
    for (const auto& row : *list->message_list) mids.push_back(row.mid.value_or(0));
    return mids;
  }
  void ack_oldest(terminal& who) {
    GatewayItem item;
    item.mutable_acked()->set_conn(who.conn);
    item.mutable_acked()->set_account(who.account.value);
    *item.mutable_acked()->add_refs() = who.window.front();
    who.window.erase(who.window.begin());
    gateways_[who.at]->send(std::move(item));
  }
  /// Lines of tern_session_moved_total that are not 0.
  std::string moved() {
    const std::string text = nodes_[0]->metrics.render();
    std::string out;
    for (size_t at = text.find("tern_session_moved_total{"); at != std::string::npos;
         at = text.find("tern_session_moved_total{", at + 1)) {
      const std::string line = text.substr(at, text.find('\n', at) - at);
      if (!line.ends_with(" 0")) out += line.substr(24) + ' ';
    }
    return out;
  }
  void work_all() {
    for (terminal& one : terminals_) work(one);
  }
  template <class Condition>
  bool until(Condition met) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!met()) {
      if (std::chrono::steady_clock::now() > end) return false;
      work_all();
      for (terminal& one : terminals_) {
        if (!one.window.empty()) ack_oldest(one);
      }
      std::this_thread::sleep_for(1ms);
    }
    return true;
  }

  temp_dir where_{"session-move"};
  ternd::ternd_config options_;
  std::unique_ptr<app::host> host_;
  std::vector<app::context*> nodes_;
  std::vector<app::service*> services_;
  std::vector<std::unique_ptr<scripted_gateway>> gateways_;
  std::vector<terminal> terminals_{2};
  wire::arena memory_;
  uint64_t last_conn_ = 0;
  uint64_t last_call_ = 0;
  size_t said_ = 0;
};

TEST_F(session_move_test, ranges_move_under_traffic_and_every_message_arrives_once_and_in_order) {
  terminal& alice = terminals_[0];
  terminal& bob = terminals_[1];
  constexpr size_t rounds = 6;
  constexpr size_t per_round = 40;
  for (size_t round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < per_round; ++i) {
      say(alice, bob);
      if (i == per_round / 2) migrate(round % 2 == 0 ? bob.account : alice.account, (round / 2) % 2);
      work_all();
      std::this_thread::sleep_for(1ms);
    }
    ASSERT_TRUE(until([&] {
      return bob.received.size() >= (round + 1) * per_round && alice.receipts.size() >= (round + 1) * per_round &&
             alice.unconfirmed.empty();
    })) << bob.received.size()
        << " received, " << alice.receipts.size() << " receipts";
  }
  std::vector<int64_t> all(rounds * per_round);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i + 1);
  EXPECT_EQ(difference(bob.received, all), "");
  EXPECT_EQ(difference(alice.receipts, all), "");
  EXPECT_GT(alice.binds + bob.binds, 1U);
  EXPECT_NE(moved().find("warm"), std::string::npos) << moved();
  RecordProperty("moved", moved());
}

TEST_F(session_move_test, a_node_that_drains_hands_over_everybody_while_messages_flow) {
  const size_t first = terminals_.size();
  terminals_.resize(24);
  for (size_t i = first; i < terminals_.size(); ++i) log_on(terminals_[i], "name" + std::to_string(i));
  std::atomic<bool> drained{false};
  std::thread draining([&] {
    std::this_thread::sleep_for(20ms);
    services_[0]->drain(8s);
    drained = true;
  });
  size_t rounds = 0;
  const auto began = std::chrono::steady_clock::now();
  for (; !drained || rounds < 50; ++rounds) {
    for (size_t i = 0; i < terminals_.size(); ++i) say(terminals_[i], terminals_[(i + 1) % terminals_.size()]);
    work_all();
    std::this_thread::sleep_for(2ms);
  }
  const auto took = std::chrono::steady_clock::now() - began;
  draining.join();
  EXPECT_LT(took, 5s);
  const auto complete = [&](const terminal& one) {
    return one.received.size() >= rounds && one.receipts.size() >= rounds;
  };
  EXPECT_TRUE(until([&] { return std::all_of(terminals_.begin(), terminals_.end(), complete); }));
  std::vector<int64_t> all(rounds);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i + 1);
  for (const terminal& one : terminals_) {
    EXPECT_EQ(one.at, 1U);
    EXPECT_EQ(difference(one.received, all), "");
    EXPECT_EQ(difference(one.receipts, all), "");
  }
  EXPECT_NE(moved().find("warm"), std::string::npos) << moved();
  RecordProperty("moved", moved());
}

}  // namespace
}  // namespace tern::testing
