// The session and storage services as they are, with routing and group, over local links; the gateway is scripted.
#include <gtest/gtest.h>

#include <chrono>
#include <set>
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

class session_storage_test : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string dir = where_.path().string();
    options_.session.identity_key = identity_key;
    options_.session.device_limit = 1;
    options_.routing.meta_dsn = ternd::default_meta_dsn(dir);
    options_.routing.shards = {ternd::shard_name};
    options_.routing.settle = std::chrono::milliseconds{0};
    options_.storage.shards = {ternd::default_shard(dir)};
    options_.storage.hash_memory_kib = 64;
    options_.storage.hash_passes = 1;
    auto made = app::host::make({});
    ASSERT_TRUE(made);
    host_ = std::move(*made);
    auto entries = ternd::service_entries(options_);
    std::erase_if(entries, [](const app::service_entry& one) { return one.name == "gateway"; });
    const auto started = host_->start(entries);
    ASSERT_TRUE(started) << started.error().detail;
    gateway_ = std::make_unique<scripted_gateway>(host_->context_of("session").network,
                                                  host_->context_of("session").address, 7);
    alice_ = create("alice");
    bob_ = create("bob");
  }
  void TearDown() override {
    gateway_.reset();
    if (host_) host_->stop();
  }

  /// Registers the name; until the maps are there that is refused and asked again.
  account_id create(const std::string& name) {
    const std::string key = crypto::name_key(identity_key, "", name);
    for (uint64_t call = 1; call < 500; ++call) {
      GatewayItem item;
      item.mutable_account_call()->set_call(call);
      item.mutable_account_call()->set_slot_key(crypto::account_of(key).value);
      item.mutable_account_call()->set_name_key(key);
      item.mutable_account_call()->set_password(name);
      gateway_->send(std::move(item));
      const auto answer = gateway_->wait(
          [&](const SessionItem& one) { return one.has_account_result() && one.account_result().call() == call; });
      if (!answer) break;
      if (answer->account_result().code() == 0) return *account_from_node(answer->account_result().text());
      std::this_thread::sleep_for(std::chrono::milliseconds(10));  // the maps are on their way
    }
    ADD_FAILURE() << "no account " << name;
    return {};
  }
  void start_login(uint64_t conn, const std::string& name, const std::string& password) {
    const std::string key = crypto::name_key(identity_key, "", name);
    GatewayItem item;
    auto& login = *item.mutable_login();
    login.set_conn(conn);
    login.set_slot_key(crypto::account_of(key).value);
    login.set_name_key(key);
    login.set_password(password);
    gateway_->send(std::move(item));
  }
  errc login_code(uint64_t conn) {
    const auto answer = gateway_->wait(
        [&](const SessionItem& one) { return one.has_login_result() && one.login_result().conn() == conn; });
    return answer ? static_cast<errc>(answer->login_result().code()) : errc::deadline;
  }
  errc log_in(uint64_t conn, const std::string& name) {
    start_login(conn, name, name);
    return login_code(conn);
  }
  void bind(uint64_t conn, account_id account, uint64_t next_seq, const std::vector<DeliveryRef>& unacked = {}) {
    GatewayItem item;
    auto& what = *item.mutable_bind();
    what.set_conn(conn);
    what.set_account(account.value);
    what.set_next_seq(next_seq);
    for (const auto& one : unacked) {
      *what.add_unacked() = one;
      *what.add_written() = one;
    }
    gateway_->send(std::move(item));
    EXPECT_TRUE(gateway_->wait([&](const SessionItem& one) {
      return one.has_bind_result() && one.bind_result().conn() == conn && one.bind_result().code() == 0;
    })) << "not bound";
  }
  template <class Struct>
  void frame(uint64_t conn, account_id account, uint64_t seq, frame_type type, const Struct& payload) {
    GatewayItem item;
    auto& what = *item.mutable_frame();
    what.set_conn(conn);
    what.set_account(account.value);
    what.set_seq(seq);
    what.set_type(static_cast<uint32_t>(type));
    what.set_payload(wire::encode(wire::encoding::thrift, payload));
    gateway_->send(std::move(item));
  }
  void say(uint64_t conn, account_id from, account_id to, uint64_t seq, std::string_view text) {
    const std::string node = to_node(to);
    wire::tim_message message;
    message.ms_type = 2;
    message.od_type = 1;
    message.to_tid.emplace().node = node;
    message.data_string = text;
    frame(conn, from, seq, frame_type::message, message);
  }
  void add(uint64_t conn, account_id from, account_id to, uint64_t seq) {
    const std::string node = to_node(to);
    wire::tim_req req;
    req.rtype = 4;
    req.node = node;
    frame(conn, from, seq, frame_type::business, req);
  }
  void ack(uint64_t conn, account_id account, const Out& out) {
    GatewayItem item;
    item.mutable_acked()->set_conn(conn);
    item.mutable_acked()->set_account(account.value);
    *item.mutable_acked()->add_refs() = out.ref();
    gateway_->send(std::move(item));
  }
  /// The next MESSAGE frame of the connection that is of this kind.
  std::optional<Out> message_at(uint64_t conn, DeliveryRef::Kind kind) {
    auto item = gateway_->wait([&](const SessionItem& one) {
      return one.has_out() && one.out().conn() == conn && one.out().has_ref() && one.out().ref().kind() == kind;
    });
    if (!item) return std::nullopt;
    return std::move(*item->mutable_out());
  }
  /// Both on line as connections 1 and 2, friends; the next seq of both is 2.
  void befriended() {
    ASSERT_EQ(log_in(1, "alice"), errc::ok);
    ASSERT_EQ(log_in(2, "bob"), errc::ok);
    add(1, alice_, bob_, 1);
    const auto asked = message_at(2, DeliveryRef::NOTICE);
    ASSERT_TRUE(asked);
    ack(2, bob_, *asked);
    add(2, bob_, alice_, 1);
    const auto told = message_at(1, DeliveryRef::NOTICE);
    ASSERT_TRUE(told);
    ack(1, alice_, *told);
  }
  int64_t mid_of(const Out& out) {
    auto decoded = wire::decode<wire::tim_message>(wire::encoding::thrift, out.payload(), memory_);
    return decoded ? decoded->mid.value_or(0) : -1;
  }

  /// Of a MESSAGE or an OFFLINEMSG list; those of a list must say so.
  std::vector<int64_t> mids_of(const Out& out) {
    if (out.type() == static_cast<uint32_t>(frame_type::message)) return {mid_of(out)};
    const auto list = wire::decode<wire::tim_message_list>(wire::encoding::thrift, out.payload(), memory_);
    std::vector<int64_t> mids;
    if (!list || !list->message_list) return mids;
    for (const auto& row : *list->message_list) {
      EXPECT_EQ(row.is_offline, true);
      mids.push_back(row.mid.value_or(0));
    }
    return mids;
  }

  temp_dir where_{"session-storage"};
  ternd::ternd_config options_;
  std::unique_ptr<app::host> host_;
  std::unique_ptr<scripted_gateway> gateway_;
  account_id alice_, bob_;
  wire::arena memory_;
};

