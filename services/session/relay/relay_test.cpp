#include "libs/crypto/token.hpp"
#include "services/session/relay/no_storage.hpp"
#include "services/session/relay/relay_accounts.hpp"
#include "services/session/testing/requests.hpp"
#include "services/session/testing/session_fixture.hpp"

namespace tern::session {
namespace {

using wire::frame_type;
using namespace std::chrono_literals;

class relay_accounts_test : public ::testing::Test {
 protected:
  v1::AccountCall call(v1::AccountCall::Kind kind, const std::string& domain = "") {
    v1::AccountCall out;
    out.set_kind(kind);
    out.set_name_key(key);
    out.set_domain(domain);
    return out;
  }
  v1::Login with_token(const std::string& token) {
    v1::Login out;
    out.set_token(token);
    return out;
  }
  const std::string key = crypto::name_key("secret", "", "alice");
  testing::fake_clock time;
  relay_accounts accounts{time, 10s, 3};
};

TEST_F(relay_accounts_test, any_name_logs_on_with_any_password) {
  v1::Login login;
  login.set_name_key(key);
  login.set_password("whatever");
  login.set_domain("tenant");
  const auto who = accounts.log_in(login);
  ASSERT_TRUE(who);
  EXPECT_EQ(who->account(), crypto::account_of(key).value);
  EXPECT_EQ(who->domain(), "tenant");
  EXPECT_EQ(accounts.call(call(v1::AccountCall::REGISTER)), to_node(crypto::account_of(key)));
}

TEST_F(relay_accounts_test, a_token_is_good_once_and_for_its_life) {
  const auto token = accounts.call(call(v1::AccountCall::TOKEN, "tenant"));
  const auto who = accounts.log_in(with_token(token));
  ASSERT_TRUE(who);
  EXPECT_EQ(who->account(), crypto::account_of(key).value);
  EXPECT_EQ(who->domain(), "tenant");
  EXPECT_EQ(accounts.log_in(with_token(token)).code(), errc::bad_token);
  const auto late = accounts.call(call(v1::AccountCall::TOKEN));
  time.advance(10s);
  EXPECT_EQ(accounts.log_in(with_token(late)).code(), errc::bad_token);
  EXPECT_EQ(accounts.log_in(with_token("nonsense")).code(), errc::bad_token);
  EXPECT_EQ(accounts.log_in(with_token(crypto::make_token(account_id{5}))).code(), errc::bad_token);
}

TEST_F(relay_accounts_test, a_name_beside_a_token_must_be_its_own) {
  const auto token = accounts.call(call(v1::AccountCall::TOKEN));
  auto login = with_token(token);
  login.set_name_key(crypto::name_key("secret", "", "bob"));
  EXPECT_EQ(accounts.log_in(login).code(), errc::bad_token);
  login.set_name_key(key);
  EXPECT_TRUE(accounts.log_in(login));
}

TEST_F(relay_accounts_test, tokens_are_bounded_and_the_oldest_go_first) {
  std::vector<std::string> tokens;
  for (int i = 0; i < 5; ++i) tokens.push_back(accounts.call(call(v1::AccountCall::TOKEN)));
  EXPECT_EQ(accounts.tokens(), 3U);
  EXPECT_FALSE(accounts.log_in(with_token(tokens[1])));
  EXPECT_TRUE(accounts.log_in(with_token(tokens[2])));
  time.advance(11s);
  accounts.call(call(v1::AccountCall::TOKEN));
  EXPECT_EQ(accounts.tokens(), 1U);
}

class relay_test : public session_fixture {
 protected:
  relay_test() {
    env.relay = &accounts;
    env.storage = &nothing;
  }
  void say(uint64_t conn, account_id from, const std::string& to, std::string_view text) {
    frame(conn, from, frame_type::message, text_to(to, text, 77));
    settle();
  }
  int32_t code_of(const wire::tim_message& message) {
    frame(1, alice, frame_type::message, message);
    settle();
    return error_of(1);
  }
  relay_accounts accounts{time, 10s};
  no_storage nothing;
  const std::string bob_node = to_node(bob);
};

TEST_F(relay_test, a_message_reaches_the_recipients_terminals_and_its_receipt_all_of_the_senders) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  ASSERT_TRUE(log_on(3, alice, 2));
  ASSERT_TRUE(log_on(4, bob, 2));
  say(1, alice, bob_node, "hello");
  for (const uint64_t conn : {1U, 2U, 3U, 4U}) {
    const auto got = frames(conn, frame_type::message);
    ASSERT_EQ(got.size(), 1U) << conn;
    EXPECT_EQ(got[0].ref().kind(), v1::DeliveryRef::RECEIPT) << "acknowledged, never sent again";
    const auto message = message_of(got[0]);
    EXPECT_EQ(message.data_string, "hello");
    EXPECT_EQ(message.from_tid->node, to_node(alice));
    EXPECT_EQ(message.id, 77);
    EXPECT_EQ(message.timestamp, time.wall_ns());
    EXPECT_FALSE(message.mid);
    EXPECT_EQ(got[0].confirm(), conn == 1 ? 1U : 0U);
  }
}

TEST_F(relay_test, stream_messages_and_big_data_go_to_anybody_of_the_domain_without_a_receipt) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  ASSERT_TRUE(log_on(3, alice, 2));
  auto now = text_to(bob_node, "now");
  now.od_type = 5;
  frame(1, alice, frame_type::message, now);
  raw_frame(1, alice, frame_type::bigstring, bob_node + "|text");
  settle();
  const auto got = frames(2);
  ASSERT_EQ(got.size(), 2U);
  for (const v1::Out& one : got) {
    EXPECT_TRUE(one.live());
    EXPECT_FALSE(one.has_ref());
  }
  const auto shown = message_of(got[0]);
  EXPECT_EQ(shown.od_type, 5);
  EXPECT_EQ(shown.from_tid->node, to_node(alice));
  EXPECT_FALSE(shown.mid);
  EXPECT_EQ(got[1].type(), 95U);
  EXPECT_EQ(got[1].payload(), to_node(alice) + "|text");
  EXPECT_TRUE(frames(1).empty());
  EXPECT_TRUE(frames(3).empty());
  now.room_tid = now.to_tid;
  EXPECT_EQ(code_of(now), 4107);
  now = text_to(to_node(alice), "now");
  now.od_type = 5;
  EXPECT_EQ(code_of(now), 4105);
  raw_frame(1, alice, frame_type::bigbinary, "nonsense\x83 data");
  settle();
  EXPECT_EQ(error_of(1), 4106);
}

