// Two session nodes in one process, over local links, with scripted gateways: presence from one node to the other,
// and messages without storage.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "libs/app/host.hpp"
#include "libs/crypto/identity.hpp"
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

constexpr const char* identity_key = "the key of this test";

/// A terminal: its account, and the gateway stream to the node that owns it.
struct seat {
  scripted_gateway* at = nullptr;
  account_id account;
  uint64_t conn = 0;
  uint64_t seq = 0;
  std::string node() const { return to_node(account); }
};

class two_session_nodes : public ::testing::Test {
 protected:
  void start(bool stores) {
    const std::string dir = where_.path().string();
    options_.session.identity_key = identity_key;
    options_.session.storage = stores ? "shards" : "none";
    options_.session.offline_notice_delay = std::chrono::milliseconds{1};
    options_.routing.meta_dsn = stores ? ternd::default_meta_dsn(dir) : "memory:";
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
    std::vector<app::context*> nodes;
    for (auto* entry : {&entries[entries.size() - 2], &entries.back()}) {
      entry->make = [&nodes, make = entry->make](app::context& with) {
        nodes.push_back(&with);
        return make(with);
      };
    }
    const auto started = host_->start(entries);
    ASSERT_TRUE(started) << started.error().detail;
    for (const auto* one : nodes) {
      gateways_.push_back(std::make_unique<scripted_gateway>(one->network, one->address, 7));
    }
  }
  void TearDown() override {
    gateways_.clear();
    if (host_) host_->stop();
  }

  /// The first of the names that logs on at that node; nodes that do not own it say so, and one that has no map yet.
  seat log_on(size_t at, const std::string& name) {
    for (int attempt = 0; attempt < 3000; ++attempt) {
      const std::string full = name + std::to_string(attempt % 50);
      if (stores() && !created(at, full)) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));  // ranges are handed over one by one
        continue;
      }
      seat out{gateways_[at].get(), {}, ++last_conn_, 0};
      const std::string key = crypto::name_key(identity_key, "", full);
      GatewayItem item;
      auto& login = *item.mutable_login();
      login.set_conn(out.conn);
      login.set_slot_key(crypto::account_of(key).value);
      login.set_name_key(key);
      login.set_password(full);
      out.at->send(std::move(item));
      const auto answer = out.at->wait(
          [&](const SessionItem& one) { return one.has_login_result() && one.login_result().conn() == out.conn; });
      if (!answer) break;
      const auto& result = answer->login_result();
      out.account = account_id{result.account()};
      if (result.code() == 0 && !result.redirect()) return out;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));  // the maps are on their way
    }
    ADD_FAILURE() << "nobody logs on";
    return {};
  }
  bool stores() const { return options_.session.stores(); }
  bool created(size_t at, const std::string& name) {
    const std::string key = crypto::name_key(identity_key, "", name);
    const uint64_t call = ++last_conn_;
    GatewayItem item;
    item.mutable_account_call()->set_call(call);
    item.mutable_account_call()->set_slot_key(crypto::account_of(key).value);
    item.mutable_account_call()->set_name_key(key);
    item.mutable_account_call()->set_password(name);
    gateways_[at]->send(std::move(item));
    const auto answer = gateways_[at]->wait(
        [&](const SessionItem& one) { return one.has_account_result() && one.account_result().call() == call; });
    if (!answer) return false;
    const auto code = static_cast<errc>(answer->account_result().code());
    return code == errc::ok || code == errc::exists;
  }
  template <class Struct>
  void frame(seat& from, frame_type type, const Struct& payload) {
    GatewayItem item;
    auto& what = *item.mutable_frame();
    what.set_conn(from.conn);
    what.set_account(from.account.value);
    what.set_seq(++from.seq);
    what.set_type(static_cast<uint32_t>(type));
    what.set_payload(wire::encode(wire::encoding::thrift, payload));
    from.at->send(std::move(item));
  }
  void befriend(seat& one, seat& other) {
    for (auto& [from, to] : {std::pair<seat&, seat&>{one, other}, {other, one}}) {
      const std::string node = to.node();
      wire::tim_req req;
      req.rtype = 4;
      req.node = node;
      frame(from, frame_type::business, req);
      const auto notice = to.at->wait([&, conn = to.conn](const SessionItem& item) {
        return item.has_out() && item.out().conn() == conn && item.out().ref().kind() == DeliveryRef::NOTICE;
      });
      ASSERT_TRUE(notice) << "not told";
    }
  }
  std::optional<wire::tim_presence> heard(const seat& who) {
    auto out = who.at->wait_out(who.conn, static_cast<uint32_t>(frame_type::presence));
    if (!out) return std::nullopt;
    kept_.push_back(std::move(*out));
    auto decoded = wire::decode<wire::tim_presence>(wire::encoding::thrift, kept_.back().payload(), memory_);
    return decoded ? std::optional(*decoded) : std::nullopt;
  }

  temp_dir where_{"presence"};
  ternd::ternd_config options_;
  std::unique_ptr<app::host> host_;
  std::vector<std::unique_ptr<scripted_gateway>> gateways_;
  uint64_t last_conn_ = 0;
  std::deque<Out> kept_;
  wire::arena memory_;
};