TEST_F(session_storage_test, a_message_goes_from_one_terminal_to_the_other_and_its_receipt_back) {
  befriended();
  say(1, alice_, bob_, 2, "hello");
  const auto receipt = message_at(1, DeliveryRef::RECEIPT);
  ASSERT_TRUE(receipt);
  EXPECT_EQ(mid_of(*receipt), 1);
  EXPECT_EQ(receipt->confirm(), 2U);
  const auto delivered = message_at(2, DeliveryRef::MESSAGE);
  ASSERT_TRUE(delivered);
  EXPECT_EQ(mid_of(*delivered), 1);
  ack(2, bob_, *delivered);
}

TEST_F(session_storage_test, a_frame_replayed_over_a_new_link_is_stored_once) {
  befriended();
  say(1, alice_, bob_, 2, "once");
  gateway_->hang_up();  // whatever became of it
  gateway_->call();
  bind(2, bob_, 2);
  bind(1, alice_, 2);
  say(1, alice_, bob_, 2, "once");
  const auto receipt = message_at(1, DeliveryRef::RECEIPT);
  ASSERT_TRUE(receipt);
  EXPECT_EQ(mid_of(*receipt), 1);
  say(1, alice_, bob_, 3, "next");
  const auto second = message_at(1, DeliveryRef::RECEIPT);
  ASSERT_TRUE(second);
  EXPECT_EQ(mid_of(*second), 2);
  std::set<int64_t> seen;
  for (int i = 0; i < 2; ++i) {
    const auto delivered = message_at(2, DeliveryRef::MESSAGE);
    ASSERT_TRUE(delivered);
    seen.insert(mid_of(*delivered));
  }
  EXPECT_EQ(seen, (std::set<int64_t>{1, 2}));
}

