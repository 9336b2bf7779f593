#include "services/session/commands/big_data.hpp"

#include "services/session/testing/requests.hpp"
#include "services/session/testing/session_fixture.hpp"

namespace tern::session {
namespace {

using wire::frame_type;

class big_data_test : public session_fixture {
 protected:
  big_data_test() {
    storage.add_account(stranger);
    storage.add_account(tenant, "elsewhere");
  }
  void give(frame_type type, std::string payload) {
    raw_frame(1, alice, type, std::move(payload));
    settle();
  }
  static constexpr account_id tenant{0x4444'0000'0000'0004};
  const std::string alice_node = to_node(alice), bob_node = to_node(bob);
};

TEST_F(big_data_test, reaches_all_terminals_of_a_friend_with_the_senders_node_in_front) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  ASSERT_TRUE(log_on(3, bob, 2));
  std::string data(1 << 20, '\x83');
  data += "|end";
  const std::pair<frame_type, char> cases[] = {
      {frame_type::bigstring, '|'}, {frame_type::bigstring, '\0'}, {frame_type::bigbinary, '\x83'}};
  for (const auto& [type, separator] : cases) {
    give(type, bob_node + separator + data);
    const char shown = type == frame_type::bigstring ? '|' : '\x83';
    for (const uint64_t conn : {2U, 3U}) {
      const auto got = frames(conn, type);
      ASSERT_EQ(got.size(), 1U);
      EXPECT_TRUE(got[0].live());
      EXPECT_FALSE(got[0].has_ref());
      EXPECT_TRUE(got[0].payload() == alice_node + shown + data) << got[0].payload().size();
    }
    EXPECT_TRUE(frames(1).empty());
  }
  EXPECT_EQ(gateway->items.back().confirm().seq(), 3U);
  EXPECT_TRUE(storage.outbox.empty());
}

TEST_F(big_data_test, may_be_empty_behind_its_separator) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  give(frame_type::bigstring, bob_node + "|");
  const auto got = frames(2, frame_type::bigstring);
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].payload(), alice_node + "|");
}

TEST_F(big_data_test, rights_and_errors_are_those_of_a_message) {
  ASSERT_TRUE(log_on(1, alice));
  const std::pair<std::string, int32_t> cases[] = {
      {to_node(stranger), 4105},      {alice_node, 4105}, {to_node(tenant), 4106},
      {to_node(account_id{9}), 4106}, {"0OIl", 4106},     {bob_node, 0}};
  for (const auto type : {frame_type::bigstring, frame_type::bigbinary}) {
    const char separator = type == frame_type::bigstring ? '|' : '\x83';
    for (const auto& [node, code] : cases) {
      give(type, node + separator + "data");
      const auto got = frames(1, frame_type::ack);
      ASSERT_EQ(got.size(), code == 0 ? 0U : 1U) << node;
      if (code == 0) continue;
      EXPECT_EQ(ack_of(got[0]).error->code, code) << node;
      EXPECT_EQ(ack_of(got[0]).tim_type, static_cast<int8_t>(type));
    }
    for (const std::string& damaged : {std::string("no separator"), std::string(1, separator), std::string()}) {
      give(type, damaged);
      EXPECT_EQ(error_of(1), 4114);
    }
  }
  ASSERT_TRUE(log_on(2, bob));
  frame(2, bob, frame_type::business, req_of(7, alice_node));
  settle();
  give(frame_type::bigbinary, bob_node + "\x83 data");
  EXPECT_EQ(error_of(1), 4110);
  EXPECT_TRUE(frames(2, frame_type::bigbinary).empty());
}

TEST_F(big_data_test, keeps_its_order_among_stream_messages) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  auto now = text_to(bob_node, "now");
  now.od_type = 5;
  raw_frame(1, alice, frame_type::bigstring, bob_node + "|1");
  frame(1, alice, frame_type::message, now);
  raw_frame(1, alice, frame_type::bigbinary, bob_node + "\x83" + "2");
  settle();
  std::vector<uint32_t> types;
  for (const auto& one : frames(2)) types.push_back(one.type());
  EXPECT_EQ(types, (std::vector<uint32_t>{95, 90, 96}));
}

TEST_F(big_data_test, for_an_account_of_another_node_goes_there_with_its_sender_and_domain) {
  ASSERT_TRUE(log_on(1, alice));
  auto map = std::make_shared<placement::snapshot>();
  map->version = ++map_version;
  const slot_type mine = slot_of(alice);
  map->sessions = placement::range_map{{{0, mine, "session-0", 1}, {mine + 1, slot_count - 1, "session-1", 2}}};
  cluster.publish(map);
  give(frame_type::bigbinary, bob_node + "\x83" + "data");
  ASSERT_EQ(peers.sent.size(), 1U);
  EXPECT_EQ(peers.sent[0].first, "session-1");
  const v1::PeerItem& item = peers.sent[0].second;
  EXPECT_EQ(item.type(), 96U);
  EXPECT_EQ(item.sender(), alice.value);
  EXPECT_TRUE(item.live());
  EXPECT_EQ(item.payload(), alice_node + "\x83" + "data");
  ASSERT_EQ(item.accounts_size(), 1);
  EXPECT_EQ(item.accounts(0), bob.value);
}

TEST_F(big_data_test, is_dropped_alone_when_the_stream_to_the_gateway_is_full) {
  class narrow_sink final : public rpc::sink<v1::SessionItem> {
   public:
    bool send(v1::SessionItem) override { return false; }
    bool send_all(std::vector<v1::SessionItem>& all) override {
      for (const auto& one : all) {
        if (one.out().payload().size() > 100) return false;
      }
      for (auto& one : all) items.push_back(std::move(one));
      all.clear();
      return true;
    }
    void close() override { closed = true; }
    std::vector<v1::SessionItem> items;
    bool closed = false;
  };
  ASSERT_TRUE(log_on(1, alice));
  const auto narrow = std::make_shared<narrow_sink>();
  const auto other = attach_acceptor(env, [](const gateway_ptr&, bool) {})({"gateway", "gateway-1", 1}, narrow);
  std::vector<v1::GatewayItem> login(1);
  *login[0].mutable_bind() = bind_of(2, bob, true);
  other->on_items(login);
  settle();
  give(frame_type::bigstring, bob_node + "|" + std::string(200, 'x'));
  give(frame_type::bigstring, bob_node + "|small");
  EXPECT_FALSE(narrow->closed);
  ASSERT_EQ(narrow->items.back().out().payload(), alice_node + "|small");
  EXPECT_NE(registry.render().find("tern_session_live_dropped_total{reason=\"gateway\"} 1"), std::string::npos);
}

}  // namespace
}  // namespace tern::session