TEST_F(relay_test, messages_keep_their_order) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  std::vector<std::string> sent;
  for (int i = 0; i < 50; ++i) sent.push_back(std::to_string(i));
  for (const auto& text : sent) frame(1, alice, frame_type::message, text_to(bob_node, text));
  settle();
  std::vector<std::string> got;
  for (const auto& one : frames(2, frame_type::message)) got.emplace_back(*message_of(one).data_string);
  EXPECT_EQ(got, sent);
}

TEST_F(relay_test, nobody_on_line_is_no_error_and_nothing_is_kept) {
  ASSERT_TRUE(log_on(1, alice));
  say(1, alice, bob_node, "lost");
  EXPECT_EQ(frames(1, frame_type::message).size(), 1U) << "the receipt says it was taken, not that it arrived";
  ASSERT_TRUE(log_on(2, bob));
  raw_frame(2, bob, frame_type::offlinemsg, "");
  settle();
  EXPECT_TRUE(frames(2, frame_type::message).empty());
  EXPECT_EQ(frames(2, frame_type::offlinemsgend).size(), 1U);
}

TEST_F(relay_test, a_recipient_of_another_node_is_sent_there) {
  ASSERT_TRUE(log_on(1, alice));
  auto map = std::make_shared<placement::snapshot>();
  map->version = ++map_version;
  const slot_type mine = slot_of(alice);
  map->sessions = placement::range_map{{{0, mine, "session-0", 1}, {mine + 1, slot_count - 1, "session-1", 2}}};
  cluster.publish(map);
  say(1, alice, bob_node, "over there");
  ASSERT_EQ(peers.sent.size(), 1U);
  EXPECT_EQ(peers.sent[0].first, "session-1");
  const v1::PeerItem& item = peers.sent[0].second;
  EXPECT_EQ(item.type(), 90U);
  EXPECT_EQ(item.sender(), alice.value);
  ASSERT_EQ(item.accounts_size(), 1);
  EXPECT_EQ(item.accounts(0), bob.value);
  EXPECT_EQ(frames(1, frame_type::message).size(), 1U);
}

