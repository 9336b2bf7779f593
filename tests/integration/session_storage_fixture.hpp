// The session and storage services as they are, with routing and group, over local links; the gateway is scripted.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "libs/app/host.hpp"
#include "libs/crypto/identity.hpp"
#include "libs/testing/temp_dir.hpp"
#include "libs/wire/codec.hpp"
#include "libs/wire/frame.hpp"
#include "services/ternd/app.hpp"
#include "tests/integration/scripted_gateway.hpp"

namespace tern::testing {

/// alice and bob have accounts; a terminal is a connection number. Waits for conditions, never for a time.
class session_storage_fixture : public ::testing::Test {
 protected:
  using DeliveryRef = session::v1::DeliveryRef;
  using GatewayItem = session::v1::GatewayItem;
  using Out = session::v1::Out;
  using SessionItem = session::v1::SessionItem;
  using frame_type = wire::frame_type;
  static constexpr const char* identity_key = "the key of this test";

  void SetUp() override {
    const std::string dir = where_.path().string();
    options_.session.identity_key = identity_key;
    options_.session.device_limit = device_limit_;
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

  uint64_t device_limit_ = 1;  // set before SetUp
  temp_dir where_{"session-storage"};
  ternd::ternd_config options_;
  std::unique_ptr<app::host> host_;
  std::unique_ptr<scripted_gateway> gateway_;
  account_id alice_, bob_;
  wire::arena memory_;
};

}  // namespace tern::testing