TEST_F(session_storage_test, what_is_unacknowledged_over_a_new_link_is_not_sent_again_and_the_rest_follows) {
  befriended();
  say(1, alice_, bob_, 2, "first");
  const auto first = message_at(2, DeliveryRef::MESSAGE);
  ASSERT_TRUE(first);
  gateway_->hang_up();
  gateway_->call();
  bind(2, bob_, 2, {first->ref()});
  bind(1, alice_, 3);
  say(1, alice_, bob_, 3, "second");
  const auto second = message_at(2, DeliveryRef::MESSAGE);
  ASSERT_TRUE(second);
  EXPECT_EQ(mid_of(*second), 2);
}

TEST_F(session_storage_test, messages_for_somebody_off_line_are_drained_in_order_and_only_once) {
  befriended();
  GatewayItem gone;
  gone.mutable_closed()->set_conn(2);
  gone.mutable_closed()->set_account(bob_.value);
  gateway_->send(std::move(gone));
  constexpr uint64_t many = 120;
  for (uint64_t i = 0; i < many; ++i) say(1, alice_, bob_, 2 + i, "later");
  for (uint64_t i = 0; i < many; ++i) ASSERT_TRUE(message_at(1, DeliveryRef::RECEIPT));
  ASSERT_EQ(log_in(3, "bob"), errc::ok);
  frame(3, bob_, 1, frame_type::offlinemsg, wire::tim_req{});
  // What the dispatcher had not brought when the drain began comes live, after it.
  std::vector<int64_t> mids;
  while (mids.size() < many) {
    const auto item = gateway_->wait(
        [](const SessionItem& one) { return one.has_out() && one.out().conn() == 3 && one.out().has_ref(); });
    ASSERT_TRUE(item) << "after " << mids.size();
    for (const int64_t mid : mids_of(item->out())) mids.push_back(mid);
    ack(3, bob_, item->out());
  }
  for (uint64_t i = 0; i < many; ++i) EXPECT_EQ(mids[i], static_cast<int64_t>(i + 1));
  EXPECT_TRUE(gateway_->wait_out(3, static_cast<uint32_t>(frame_type::offlinemsgend)));
  frame(3, bob_, 2, frame_type::offlinemsg, wire::tim_req{});
  EXPECT_TRUE(gateway_->wait_out(3, static_cast<uint32_t>(frame_type::offlinemsgend)));
  EXPECT_EQ(gateway_->count([](const SessionItem& one) {
    return one.has_out() && one.out().type() == static_cast<uint32_t>(frame_type::offlinemsg);
  }),
            0U);
}

TEST_F(session_storage_test, of_a_hundred_parallel_logins_with_a_limit_of_one_exactly_one_stays) {
  constexpr uint64_t first = 100;
  for (uint64_t conn = first; conn < first + 100; ++conn) start_login(conn, "alice", "alice");
  size_t in = 0;
  for (uint64_t conn = first; conn < first + 100; ++conn) {
    const errc code = login_code(conn);
    in += code == errc::ok ? 1 : 0;
    EXPECT_TRUE(code == errc::ok || code == errc::over_entry || code == errc::overload) << to_string(code);
  }
  EXPECT_EQ(in, 1U);
  start_login(7, "alice", "wrong");
  EXPECT_EQ(login_code(7), errc::no_pass);
}

}  // namespace
}  // namespace tern::testing