TEST_F(relay_test, what_needs_storage_is_refused) {
  ASSERT_TRUE(log_on(1, alice));
  const std::pair<frame_type, int32_t> cases[] = {{frame_type::business, 1},
                                                  {frame_type::business, 4},
                                                  {frame_type::business, 8},
                                                  {frame_type::business, 21},
                                                  {frame_type::pullmessage, 1}};
  for (const auto& [type, rtype] : cases) {
    auto req = req_of(rtype, bob_node);
    req.req_int = 1;
    req.req_str = "old";
    req.req_str2 = "new";
    frame(1, alice, type, req);
    settle();
    EXPECT_EQ(error_of(1), 4107) << static_cast<int>(type) << " " << rtype;
  }
  wire::tim_nodes nodes;
  nodes.ntype = 4;
  nodes.nodelist = std::vector<wire::text>{bob_node};
  frame(1, alice, frame_type::nodes, nodes);
  settle();
  EXPECT_EQ(error_of(1), 4107);
  auto recall = text_to(bob_node, "x");
  recall.od_type = 2;
  recall.mid = 1;
  frame(1, alice, frame_type::revokemessage, recall);
  settle();
  EXPECT_EQ(error_of(1), 4107);
}

TEST_F(relay_test, kinds_of_messages_are_checked_as_with_storage) {
  ASSERT_TRUE(log_on(1, alice));
  auto message = text_to(bob_node, "x");
  message.od_type = 31;
  EXPECT_EQ(code_of(message), 0);
  message.od_type = 6;
  EXPECT_EQ(code_of(message), 4107);
  message.od_type = 9;
  EXPECT_EQ(code_of(message), 4104);
  message = text_to(bob_node, "x");
  message.ms_type = 3;
  EXPECT_EQ(code_of(message), 4107);
  message.ms_type = 1;
  EXPECT_EQ(code_of(message), 4104);
  const std::string own = to_node(alice);
  EXPECT_EQ(code_of(text_to(own, "x")), 4105);
  const std::string nonsense = "nonsense";
  EXPECT_EQ(code_of(text_to(nonsense, "x")), 4106);
  message = text_to(bob_node, "x");
  message.to_tid->domain = "elsewhere";
  EXPECT_EQ(code_of(message), 4106);
}

TEST_F(relay_test, a_presence_reaches_anybody_of_the_domain_it_names) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  wire::tim_presence state;
  state.status = "here";
  frame(1, alice, frame_type::broadpresence, state);
  settle();
  EXPECT_EQ(error_of(1), 4104) << "there are no friends to send it to";
  state.to_list = std::vector<wire::text>{bob_node};
  frame(1, alice, frame_type::broadpresence, state);
  settle();
  end_window();
  EXPECT_EQ(frames(2, frame_type::presence).size(), 1U);
}

TEST_F(relay_test, a_login_needs_nothing_but_a_name) {
  const std::string key = crypto::name_key(identity_key, "", "dora");
  v1::GatewayItem item;
  item.mutable_login()->set_conn(9);
  item.mutable_login()->set_slot_key(crypto::account_of(key).value);
  item.mutable_login()->set_name_key(key);
  item.mutable_login()->set_password("any");
  send(std::move(item));
  settle();
  ASSERT_FALSE(gateway->items.empty());
  EXPECT_EQ(gateway->items.back().login_result().code(), 0);
  EXPECT_EQ(gateway->items.back().login_result().account(), crypto::account_of(key).value);
  v1::GatewayItem call;
  call.mutable_account_call()->set_call(4);
  call.mutable_account_call()->set_kind(v1::AccountCall::TOKEN);
  call.mutable_account_call()->set_slot_key(crypto::account_of(key).value);
  call.mutable_account_call()->set_name_key(key);
  send(std::move(call));
  const std::string token = gateway->items.back().account_result().text();
  v1::GatewayItem again;
  again.mutable_login()->set_conn(10);
  again.mutable_login()->set_slot_key(crypto::account_of(key).value);
  again.mutable_login()->set_token(token);
  send(again);
  settle();
  EXPECT_EQ(gateway->items.back().login_result().code(), 0);
  again.mutable_login()->set_conn(11);
  send(again);
  settle();
  EXPECT_EQ(gateway->items.back().login_result().code(), static_cast<int32_t>(errc::bad_token));
}

}  // namespace
}  // namespace tern::session
