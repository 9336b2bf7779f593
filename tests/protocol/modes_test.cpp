// Ways of running that change what commands do: open messaging, the no-data mode, no off-line notices. Each on a
// server with its own settings.
#include "tests/protocol/fixture.hpp"

namespace tern::testing {
namespace {

using wire::frame_type;

class open_messaging : public protocol {
 protected:
  static own_server& own() {
    static own_server one;
    return one;
  }
  server& where() override {
    return own().of(GetParam().kind, {{"session.open_messaging", "true"},
                                      {"session.presence_offline_block", "true"},
                                      {"session.auth_min_interval_ms", "3600000"}});
  }
  static void TearDownTestSuite() { own().stop(); }
};

TEST_P(open_messaging, 90_message_needs_no_friendship_but_a_block_counts) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  const int64_t mid = send_text(*alice, bob->node(), "hello stranger");
  expect_text(*bob, alice->node(), "hello stranger", mid);
  business(*bob, 7, alice->node());
  expect_ok(*bob, frame_type::business, 7);
  expect_notice(*alice, bob->node(), 7);
  alice->send(frame_type::message, text_message(bob->node(), "hello?"));
  expect_refused(*alice, frame_type::message, 4110);
}

TEST_P(open_messaging, 90_message_stays_in_its_domain) {
  auto alice = new_user("alice");
  auto elsewhere = new_user("elsewhere", nullptr, "blue");
  alice->send(frame_type::message, text_message(elsewhere->node(), "over the fence"));
  EXPECT_FALSE(alice->next_ack().ok);
  alice->send(frame_type::message, text_message(to_node(account_id{12345}), "nobody"));
  EXPECT_FALSE(alice->next_ack().ok);
  expect_no_text(*elsewhere, "over the fence");
}

TEST_P(open_messaging, 16_auth_over_the_limit_is_refused_while_the_others_are_young) {
  const std::string name = fresh_name("alice");
  register_account(name);
  auto one = log_in_as(name, 1), two = log_in_as(name, 1);
  const auto attempt = [&](int8_t type) {
    wire::tim_auth auth;
    auth.name = name;
    auth.pwd = "secret";
    auth.termtyp = type;
    const auto client = anonymous();
    const auto ack = client->login(auth);
    return ack.ok || !ack.error ? 0 : ack.error->code.value_or(0);
  };
  EXPECT_EQ(attempt(1), 4111) << "two of one type";
  auto three = log_in_as(name, 2);
  EXPECT_EQ(attempt(3), 4111) << "three in all";
  one->send_bytes(frame_type::ping, {});
  EXPECT_TRUE(one->next(frame_type::ping));
}

TEST_P(open_messaging, 91_presence_offline_notices_can_be_switched_off) {
  auto alice = new_user("alice");
  std::string name;
  auto bob = new_user("bob", &name);
  befriend(*alice, *bob);
  bob.reset();
  bob = log_in(name);
  wire::tim_presence presence;
  presence.status = "back";
  presence.to_tid.emplace().node = alice->node();
  // Presence is sent at most once, and a friendship takes a moment to reach both rosters: said until it is heard.
  std::optional<server_frame> frame;
  for (int attempt = 0; attempt < 30 && !frame; ++attempt) {
    bob->send(frame_type::presence, presence);
    frame =
        alice->find([](const server_frame& f) { return f.type == frame_type::presence; }, std::chrono::seconds(1));
  }
  ASSERT_TRUE(frame);
  const auto seen = alice->read<wire::tim_presence>(*frame);
  EXPECT_EQ(seen.status, "back") << "the first presence is the one that was sent";
  EXPECT_FALSE(seen.offline.value_or(false));
}

INSTANTIATE_TEST_SUITE_P(ternd, open_messaging, ::testing::ValuesIn(encodings_at(server_kind::ternd)), place_name);
INSTANTIATE_TEST_SUITE_P(cluster, open_messaging, ::testing::ValuesIn(encodings_at(server_kind::cluster)),
                         place_name);

class no_data : public protocol {
 protected:
  static own_server& own() {
    static own_server one;
    return one;
  }
  server& where() override { return own().of(GetParam().kind, {{"session.storage", "none"}}); }
  static void TearDownTestSuite() { own().stop(); }
};

TEST_P(no_data, 16_auth_takes_any_name_and_password) {
  auto one = anonymous();
  ASSERT_TRUE(one->login("whoever", "whatever").ok);
  auto other = anonymous();
  ASSERT_TRUE(other->login("whoever", "something else").ok);
  EXPECT_EQ(one->node(), other->node()) << "the name is the account";
  auto elsewhere = anonymous();
  ASSERT_TRUE(elsewhere->login("whoever", "whatever", "blue").ok);
  EXPECT_NE(one->node(), elsewhere->node());
  EXPECT_EQ(account_call(port(), frame_type::reg, enc(), "whoever", "x").code, 0);
}

TEST_P(no_data, 15_token_logs_on_once) {
  const std::string name = fresh_name("alice");
  const auto token = account_call(port(), frame_type::token, enc(), name, "x");
  ASSERT_EQ(token.code, 0);
  wire::tim_auth auth;
  auth.token = token.n;
  auto client = anonymous();
  ASSERT_TRUE(client->login(auth).ok);
  auto same = anonymous();
  ASSERT_TRUE(same->login(name, "y").ok);
  EXPECT_EQ(client->node(), same->node());
  auth.token = "nonsense";
  EXPECT_FALSE(anonymous()->login(auth).ok);
}

TEST_P(no_data, 90_message_goes_to_who_is_on_line_and_is_not_kept) {
  auto alice = new_user("alice");
  std::string name;
  auto bob = new_user("bob", &name);
  auto phone = log_in(name);
  const std::string node = bob->node();
  for (int i = 0; i < 100; ++i) alice->send(frame_type::message, text_message(node, std::to_string(i)));
  for (auto* one : {alice.get(), bob.get(), phone.get()}) {
    for (int i = 0; i < 100; ++i) {
      const auto got = expect_message(
          *one, [](const seen_message& m) { return m.od_type == 1; }, "text");
      ASSERT_EQ(got.text, std::to_string(i)) << "in order";
      EXPECT_EQ(got.from, alice->node());
      EXPECT_GT(got.timestamp, 0);
      EXPECT_EQ(got.mid, 0);
    }
  }
  bob.reset();
  phone.reset();
  alice->send(frame_type::message, text_message(node, "missed"));
  expect_message(
      *alice, [](const seen_message& m) { return m.text == "missed"; }, "the receipt");
  bob = log_in(name);
  EXPECT_TRUE(drain(*bob).empty());
}

TEST_P(no_data, 90_message_crosses_session_nodes) {
  auto one = new_user_in_half(false, 0);
  auto other = new_user_in_half(true, 1);
  for (int i = 0; i < 20; ++i) {
    auto& from = i % 2 == 0 ? *one : *other;
    auto& to = i % 2 == 0 ? *other : *one;
    from.send(frame_type::message, text_message(to.node(), std::to_string(i)));
    const auto is_it = [&](const seen_message& m) { return m.text == std::to_string(i); };
    expect_message(from, is_it, "the receipt");
    expect_message(to, is_it, "the message");
  }
}

TEST_P(no_data, 91_presence_goes_to_anybody_of_the_domain) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  wire::tim_presence presence;
  presence.status = "here";
  presence.to_list = std::vector<wire::text>{bob->node()};
  for (const auto type : {frame_type::presence, frame_type::broadpresence}) {
    alice->send(type, presence);
    EXPECT_EQ(expect_presence(*bob, alice->node()).status, "here");
  }
}

