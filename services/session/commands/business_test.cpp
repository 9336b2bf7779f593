#include <algorithm>

#include "services/session/commands/commands.hpp"
#include "services/session/testing/requests.hpp"
#include "services/session/testing/session_fixture.hpp"

namespace tern::session {
namespace {

using wire::frame_type;

class business_test : public session_fixture {
 protected:
  business_test() {
    storage.add_account(stranger);
    storage.add_account(tenant, "elsewhere");
  }
  void ask(int32_t rtype, const std::string& node = {}, uint64_t conn = 1, account_id who = alice) {
    frame(conn, who, frame_type::business, req_of(rtype, node));
    settle();
  }
  std::vector<std::string> nodes(uint64_t conn, int32_t ntype) {
    const auto got = frames(conn, frame_type::nodes);
    if (got.empty()) return {};
    auto decoded = wire::decode<wire::tim_nodes>(wire::encoding::thrift, got[0].payload(), memory);
    EXPECT_EQ(decoded->ntype, ntype);
    return {decoded->nodelist->begin(), decoded->nodelist->end()};
  }
  static constexpr account_id tenant{0x4444'0000'0000'0004};
  const std::string strange_node = to_node(stranger);
  const std::string bob_node = to_node(bob);
};

TEST_F(business_test, the_roster_lists_friends_and_nothing_is_sent_when_it_is_empty) {
  ASSERT_TRUE(log_on(1, alice));
  ask(1);
  EXPECT_EQ(nodes(1, 1), std::vector<std::string>{bob_node});
  ask(18);
  EXPECT_TRUE(nodes(1, 8).empty());
  ASSERT_FALSE(gateway->items.empty());
  EXPECT_EQ(gateway->items.back().confirm().seq(), 2U);
}

TEST_F(business_test, two_requests_make_a_friendship_and_each_is_told_by_notice) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, stranger));
  auto req = req_of(4, strange_node);
  req.req_str = "hello";
  frame(1, alice, frame_type::business, req);
  settle();
  auto notice = frames(2, frame_type::message);
  ASSERT_EQ(notice.size(), 1U);
  EXPECT_EQ(notice[0].ref().kind(), v1::DeliveryRef::NOTICE);
  const auto asked = message_of(notice[0]);
  EXPECT_EQ(asked.od_type, 4);
  EXPECT_EQ(asked.bn_type, 4);
  EXPECT_EQ(asked.data_string, "hello");
  EXPECT_EQ(asked.from_tid->node, to_node(alice));
  ack(2, stranger, notice[0].ref());
  settle();
  EXPECT_TRUE(storage.notices.empty());
  EXPECT_TRUE(storage.outbox.empty());
  EXPECT_TRUE(frames(1, frame_type::ack).empty());

  ask(4, to_node(alice), 2, stranger);
  notice = frames(1, frame_type::message);
  ASSERT_EQ(notice.size(), 1U);
  EXPECT_EQ(message_of(notice[0]).bn_type, 5);
  ask(1);
  EXPECT_EQ(nodes(1, 1).size(), 2U);
  ask(1, {}, 2, stranger);
  EXPECT_EQ(nodes(2, 1), std::vector<std::string>{to_node(alice)});
}

TEST_F(business_test, removing_and_blocking_are_answered_and_shown_by_the_lists_at_once) {
  ASSERT_TRUE(log_on(1, alice));
  ask(7, bob_node);
  auto acks = frames(1, frame_type::ack);
  ASSERT_EQ(acks.size(), 1U);
  const auto ack = ack_of(acks[0]);
  EXPECT_TRUE(ack.ok);
  EXPECT_EQ(ack.tim_type, 41);
  EXPECT_EQ(ack.n, bob_node);
  EXPECT_EQ(ack.t, 7);
  ask(18);
  EXPECT_EQ(nodes(1, 8), std::vector<std::string>{bob_node});
  ask(1);
  EXPECT_TRUE(nodes(1, 1).empty());
  ask(4, bob_node);
  EXPECT_EQ(error_of(1), 4105);
  ask(6, bob_node);
  acks = frames(1, frame_type::ack);
  ASSERT_EQ(acks.size(), 1U);
  EXPECT_EQ(ack_of(acks[0]).t, 6);
  ask(18);
  EXPECT_TRUE(nodes(1, 8).empty());
}

TEST_F(business_test, a_blocked_account_can_neither_ask_nor_write) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  ask(7, bob_node);
  ask(4, to_node(alice), 2, bob);
  EXPECT_EQ(error_of(2), 4110);
  const std::string alice_node = to_node(alice);
  frame(2, bob, frame_type::message, text_to(alice_node, "x"));
  settle();
  EXPECT_EQ(error_of(2), 4110);
}

