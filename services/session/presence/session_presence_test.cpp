#include "services/session/presence/session_presence.hpp"

#include "services/session/testing/requests.hpp"
#include "services/session/testing/session_fixture.hpp"

namespace tern::session {
namespace {

using std::chrono::milliseconds;
using wire::frame_type;

class session_presence_test : public session_fixture {
 protected:
  session_presence_test() {
    for (const account_id id : {stranger, carol}) storage.add_account(id);
    storage.befriend(alice, carol, talk(alice, carol));
  }

  wire::tim_presence to(std::vector<std::string_view> list) {
    wire::tim_presence out;
    out.status = "busy";
    out.show = 3;
    if (!list.empty()) out.to_list = std::move(list);
    return out;
  }
  wire::tim_presence to_one(const std::string& node) {
    wire::tim_presence out;
    out.status = "busy";
    out.to_tid.emplace().node = node;
    return out;
  }
  void say(uint64_t conn, account_id who, const wire::tim_presence& what, frame_type type = frame_type::presence) {
    frame(conn, who, type, what);
    settle();
    end_window();
  }
  /// Presences the connection got since the last call.
  std::vector<wire::tim_presence> heard(uint64_t conn) {
    std::vector<wire::tim_presence> out;
    for (auto& one : frames(conn, frame_type::presence)) {
      EXPECT_FALSE(one.has_ref()) << "no acknowledgement wanted";
      kept.push_back(std::move(one));
      auto decoded = wire::decode<wire::tim_presence>(wire::encoding::thrift, kept.back().payload(), memory);
      EXPECT_TRUE(decoded) << "not a TimPresence";
      if (decoded) out.push_back(*decoded);
    }
    return out;
  }
  void relate(uint64_t conn, account_id who, int32_t rtype, const std::string& node) {
    frame(conn, who, frame_type::business, req_of(rtype, node));
    settle();
  }

  static constexpr account_id carol{0x5555'0000'0000'0005};
  const std::string alice_node = to_node(alice);
  const std::string bob_node = to_node(bob);
  const std::string carol_node = to_node(carol);
  const std::string stranger_node = to_node(stranger);
};

TEST_F(session_presence_test, a_presence_reaches_every_terminal_of_a_friend_as_sent_with_its_sender) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  ASSERT_TRUE(log_on(3, bob, 2));
  say(1, alice, to_one(bob_node));
  for (const uint64_t conn : {2U, 3U}) {
    const auto got = heard(conn);
    ASSERT_EQ(got.size(), 1U);
    EXPECT_EQ(got[0].from_tid->node, alice_node);
    EXPECT_EQ(got[0].from_tid->resource, "phone");
    EXPECT_EQ(got[0].to_tid->node, bob_node);
    EXPECT_EQ(got[0].status, "busy");
  }
  EXPECT_TRUE(heard(1).empty());
  ASSERT_FALSE(gateway->items.empty());
  EXPECT_EQ(gateway->items.back().confirm().seq(), 1U) << "nothing but the confirmation comes back";
}

TEST_F(session_presence_test, of_a_list_only_friends_hear_it_and_the_rest_is_left_out_in_silence) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  ASSERT_TRUE(log_on(3, stranger));
  say(1, alice, to({bob_node, stranger_node, "no node"}));
  const auto got = heard(2);
  ASSERT_EQ(got.size(), 1U);
  EXPECT_FALSE(got[0].to_list) << "who else got it is nobody's business";
  EXPECT_TRUE(heard(3).empty());
  EXPECT_EQ(error_of(1), 0);
}

TEST_F(session_presence_test, errors_are_those_of_the_protocol) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(3, stranger));
  say(1, alice, to({}));
  EXPECT_EQ(error_of(1), 4104);
  say(1, alice, to_one(stranger_node));
  EXPECT_EQ(error_of(1), 4105);
  say(1, alice, to_one("no node"));
  EXPECT_EQ(error_of(1), 4106);
  auto elsewhere = to_one(bob_node);
  elsewhere.to_tid->domain = "elsewhere";
  say(1, alice, elsewhere);
  EXPECT_EQ(error_of(1), 4105);
  say(1, alice, to(std::vector<std::string_view>(501, bob_node)));
  EXPECT_EQ(error_of(1), 4104);
  say(1, alice, to(std::vector<std::string_view>(500, bob_node)));
  EXPECT_EQ(error_of(1), 0);
  raw_frame(1, alice, frame_type::presence, "\x01");
  settle();
  EXPECT_EQ(error_of(1), 4113);
  EXPECT_TRUE(heard(3).empty());
}

TEST_F(session_presence_test, without_targets_all_friends_on_line_hear_it) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  ASSERT_TRUE(log_on(3, stranger));
  ASSERT_TRUE(log_on(4, carol));
  ASSERT_TRUE(log_on(5, alice, 2));
  say(1, alice, to({}), frame_type::broadpresence);
  EXPECT_EQ(heard(2).size(), 1U);
  EXPECT_EQ(heard(4).size(), 1U);
  EXPECT_TRUE(heard(3).empty());
  EXPECT_TRUE(heard(5).empty()) << "the account itself is not among its friends";
}

TEST_F(session_presence_test, to_oneself_means_the_other_terminals) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, alice, 2));
  say(1, alice, to_one(alice_node));
  EXPECT_EQ(heard(2).size(), 1U);
  EXPECT_TRUE(heard(1).empty());
  EXPECT_EQ(error_of(1), 0);
}