TEST_P(no_data, 41_business_and_all_that_needs_data_is_refused) {
  auto alice = new_user("alice");
  const std::string node = alice->node();
  for (int32_t what = 1; what <= 21; ++what) {
    business(*alice, what, node);
    expect_refused(*alice, frame_type::business, 4107);
  }
  wire::tim_nodes nodes;
  nodes.ntype = 4;
  alice->send(frame_type::nodes, nodes);
  expect_refused(*alice, frame_type::nodes, 4107);
  alice->send(frame_type::pullmessage, history(1, node, 0, 10));
  expect_refused(*alice, frame_type::pullmessage, 4107);
  alice->send(frame_type::revokemessage, recall(2, node, {}, 1));
  expect_refused(*alice, frame_type::revokemessage, 4107);
  alice->send(frame_type::burnmessage, recall(3, node, {}, 1));
  expect_refused(*alice, frame_type::burnmessage, 4107);
  alice->send(frame_type::message, room_message(to_node(room_id{5}), "x"));
  expect_refused(*alice, frame_type::message, 4107);
}

INSTANTIATE_TEST_SUITE_P(ternd, no_data, ::testing::ValuesIn(encodings_at(server_kind::ternd)), place_name);
INSTANTIATE_TEST_SUITE_P(cluster, no_data, ::testing::ValuesIn(encodings_at(server_kind::cluster)), place_name);

}  // namespace
}  // namespace tern::testing