TEST_F(business_test, errors_are_those_of_the_protocol) {
  ASSERT_TRUE(log_on(1, alice));
  const std::pair<std::pair<int32_t, std::string>, int32_t> cases[] = {
      {{4, to_node(alice)}, 4105},
      {{6, to_node(alice)}, 4105},
      {{7, to_node(alice)}, 4105},
      {{4, "zzz"}, 4106},
      {{4, to_node(tenant)}, 4106},
      {{4, to_node(account_id{0x7777'0000'0000'0001})}, 4106},
      {{4, ""}, 4104},
      {{4, bob_node}, 4117},
      {{5, ""}, 4107},
      {{10, ""}, 4107},
      {{0, ""}, 4107},
      {{22, ""}, 4107},
      {{-5, ""}, 4107}};
  for (const auto& [request, code] : cases) {
    ask(request.first, request.second);
    EXPECT_EQ(error_of(1), code) << request.first << " " << request.second;
  }
  frame(1, alice, frame_type::business, wire::tim_req{});
  settle();
  EXPECT_EQ(error_of(1), 4104);
  raw_frame(1, alice, frame_type::business, "\x01");
  settle();
  EXPECT_EQ(error_of(1), 4113);
}

TEST_F(business_test, a_notice_for_an_off_line_account_waits_for_it) {
  ASSERT_TRUE(log_on(1, alice));
  ask(4, strange_node);
  EXPECT_TRUE(storage.outbox.empty());
  EXPECT_EQ(storage.notices.size(), 1U);
  ASSERT_TRUE(log_on(2, stranger));
  raw_frame(2, stranger, frame_type::offlinemsg, "");
  settle();
  const auto lists = frames(2, frame_type::offlinemsg);
  ASSERT_EQ(lists.size(), 1U);
  const auto rows = list_of(lists[0]);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].bn_type, 4);
  EXPECT_EQ(rows[0].is_offline, true);
  EXPECT_TRUE(frames(2, frame_type::offlinemsgend).empty());
  ack(2, stranger, lists[0].ref());
  settle();
  EXPECT_EQ(frames(2, frame_type::offlinemsgend).size(), 1U);
  EXPECT_TRUE(storage.notices.empty());
}

TEST_F(business_test, commands_wait_for_the_messages_sent_before_them) {
  ASSERT_TRUE(log_on(1, alice));
  frame(1, alice, frame_type::message, text_to(bob_node, "first"));
  frame(1, alice, frame_type::business, req_of(1));
  frame(1, alice, frame_type::message, text_to(bob_node, "second"));
  settle();
  std::vector<uint32_t> order;
  for (const auto& out : frames(1)) order.push_back(out.type());
  EXPECT_EQ(order, (std::vector<uint32_t>{90, 42, 90}));
}

TEST_F(business_test, every_command_that_is_not_offered_says_so) {
  ASSERT_TRUE(log_on(1, alice));
  const frame_type not_offered[] = {frame_type::vroom, frame_type::stream, frame_type::bigbinarystream};
  for (const command_row& row : commands()) {
    if (std::find(std::begin(not_offered), std::end(not_offered), row.type) == std::end(not_offered)) continue;
    raw_frame(1, alice, row.type, "");
    settle();
    const auto got = frames(1, frame_type::ack);
    ASSERT_EQ(got.size(), 1U);
    EXPECT_EQ(ack_of(got[0]).error->code, 4107);
    EXPECT_EQ(ack_of(got[0]).tim_type, static_cast<int8_t>(row.type));
  }
}

TEST_F(business_test, what_is_not_offered_says_so_also_when_it_comes_again) {
  ASSERT_TRUE(log_on(1, alice));
  wire::tim_req req;
  req.rtype = 22;
  const std::string payload = wire::encode(wire::encoding::thrift, req);
  raw_frame(1, alice, frame_type::business, payload, 1);
  settle();
  EXPECT_EQ(error_of(1), 4107);
  bind(bind_of(1, alice, false));
  raw_frame(1, alice, frame_type::business, payload, 1, true);
  settle();
  EXPECT_EQ(error_of(1), 4107);
}

TEST_F(business_test, the_table_has_every_command_a_terminal_may_send) {
  for (const wire::command& one : wire::commands()) {
    if (one.rule != wire::auth_rule::after_login) continue;
    if (one.type == frame_type::ack || one.type == frame_type::ping) continue;  // the gateway's
    EXPECT_NE(find_command(static_cast<uint32_t>(one.type)), nullptr) << one.name;
  }
}

}  // namespace
}  // namespace tern::session