TEST_F(session_presence_test, a_friendship_that_ends_or_a_block_counts_from_then_on_without_another_look) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  ASSERT_TRUE(log_on(4, carol));
  say(1, alice, to({}), frame_type::broadpresence);
  EXPECT_EQ(heard(2).size() + heard(4).size(), 2U);
  relate(2, bob, 7, alice_node);    // bob blocks alice
  relate(4, carol, 6, alice_node);  // carol ends it
  say(1, alice, to({}), frame_type::broadpresence);
  EXPECT_TRUE(heard(2).empty());
  EXPECT_TRUE(heard(4).empty());
  say(1, alice, to_one(bob_node));
  EXPECT_EQ(error_of(1), 4105);
  EXPECT_EQ(frames(2, frame_type::ack).size(), 1U);  // of the block
  say(2, bob, to_one(alice_node));
  EXPECT_EQ(error_of(2), 4105) << "who blocks does not reach the blocked either";
}

TEST_F(session_presence_test, who_blocks_is_not_reached_from_the_answer_on) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  say(1, alice, to_one(bob_node));
  EXPECT_EQ(heard(2).size(), 1U);
  frame(1, alice, frame_type::business, req_of(7, bob_node));
  frame(1, alice, frame_type::presence, to_one(bob_node));
  settle();
  end_window();
  EXPECT_TRUE(heard(2).empty());
}

TEST_F(session_presence_test, a_newer_presence_replaces_the_one_that_still_waits) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  auto first = to_one(bob_node);
  auto second = to_one(bob_node);
  second.status = "gone";
  frame(1, alice, frame_type::presence, first);
  frame(1, alice, frame_type::presence, second);
  settle();
  end_window();
  const auto got = heard(2);
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].status, "gone");
}

TEST_F(session_presence_test, friends_hear_that_the_last_terminal_is_gone_after_a_while) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  ASSERT_TRUE(log_on(3, stranger));
  close(1, alice);
  pass(milliseconds(400));
  EXPECT_TRUE(heard(2).empty());
  pass(milliseconds(400));
  const auto got = heard(2);
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].offline, true);
  EXPECT_EQ(got[0].from_tid->node, alice_node);
  EXPECT_TRUE(heard(3).empty());
}

TEST_F(session_presence_test, who_is_back_in_time_was_never_gone) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  close(1, alice);
  pass(milliseconds(300));
  ASSERT_TRUE(log_on(5, alice));
  pass(milliseconds(1000));
  EXPECT_TRUE(heard(2).empty());
  close(5, alice);
  pass(milliseconds(1000));
  EXPECT_EQ(heard(2).size(), 1U);
}

TEST_F(session_presence_test, the_notice_comes_even_if_the_actor_would_not_stay_so_long) {
  options.linger = milliseconds(0);
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  close(1, alice);
  pass(milliseconds(1000));
  EXPECT_EQ(heard(2).size(), 1U);
  pass(milliseconds(1000));
  EXPECT_FALSE(dir.find(alice));
}

TEST_F(session_presence_test, the_accounts_other_terminals_hear_of_one_that_goes_at_once) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, alice, 2));
  ASSERT_TRUE(log_on(3, bob));
  close(1, alice);
  const auto got = heard(2);
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].offline, true);
  EXPECT_EQ(got[0].from_tid->resource, "phone");
  EXPECT_EQ(got[0].from_tid->termtyp, 1);
  pass(milliseconds(2000));
  EXPECT_TRUE(heard(3).empty());
}

TEST_F(session_presence_test, a_switch_keeps_it_quiet) {
  options.presence_offline_block = true;
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, alice, 2));
  ASSERT_TRUE(log_on(3, bob));
  close(1, alice);
  EXPECT_TRUE(heard(2).empty());
  close(2, alice);
  pass(milliseconds(2000));
  EXPECT_TRUE(heard(3).empty());
}

TEST_F(session_presence_test, friends_of_another_node_get_one_item_together) {
  ASSERT_TRUE(log_on(1, alice));
  auto map = std::make_shared<placement::snapshot>();
  map->version = ++map_version;
  const slot_type mine = slot_of(alice);
  map->sessions = placement::range_map{{{0, mine, "session-0", 1}, {mine + 1, slot_count - 1, "session-1", 2}}};
  cluster.publish(map);
  say(1, alice, to({}), frame_type::broadpresence);
  ASSERT_EQ(peers.sent.size(), 1U);
  EXPECT_EQ(peers.sent[0].first, "session-1");
  const std::vector<uint64_t> expected{bob.value, carol.value};
  EXPECT_EQ(std::vector<uint64_t>(peers.sent[0].second.accounts().begin(), peers.sent[0].second.accounts().end()),
            expected);
}

TEST_F(session_presence_test, an_item_of_another_domain_or_for_nobody_on_line_goes_nowhere) {
  ASSERT_TRUE(log_on(2, bob));
  v1::PeerItem item;
  item.set_type(91);
  item.set_sender(alice.value);
  item.set_payload(wire::encode(wire::encoding::thrift, to({})));
  item.add_accounts(bob.value);
  item.add_accounts(carol.value);
  item.set_domain("elsewhere");
  std::vector<v1::PeerItem> items{item};
  deliver_here(env, items);
  settle();
  EXPECT_TRUE(heard(2).empty());
  EXPECT_FALSE(dir.find(carol)) << "nobody is woken for a presence";
  item.clear_domain();
  items = {item, item};
  deliver_here(env, items);
  settle();
  EXPECT_EQ(heard(2).size(), 2U);
}

TEST_F(session_presence_test, when_storage_does_not_answer_the_command_says_so_and_the_next_asks_again) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  storage.fail_next(storage::v1::StorageRequest::kRosterList, errc::deadline);
  say(1, alice, to_one(bob_node));
  EXPECT_EQ(error_of(1), 5103);
  say(1, alice, to_one(bob_node));
  EXPECT_EQ(error_of(1), 0);
  EXPECT_EQ(heard(2).size(), 1U);
}

}  // namespace
}  // namespace tern::session
