#include <algorithm>

#include "tests/protocol/fixture.hpp"

namespace tern::testing {
namespace {

using wire::frame_type;
using node_list = std::vector<std::string>;

node_list sorted(node_list list) {
  std::sort(list.begin(), list.end());
  return list;
}

TEST_P(protocol, 41_business_8_makes_a_room_with_its_founder_in_it) {
  auto founder = new_user("founder");
  EXPECT_TRUE(list_of(*founder, 2).empty());
  const std::string open = new_room(*founder, open_room, "Chess");
  const std::string closed = new_room(*founder, private_room, "Go");
  EXPECT_NE(open, closed);
  EXPECT_EQ(list_of(*founder, 2), sorted({open, closed}));
  EXPECT_EQ(list_of(*founder, 3, open), node_list{founder->node()});
}

TEST_P(protocol, 41_business_8_refuses_names_and_kinds_that_cannot_be) {
  auto founder = new_user("founder");
  const auto attempt = [&](std::string_view name, std::optional<int64_t> kind) {
    wire::tim_req req;
    req.rtype = 8;
    if (name != "-") req.node = name;
    req.req_int = kind;
    founder->send(frame_type::business, req);
    expect_refused(*founder, frame_type::business, 4104);
  };
  attempt("-", 1);
  attempt("", 1);
  attempt(std::string(65, 'x'), 1);
  attempt("a\nb", 1);
  attempt("fine", {});
  for (const int64_t kind : {int64_t{0}, int64_t{3}, int64_t{-1}, int64_t{1} << 40U, INT64_MIN})
    attempt("fine", kind);
  EXPECT_TRUE(list_of(*founder, 2).empty());
  const std::string longest = new_room(*founder, open_room, std::string(64, 'x'));
  EXPECT_EQ(list_of(*founder, 2), node_list{longest});
}

TEST_P(protocol, 41_business_9_joins_an_open_room_at_once) {
  auto founder = new_user("founder");
  auto guest = new_user("guest");
  const std::string room = new_room(*founder);
  business(*guest, 9, room);
  const auto notice = expect_notice(*guest, {}, 10);
  EXPECT_EQ(notice.room, room);
  EXPECT_EQ(list_of(*guest, 2), node_list{room});
  EXPECT_EQ(list_of(*founder, 3, room), sorted({founder->node(), guest->node()}));
  business(*guest, 9, room);
  expect_refused(*guest, frame_type::business, 4101);
}

TEST_P(protocol, 41_business_9_applies_to_the_founder_and_every_manager_of_a_private_room) {
  auto founder = new_user("founder");
  auto manager = new_user("manager");
  auto member = new_user("member");
  auto guest = new_user("guest");
  const std::string room = new_room(*founder, private_room);
  pull_in(*founder, room, *manager);
  pull_in(*founder, room, *member);
  make_manager(*founder, room, *manager);
  business(*guest, 9, room, "it is me");
  for (auto* one : {founder.get(), manager.get()}) {
    const auto notice = expect_notice(*one, guest->node(), 9);
    EXPECT_EQ(notice.room, room);
    EXPECT_EQ(notice.text, "it is me");
  }
  EXPECT_TRUE(list_of(*guest, 2).empty());
  business(*guest, 9, room, "again");
  expect_refused(*guest, frame_type::business, 4117);
  // The manager admits: the applicant hears 10, as one whose application passed.
  business_on(*manager, 12, room, guest->node());
  const auto ack = expect_ok(*manager, frame_type::business, 12);
  EXPECT_EQ(ack.n, room);
  EXPECT_EQ(ack.n2, guest->node());
  EXPECT_EQ(expect_notice(*guest, {}, 10).room, room);
  EXPECT_EQ(list_of(*guest, 2), node_list{room});
  const auto not_for_members = [&](const server_frame& f) {
    return f.type == frame_type::message && member->read<wire::tim_message>(f).bn_type == 9;
  };
  expect_none(*member, not_for_members, "an application at a plain member");
}

TEST_P(protocol, 41_business_11_refuses_an_application_with_a_reason) {
  auto founder = new_user("founder");
  auto guest = new_user("guest");
  const std::string room = new_room(*founder, private_room);
  business_on(*founder, 11, room, guest->node(), "never asked");
  expect_refused(*founder, frame_type::business, 4103);
  business(*guest, 9, room);
  expect_notice(*founder, guest->node(), 9);
  business_on(*founder, 11, room, guest->node(), "too many");
  expect_ok(*founder, frame_type::business, 11);
  const auto notice = expect_notice(*guest, {}, 11);
  EXPECT_EQ(notice.room, room);
  EXPECT_EQ(notice.text, "too many");
  EXPECT_TRUE(list_of(*guest, 2).empty());
  business_on(*founder, 11, room, guest->node());
  expect_refused(*founder, frame_type::business, 4103);
  business(*guest, 9, room);
  expect_notice(*founder, guest->node(), 9);
}

TEST_P(protocol, 41_business_12_pulls_in_by_any_member_of_an_open_and_managers_of_a_private_room) {
  auto founder = new_user("founder");
  auto member = new_user("member");
  auto guest = new_user("guest");
  for (const int kind : {open_room, private_room}) {
    const std::string room = new_room(*founder, kind);
    pull_in(*founder, room, *member);
    if (kind == open_room) {
      pull_in(*member, room, *guest);
      business_on(*founder, 12, room, guest->node());
      expect_refused(*founder, frame_type::business, 4101);
    } else {
      business_on(*member, 12, room, guest->node());
      expect_refused(*member, frame_type::business, 4105);
      make_manager(*founder, room, *member);
      pull_in(*member, room, *guest);
    }
    business_on(*founder, 12, room, to_node(account_id{12345}));
    expect_refused(*founder, frame_type::business, 4106);
    EXPECT_EQ(list_of(*guest, 3, room), sorted({founder->node(), member->node(), guest->node()}));
  }
}

TEST_P(protocol, 41_business_12_reaches_who_is_off_line) {
  auto founder = new_user("founder");
  std::string name;
  auto guest = new_user("guest", &name);
  const std::string room = new_room(*founder), node = guest->node();
  guest.reset();
  business_on(*founder, 12, room, node);
  expect_ok(*founder, frame_type::business, 12);
  send_to_room(*founder, room, "welcome");
  guest = log_in(name);
  bool notice = false, text = false;
  // Both are off-line, or live when they were stored only after the login.
  for (const auto& m : drain(*guest)) {
    notice = notice || (m.is_notice(12) && m.room == room);
    text = text || m.text == "welcome";
  }
  if (!notice) expect_notice(*guest, {}, 12);
  if (!text) expect_room_text(*guest, room, "welcome");
  EXPECT_EQ(list_of(*guest, 2), node_list{room});
}

TEST_P(protocol, 41_business_13_kicks_members_by_managers_and_managers_by_the_founder) {
  auto founder = new_user("founder");
  auto one = new_user("manager");
  auto other = new_user("manager");
  auto member = new_user("member");
  const std::string room = new_room(*founder);
  for (auto* who : {one.get(), other.get(), member.get()}) pull_in(*founder, room, *who);
  wire::tim_nodes change;
  change.ntype = 7;
  wire::tim_room_bean bean;
  bean.managers = std::vector<wire::text>{one->node(), other->node()};
  change.roommap.emplace().emplace_back(room, bean);
  founder->send(frame_type::nodes, change);
  expect_ok(*founder, frame_type::nodes, 7);
  business_on(*one, 13, room, other->node());
  expect_refused(*one, frame_type::business, 4105);
  business_on(*one, 13, room, founder->node());
  expect_refused(*one, frame_type::business, 4105);
  business_on(*founder, 13, room, founder->node());
  expect_refused(*founder, frame_type::business, 4105);
  business_on(*member, 13, room, one->node());
  expect_refused(*member, frame_type::business, 4105);
  business_on(*one, 13, room, member->node());
  expect_ok(*one, frame_type::business, 13);
  EXPECT_EQ(expect_notice(*member, {}, 13).room, room);
  business_on(*founder, 13, room, other->node());
  expect_ok(*founder, frame_type::business, 13);
  expect_notice(*other, {}, 13);
  EXPECT_EQ(list_of(*founder, 3, room), sorted({founder->node(), one->node()}));
  EXPECT_TRUE(list_of(*member, 2).empty());
  // Who was kicked may come again, and is no manager then.
  business(*other, 9, room);
  expect_notice(*other, {}, 10);
  business_on(*other, 13, room, one->node());
  expect_refused(*other, frame_type::business, 4105);
}

TEST_P(protocol, 41_business_13_ends_the_deliveries_of_the_room) {
  auto founder = new_user("founder");
  auto member = new_user("member");
  const std::string room = new_room(*founder);
  pull_in(*founder, room, *member);
  send_to_room(*founder, room, "before");
  expect_room_text(*member, room, "before");
  business_on(*founder, 13, room, member->node());
  expect_ok(*founder, frame_type::business, 13);
  send_to_room(*founder, room, "after");
  expect_notice(*member, {}, 13);
  member->send(frame_type::message, room_message(room, "let me in"));
  expect_refused(*member, frame_type::message, 4105);
  expect_no_text(*member, "after");
}

TEST_P(protocol, 41_business_14_refuses_a_room_for_good) {
  auto founder = new_user("founder");
  auto member = new_user("member");
  const std::string room = new_room(*founder);
  pull_in(*founder, room, *member);
  for (int round = 0; round < 2; ++round) {
    business(*member, 14, room);
    expect_ok(*member, frame_type::business, 14);
  }
  EXPECT_TRUE(list_of(*member, 2).empty());
  EXPECT_EQ(list_of(*member, 19), node_list{room});
  EXPECT_EQ(list_of(*founder, 3, room), node_list{founder->node()});
  business_on(*founder, 12, room, member->node());
  expect_refused(*founder, frame_type::business, 4110);
  business(*founder, 14, room);
  expect_refused(*founder, frame_type::business, 4105);
  // One's own block ends by applying.
  business(*member, 9, room);
  expect_notice(*member, {}, 10);
  EXPECT_TRUE(list_of(*member, 19).empty());
}

TEST_P(protocol, 41_business_15_bars_until_a_manager_pulls_in_again) {
  auto founder = new_user("founder");
  auto member = new_user("member");
  auto stranger = new_user("stranger");
  const std::string room = new_room(*founder);
  pull_in(*founder, room, *member);
  for (auto* who : {member.get(), stranger.get()}) {
    business_on(*founder, 15, room, who->node());
    const auto ack = expect_ok(*founder, frame_type::business, 15);
    EXPECT_EQ(ack.n, room);
    EXPECT_EQ(ack.n2, who->node());
    business(*who, 9, room);
    expect_refused(*who, frame_type::business, 4110);
  }
  EXPECT_EQ(list_of(*founder, 20, room), sorted({member->node(), stranger->node()}));
  EXPECT_EQ(list_of(*founder, 3, room), node_list{founder->node()});
  pull_in(*founder, room, *member);
  EXPECT_EQ(list_of(*founder, 20, room), node_list{stranger->node()});
  business(*member, 20, room);
  expect_refused(*member, frame_type::business, 4105);
}

TEST_P(protocol, 41_business_16_leaves_but_not_the_founder) {
  auto founder = new_user("founder");
  auto member = new_user("member");
  const std::string room = new_room(*founder);
  pull_in(*founder, room, *member);
  business(*founder, 16, room);
  expect_refused(*founder, frame_type::business, 4105);
  business(*member, 16, room);
  expect_ok(*member, frame_type::business, 16);
  EXPECT_TRUE(list_of(*member, 2).empty());
  business(*member, 16, room);
  expect_refused(*member, frame_type::business, 4105);
  business(*member, 3, room);
  expect_refused(*member, frame_type::business, 4104);
}

TEST_P(protocol, 41_business_17_cancels_by_the_founder_as_last_member) {
  auto founder = new_user("founder");
  auto member = new_user("member");
  const std::string room = new_room(*founder);
  pull_in(*founder, room, *member);
  business(*founder, 17, room);
  expect_refused(*founder, frame_type::business, 4105);
  business(*member, 17, room);
  expect_refused(*member, frame_type::business, 4105);
  business(*member, 16, room);
  expect_ok(*member, frame_type::business, 16);
  business(*founder, 17, room);
  expect_ok(*founder, frame_type::business, 17);
  EXPECT_TRUE(list_of(*founder, 2).empty());
  business(*founder, 17, room);
  expect_refused(*founder, frame_type::business, 4108);
  business(*member, 9, room);
  expect_refused(*member, frame_type::business, 4108);
  business_on(*founder, 12, room, member->node());
  expect_refused(*founder, frame_type::business, 4108);
}

TEST_P(protocol, 41_business_room_errors_name_the_command_and_the_room) {
  auto founder = new_user("founder");
  auto guest = new_user("guest");
  const std::string room = new_room(*founder);
  business_on(*guest, 15, room, founder->node());
  const auto ack = guest->next_ack();
  EXPECT_FALSE(ack.ok);
  EXPECT_EQ(ack.t, 15);
  EXPECT_EQ(ack.n, room);
}

TEST_P(protocol, 41_business_rooms_of_another_domain_do_not_exist) {
  auto founder = new_user("founder", nullptr, "red");
  auto guest = new_user("guest", nullptr, "blue");
  const std::string room = new_room(*founder);
  for (const int32_t what : {9, 14, 16, 17}) {
    business(*guest, what, room);
    expect_refused(*guest, frame_type::business, 4109);
  }
  business(*guest, 3, room);
  expect_refused(*guest, frame_type::business, 4106);
  business_on(*founder, 12, room, guest->node());
  expect_refused(*founder, frame_type::business, 4106);
  guest->send(frame_type::message, room_message(room, "hello"));
  expect_refused(*guest, frame_type::message, 4105);
}

TEST_P(protocol, 41_business_refuses_nodes_that_are_none) {
  auto founder = new_user("founder");
  const std::string room = new_room(*founder);
  const std::string swapped = to_node(node_kind::account, *from_node(node_kind::room, room));
  for (const std::string& node :
       {std::string("nonsense"), swapped, founder->node(), room + "1", std::string("0OIl")}) {
    for (const int32_t what : {9, 14, 16, 17}) {
      business(*founder, what, node);
      expect_refused(*founder, frame_type::business, 4109);
    }
    business(*founder, 3, node);
    expect_refused(*founder, frame_type::business, 4106);
  }
  for (const int32_t what : {9, 12, 13}) {
    business(*founder, what);
    const auto ack = founder->next_ack();
    EXPECT_FALSE(ack.ok) << what;
  }
}

}  // namespace
}  // namespace tern::testing
