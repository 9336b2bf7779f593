#include <algorithm>

#include "tests/protocol/fixture.hpp"

namespace tern::testing {
namespace {

using wire::frame_type;

TEST_P(protocol, 90_message_to_a_room_reaches_every_member_and_the_sender) {
  auto founder = new_user("founder");
  auto member = new_user("member");
  auto third = new_user("third");
  const std::string room = new_room(*founder);
  pull_in(*founder, room, *member);
  pull_in(*founder, room, *third);
  const int64_t first = send_to_room(*founder, room, "one", 77);
  const int64_t second = send_to_room(*member, room, "two");
  EXPECT_EQ(second, first + 1) << "mids of a room are dense";
  for (auto* one : {member.get(), third.get()}) {
    const auto got = expect_room_text(*one, room, "one");
    EXPECT_EQ(got.mid, first);
    EXPECT_EQ(got.id, 77);
    EXPECT_EQ(got.from, founder->node());
  }
  for (auto* one : {founder.get(), third.get()}) {
    const auto got = expect_room_text(*one, room, "two");
    EXPECT_EQ(got.mid, second);
    EXPECT_EQ(got.from, member->node());
  }
}

TEST_P(protocol, 90_message_to_a_room_crosses_gateways_and_session_nodes) {
  std::vector<client_ptr> members;
  for (size_t i = 0; i < 4; ++i) members.push_back(new_user_in_half(i / 2 == 1, i % 2));
  const std::string room = new_room(*members[0]);
  for (size_t i = 1; i < 4; ++i) pull_in(*members[0], room, *members[i]);
  for (size_t sender = 0; sender < 4; ++sender) {
    const std::string text = "from " + std::to_string(sender);
    const int64_t mid = send_to_room(*members[sender], room, text);
    for (size_t i = 0; i < 4; ++i) {
      if (i != sender) {
        EXPECT_EQ(expect_room_text(*members[i], room, text).mid, mid);
      }
    }
  }
}

TEST_P(protocol, 90_message_to_a_room_keeps_one_order_for_all_members) {
  std::vector<client_ptr> members;
  for (size_t i = 0; i < 4; ++i) members.push_back(new_user_in_half(i / 2 == 1, i % 2));
  const std::string room = new_room(*members[0]);
  for (size_t i = 1; i < 4; ++i) pull_in(*members[0], room, *members[i]);
  constexpr int each = 50;
  for (int i = 0; i < each; ++i) {
    for (auto& one : members) one->send(frame_type::message, room_message(room, std::to_string(i)));
  }
  std::vector<std::vector<std::string>> seen(members.size());
  for (size_t at = 0; at < members.size(); ++at) {
    int64_t last = 0;
    while (seen[at].size() < each * members.size()) {
      const auto got = expect_message(
          *members[at], [&](const seen_message& m) { return m.ms_type == 3; }, "a room message");
      ASSERT_GT(got.mid, 0);
      if (last != 0) {
        ASSERT_EQ(got.mid, last + 1) << "in order, without a gap, once";
      }
      last = got.mid;
      seen[at].push_back(got.from + " " + got.text);
    }
    EXPECT_EQ(seen[at], seen[0]);
  }
  for (const auto& one : members) {
    int next = 0;
    for (const auto& line : seen[0]) {
      if (line.starts_with(one->node())) {
        EXPECT_EQ(line, one->node() + " " + std::to_string(next++)) << "a sender's own order";
      }
    }
    EXPECT_EQ(next, each);
  }
}

TEST_P(protocol, 90_message_to_a_room_waits_for_a_member_off_line) {
  auto founder = new_user("founder");
  std::string name;
  auto member = new_user("member", &name);
  const std::string room = new_room(*founder);
  pull_in(*founder, room, *member);
  const int64_t before = send_to_room(*founder, room, "seen");
  expect_room_text(*member, room, "seen");
  settle(*member);
  member.reset();
  constexpr int count = 120;
  for (int i = 1; i <= count; ++i) send_to_room(*founder, room, "text " + std::to_string(i));
  member = log_in(name);
  std::vector<seen_message> got;
  for (auto& m : drain(*member)) {
    if (m.room == room && m.od_type == 1) got.push_back(std::move(m));
  }
  if (!got.empty() && got.front().text == "seen") got.erase(got.begin());  // its acknowledgement may have been lost
  ASSERT_EQ(got.size(), count);
  for (int i = 1; i <= count; ++i) {
    const auto& m = got[static_cast<size_t>(i - 1)];
    EXPECT_EQ(m.text, "text " + std::to_string(i));
    EXPECT_EQ(m.mid, before + i);
    EXPECT_TRUE(m.offline);
  }
  const int64_t live = send_to_room(*founder, room, "live");
  EXPECT_EQ(expect_room_text(*member, room, "live").mid, live);
  settle(*member);
  for (const auto& m : drain(*member)) EXPECT_NE(m.room, room) << m.text;
}

TEST_P(protocol, 90_message_to_a_room_is_kept_until_acknowledged) {
  auto founder = new_user("founder");
  std::string name;
  auto member = new_user("member", &name);
  const std::string room = new_room(*founder);
  pull_in(*founder, room, *member);
  member->acknowledge_by_itself(false);
  const int64_t mid = send_to_room(*founder, room, "again");
  expect_room_text(*member, room, "again");
  member.reset();
  member = log_in(name);
  member->send_bytes(frame_type::offlinemsg, {});
  // In a list; or as it was, if the end of the first connection has not been noticed yet.
  const auto is_it = [&](const seen_message& m) { return m.room == room && m.mid == mid && m.text == "again"; };
  const auto got = member->find([&](const server_frame& f) {
    if (f.type == frame_type::message) return is_it(own(member->read<wire::tim_message>(f)));
    if (f.type != frame_type::offlinemsg) return false;
    const auto list = member->read<wire::tim_message_list>(f).message_list;
    return list && std::any_of(list->begin(), list->end(), [&](const auto& one) { return is_it(own(one)); });
  });
  EXPECT_TRUE(got);
}

TEST_P(protocol, 90_message_to_a_room_is_delivered_to_members_that_never_ask_for_the_backlog) {
  auto founder = new_user("founder");
  std::string name;
  auto member = new_user("member", &name);
  const std::string room = new_room(*founder);
  pull_in(*founder, room, *member);
  settle(*member);
  member.reset();
  send_to_room(*founder, room, "missed");
  member = log_in(name);
  settle(*member);
  const int64_t mid = send_to_room(*founder, room, "next");
  // Behind in the room: what was missed comes first, in a list by itself.
  std::vector<std::string> order;
  while (order.empty() || order.back() != "next") {
    const auto frame = member->find(
        [](const server_frame& f) { return f.type == frame_type::message || f.type == frame_type::offlinemsg; });
    ASSERT_TRUE(frame);
    if (frame->type == frame_type::message) {
      const auto m = own(member->read<wire::tim_message>(*frame));
      if (m.room == room && m.od_type == 1) order.push_back(m.text);
    } else {
      const auto list = member->read<wire::tim_message_list>(*frame);
      ASSERT_TRUE(list.message_list);
      for (const auto& entry : *list.message_list) {
        const auto m = own(entry);
        if (m.room == room && m.od_type == 1) order.push_back(m.text);
        if (m.text == "next") {
          EXPECT_EQ(m.mid, mid);
        }
      }
    }
  }
  EXPECT_EQ(order, (std::vector<std::string>{"missed", "next"}));
}

TEST_P(protocol, 90_message_to_a_room_does_not_show_what_was_before_one_joined_as_off_line) {
  auto founder = new_user("founder");
  auto guest = new_user("guest");
  const std::string room = new_room(*founder);
  send_to_room(*founder, room, "before");
  business(*guest, 9, room);
  expect_notice(*guest, {}, 10);
  for (const auto& m : drain(*guest)) EXPECT_NE(m.text, "before");
  const auto page = pull(*guest, history(2, room, 0, 10));
  ASSERT_EQ(page.size(), 1U) << "members read the whole history";
  EXPECT_EQ(page[0].text, "before");
}

TEST_P(protocol, 90_message_to_a_room_goes_to_every_terminal_wherever_it_is) {
  std::string founder_name, member_name;
  auto founder = new_user("founder", &founder_name);
  auto founder_phone = log_in(founder_name);
  auto member = new_user("member", &member_name);
  auto member_phone = log_in(member_name);
  const std::string room = new_room(*founder);
  pull_in(*founder, room, *member);
  const int64_t mid = send_to_room(*founder, room, "all");
  for (auto* one : {founder_phone.get(), member.get(), member_phone.get()}) {
    EXPECT_EQ(expect_room_text(*one, room, "all").mid, mid);
  }
}

TEST_P(protocol, 90_message_to_a_room_sent_twice_with_one_id_is_one_message) {
  auto founder = new_user("founder");
  auto member = new_user("member");
  const std::string room = new_room(*founder);
  pull_in(*founder, room, *member);
  const int64_t mid = send_to_room(*founder, room, "once", 4711);
  founder->send(frame_type::message, room_message(room, "another body", 4711));
  const auto again = expect_message(
      *founder, [&](const seen_message& m) { return m.ms_type == 3 && m.id == 4711; }, "the receipt again");
  EXPECT_EQ(again.mid, mid);
  const int64_t next = send_to_room(*founder, room, "next");
  EXPECT_EQ(next, mid + 1);
  EXPECT_EQ(expect_room_text(*member, room, "once").mid, mid);
  EXPECT_EQ(expect_room_text(*member, room, "next").mid, next);
  EXPECT_EQ(pull(*member, history(2, room, 0, 10)).size(), 2U);
}

TEST_P(protocol, 90_message_to_a_room_by_others_than_members_is_refused) {
  auto founder = new_user("founder");
  auto stranger = new_user("stranger");
  const std::string room = new_room(*founder);
  for (const std::string& node : {room, to_node(room_id{99}), std::string("nonsense")}) {
    stranger->send(frame_type::message, room_message(node, "x"));
    expect_refused(*stranger, frame_type::message, 4105);
  }
  expect_no_text(*founder, "x");
  auto nowhere = room_message(room, "x");
  nowhere.room_tid.reset();
  founder->send(frame_type::message, nowhere);
  EXPECT_FALSE(founder->next_ack().ok);
}

TEST_P(protocol, 90_message_private_in_a_room_needs_no_friendship) {
  auto founder = new_user("founder");
  auto member = new_user("member");
  auto stranger = new_user("stranger");
  const std::string room = new_room(*founder);
  pull_in(*founder, room, *member);
  auto message = text_message(member->node(), "psst");
  message.room_tid.emplace().node = room;
  founder->send(frame_type::message, message);
  const auto receipt = expect_message(
      *founder, [](const seen_message& m) { return m.text == "psst"; }, "the receipt");
  const auto got = expect_message(
      *member, [](const seen_message& m) { return m.text == "psst"; }, "psst");
  EXPECT_EQ(got.mid, receipt.mid);
  EXPECT_EQ(got.ms_type, 2);
  EXPECT_EQ(got.from, founder->node());
  EXPECT_EQ(got.room, room);
  EXPECT_TRUE(pull(*member, history(2, room, 0, 10)).empty()) << "not in the room's history";
  auto wrong = text_message(stranger->node(), "psst");
  wrong.room_tid.emplace().node = room;
  founder->send(frame_type::message, wrong);
  expect_refused(*founder, frame_type::message, 4105);
  wrong.to_tid->node = founder->node();
  stranger->send(frame_type::message, wrong);
  expect_refused(*stranger, frame_type::message, 4105);
  business(*member, 7, founder->node());
  expect_ok(*member, frame_type::business, 7);
  expect_notice(*founder, member->node(), 7);
  founder->send(frame_type::message, message);
  expect_refused(*founder, frame_type::message, 4110);
}

TEST_P(protocol, 90_message_above_odtype_30_is_delivered_and_kept_but_not_in_the_history) {
  auto alice = new_user("alice");
  std::string name;
  auto bob = new_user("bob", &name);
  befriend(*alice, *bob);
  const std::string room = new_room(*alice), node = bob->node();
  pull_in(*alice, room, *bob);
  const auto send = [&](bool to_room, std::string_view text) {
    auto message = to_room ? room_message(room, text) : text_message(node, text);
    message.od_type = 31;
    alice->send(frame_type::message, message);
    return expect_message(
               *alice, [&](const seen_message& m) { return m.text == text; }, "the receipt")
        .mid;
  };
  for (const bool to_room : {false, true}) {
    const std::string stem = to_room ? "room " : "user ";
    const int64_t mid = send(to_room, stem + "live");
    const auto live = expect_message(
        *bob, [&](const seen_message& m) { return m.text == stem + "live"; }, stem);
    EXPECT_EQ(live.mid, mid);
    EXPECT_EQ(live.od_type, 31);
  }
  settle(*bob);
  bob.reset();
  const int64_t user_mid = send(false, "user later"), room_mid = send(true, "room later");
  bob = log_in(name);
  int found = 0;
  for (const auto& m : drain(*bob)) {
    if (m.text == "user later" && m.mid == user_mid && m.od_type == 31) ++found;
    if (m.text == "room later" && m.mid == room_mid && m.od_type == 31) ++found;
  }
  EXPECT_EQ(found, 2);
  const int64_t listed = send_text(*alice, node, "listed");
  EXPECT_EQ(listed, user_mid + 1) << "they are numbered as any message";
  const auto page = pull(*bob, history(1, alice->node(), 0, 100));
  ASSERT_EQ(page.size(), 1U);
  EXPECT_EQ(page[0].text, "listed");
  EXPECT_TRUE(pull(*bob, history(2, room, 0, 100)).empty());
}

TEST_P(protocol, 21_pullmessage_of_a_room_reads_newest_first) {
  auto founder = new_user("founder");
  auto member = new_user("member");
  auto stranger = new_user("stranger");
  const std::string room = new_room(*founder);
  pull_in(*founder, room, *member);
  std::vector<int64_t> mids;
  for (int i = 1; i <= 5; ++i) mids.push_back(send_to_room(*founder, room, "text " + std::to_string(i)));
  auto page = pull(*member, history(2, room, 0, 2));
  ASSERT_EQ(page.size(), 2U);
  EXPECT_EQ(page[0].mid, mids[4]);
  EXPECT_EQ(page[1].mid, mids[3]);
  page = pull(*member, history(2, room, mids[2], 100));
  ASSERT_EQ(page.size(), 3U);
  EXPECT_EQ(page[0].mid, mids[2]);
  EXPECT_EQ(page[2].text, "text 1");
  EXPECT_EQ(page[2].from, founder->node());
  EXPECT_EQ(page[2].room, room);
  stranger->send(frame_type::pullmessage, history(2, room, 0, 10));
  expect_refused(*stranger, frame_type::pullmessage, 4105);
  stranger->send(frame_type::pullmessage, history(2, to_node(room_id{77}), 0, 10));
  expect_refused(*stranger, frame_type::pullmessage, 4105);
}

}  // namespace
}  // namespace tern::testing