TEST_F(two_session_nodes, presence_goes_to_friends_of_the_other_node_and_so_does_the_news_that_one_is_gone) {
  start(true);
  seat alice = log_on(0, "alice");
  seat bob = log_on(1, "bob");
  seat carol = log_on(1, "carol");
  ASSERT_TRUE(alice.at != nullptr && bob.at != nullptr && carol.at != nullptr);
  befriend(alice, bob);
  wire::tim_presence here;
  here.status = "here";
  frame(alice, frame_type::broadpresence, here);
  const auto got = heard(bob);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->status, "here");
  EXPECT_EQ(got->from_tid->node, alice.node());
  // What bob says comes after it: had carol been told anything, she would have it by then.
  const std::string carol_node = carol.node();
  wire::tim_presence to_carol;
  to_carol.to_tid.emplace().node = carol_node;
  frame(bob, frame_type::presence, to_carol);
  const auto refused = bob.at->wait_out(bob.conn, static_cast<uint32_t>(frame_type::ack));
  ASSERT_TRUE(refused);
  const auto ack = wire::decode<wire::tim_ack>(wire::encoding::thrift, refused->payload(), memory_);
  ASSERT_TRUE(ack && ack->error);
  EXPECT_EQ(ack->error->code, 4105);
  EXPECT_EQ(carol.at->count([&](const SessionItem& one) { return one.has_out() && one.out().conn() == carol.conn; }),
            0U);

  GatewayItem gone;
  gone.mutable_closed()->set_conn(alice.conn);
  gone.mutable_closed()->set_account(alice.account.value);
  alice.at->send(std::move(gone));
  const auto left = heard(bob);
  ASSERT_TRUE(left);
  EXPECT_EQ(left->offline, true);
  EXPECT_EQ(left->from_tid->node, alice.node());
}

TEST_F(two_session_nodes, without_storage_messages_reach_the_other_node_in_order) {
  start(false);
  EXPECT_EQ(host_->find("storage"), nullptr);
  seat alice = log_on(0, "alice");
  seat bob = log_on(1, "bob");
  ASSERT_TRUE(alice.at != nullptr && bob.at != nullptr);
  constexpr int many = 200;
  const std::string bob_node = bob.node();
  for (int i = 0; i < many; ++i) {
    const std::string text = std::to_string(i);
    wire::tim_message message;
    message.ms_type = 2;
    message.od_type = 1;
    message.to_tid.emplace().node = bob_node;
    message.data_string = text;
    frame(alice, frame_type::message, message);
  }
  for (const seat& who : {alice, bob}) {
    for (int i = 0; i < many; ++i) {
      const auto out = who.at->wait_out(who.conn, static_cast<uint32_t>(frame_type::message));
      ASSERT_TRUE(out) << "after " << i;
      const auto message = wire::decode<wire::tim_message>(wire::encoding::thrift, out->payload(), memory_);
      ASSERT_TRUE(message);
      EXPECT_EQ(message->data_string, std::to_string(i));
      EXPECT_EQ(message->from_tid->node, alice.node());
      EXPECT_FALSE(message->mid);
      EXPECT_TRUE(message->timestamp);
    }
  }
  frame(bob, frame_type::offlinemsg, wire::tim_req{});
  EXPECT_TRUE(bob.at->wait_out(bob.conn, static_cast<uint32_t>(frame_type::offlinemsgend)));
  wire::tim_req rooms;
  rooms.rtype = 2;
  frame(bob, frame_type::business, rooms);
  const auto refused = bob.at->wait_out(bob.conn, static_cast<uint32_t>(frame_type::ack));
  ASSERT_TRUE(refused);
  const auto ack = wire::decode<wire::tim_ack>(wire::encoding::thrift, refused->payload(), memory_);
  ASSERT_TRUE(ack && ack->error);
  EXPECT_EQ(ack->error->code, 4107);
}

}  // namespace
}  // namespace tern::testing
