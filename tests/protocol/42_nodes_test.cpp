#include <algorithm>

#include "tests/protocol/fixture.hpp"

namespace tern::testing {
namespace {

using wire::frame_type;
using beans = std::vector<std::pair<wire::text, wire::tim_user_bean>>;
using room_beans = std::vector<std::pair<wire::text, wire::tim_room_bean>>;

class nodes_caller {
 public:
  explicit nodes_caller(tim_client& who) : who_(who) {}

  void ask(int32_t ntype, std::vector<wire::text> list) {
    wire::tim_nodes req;
    req.ntype = ntype;
    req.nodelist = std::move(list);
    who_.send(frame_type::nodes, req);
  }
  /// The answer; views live until the next read of this client.
  wire::tim_nodes answer(int32_t ntype) {
    const auto frame = who_.find([](const server_frame& f) { return f.type == frame_type::nodes; });
    EXPECT_TRUE(frame) << "no NODES " << ntype;
    if (!frame) return {};
    const auto out = who_.read<wire::tim_nodes>(*frame);
    EXPECT_EQ(out.ntype, ntype);
    return out;
  }
  void change_self(const wire::tim_user_bean& bean, std::string_view key = "me") {
    wire::tim_nodes req;
    req.ntype = 6;
    req.usermap = beans{{key, bean}};
    who_.send(frame_type::nodes, req);
  }
  void change_room(std::string_view room, const wire::tim_room_bean& bean) {
    wire::tim_nodes req;
    req.ntype = 7;
    req.roommap = room_beans{{room, bean}};
    who_.send(frame_type::nodes, req);
  }

 private:
  tim_client& who_;
};

const wire::tim_user_bean* user_of(const wire::tim_nodes& answer, std::string_view node) {
  if (!answer.usermap) return nullptr;
  const auto it =
      std::find_if(answer.usermap->begin(), answer.usermap->end(), [&](const auto& e) { return e.first == node; });
  return it == answer.usermap->end() ? nullptr : &it->second;
}

const wire::tim_room_bean* room_of(const wire::tim_nodes& answer, std::string_view node) {
  if (!answer.roommap) return nullptr;
  const auto it =
      std::find_if(answer.roommap->begin(), answer.roommap->end(), [&](const auto& e) { return e.first == node; });
  return it == answer.roommap->end() ? nullptr : &it->second;
}

TEST_P(protocol, 42_nodes_6_changes_the_given_fields_and_4_shows_them) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  wire::tim_user_bean bean;
  bean.name = "Alice";
  bean.nick_name = "Al";
  bean.gender = int8_t{2};
  bean.photo_tid_album = std::vector<wire::text>{"p1", "p2"};
  bean.extend = wire::string_map{{"k", "v"}};
  bean.extra = wire::string_map{{"b", std::string_view("\xfe\0", 2)}};
  nodes_caller(*alice).change_self(bean);
  expect_ok(*alice, frame_type::nodes, 6);
  wire::tim_user_bean more;
  more.area = "Bergen";
  more.nick_name = "Ally";
  nodes_caller(*alice).change_self(more);
  expect_ok(*alice, frame_type::nodes, 6);
  nodes_caller reader(*bob);
  reader.ask(4, {alice->node()});
  const auto answer = reader.answer(4);
  const auto* shown = user_of(answer, alice->node());
  ASSERT_NE(shown, nullptr);
  EXPECT_EQ(shown->name, "Alice");
  EXPECT_EQ(shown->nick_name, "Ally");
  EXPECT_EQ(shown->area, "Bergen");
  EXPECT_EQ(shown->gender, 2);
  EXPECT_EQ(shown->photo_tid_album, bean.photo_tid_album);
  EXPECT_EQ(shown->extend, bean.extend);
  EXPECT_EQ(shown->extra, bean.extra);
  EXPECT_TRUE(shown->createtime.value_or(0) > 0);
}

TEST_P(protocol, 42_nodes_4_leaves_out_who_is_unknown_or_of_another_domain) {
  auto alice = new_user("alice");
  auto elsewhere = new_user("elsewhere", nullptr, "blue");
  const std::string unknown = to_node(account_id{12345});
  nodes_caller reader(*alice);
  reader.ask(4, {elsewhere->node(), unknown, "nonsense", alice->node(), alice->node()});
  const auto answer = reader.answer(4);
  EXPECT_NE(user_of(answer, alice->node()), nullptr);
  EXPECT_EQ(answer.usermap ? answer.usermap->size() : 0, 1U);
  reader.ask(4, {unknown});
  EXPECT_TRUE(reader.answer(4).usermap.value_or(beans{}).empty());
}

TEST_P(protocol, 42_nodes_4_and_5_refuse_lists_above_500) {
  auto alice = new_user("alice");
  const std::string node = alice->node();
  for (const int32_t ntype : {4, 5}) {
    nodes_caller(*alice).ask(ntype, std::vector<wire::text>(501, node));
    const auto ack = alice->next_ack();
    EXPECT_FALSE(ack.ok);
    ASSERT_TRUE(ack.error);
    EXPECT_TRUE(ack.error->code == 4104 || ack.error->code == 4113) << ack.error->code.value_or(0);
  }
  nodes_caller reader(*alice);
  reader.ask(4, std::vector<wire::text>(500, node));
  EXPECT_NE(user_of(reader.answer(4), node), nullptr);
}

TEST_P(protocol, 42_nodes_5_shows_a_room_to_its_domain) {
  auto founder = new_user("founder");
  auto stranger = new_user("stranger");
  auto elsewhere = new_user("elsewhere", nullptr, "blue");
  const std::string room = new_room(*founder, private_room, "Chess");
  nodes_caller reader(*stranger);
  reader.ask(5, {room, to_node(room_id{5}), "nonsense"});
  const auto answer = reader.answer(5);
  const auto* shown = room_of(answer, room);
  ASSERT_NE(shown, nullptr);
  EXPECT_EQ(answer.roommap->size(), 1U);
  EXPECT_EQ(shown->topic, "Chess");
  EXPECT_EQ(shown->founder, founder->node());
  EXPECT_EQ(shown->gtype, private_room);
  EXPECT_TRUE(shown->createtime.value_or(0) > 0);
  nodes_caller other(*elsewhere);
  other.ask(5, {room});
  EXPECT_TRUE(other.answer(5).roommap.value_or(room_beans{}).empty());
}

TEST_P(protocol, 42_nodes_7_is_for_managers_and_the_list_of_managers_for_the_founder) {
  auto founder = new_user("founder");
  auto manager = new_user("manager");
  auto member = new_user("member");
  const std::string room = new_room(*founder);
  pull_in(*founder, room, *manager);
  pull_in(*founder, room, *member);
  make_manager(*founder, room, *manager);
  wire::tim_room_bean bean;
  bean.topic = "new topic";
  bean.label = "label";
  nodes_caller(*manager).change_room(room, bean);
  const auto ack = expect_ok(*manager, frame_type::nodes, 7);
  EXPECT_TRUE(ack.ok);
  nodes_caller(*member).change_room(room, bean);
  expect_refused(*member, frame_type::nodes, 4105);
  wire::tim_room_bean more;
  more.managers = std::vector<wire::text>{member->node()};
  nodes_caller(*manager).change_room(room, more);
  expect_refused(*manager, frame_type::nodes, 4105);
  nodes_caller(*founder).change_room(to_node(room_id{5}), bean);
  expect_refused(*founder, frame_type::nodes, 4109);
  nodes_caller reader(*member);
  reader.ask(5, {room});
  const auto answer = reader.answer(5);
  const auto* shown = room_of(answer, room);
  ASSERT_NE(shown, nullptr);
  EXPECT_EQ(shown->topic, "new topic");
  EXPECT_EQ(shown->label, "label");
  EXPECT_EQ(shown->founder, founder->node());
  ASSERT_TRUE(shown->managers);
  EXPECT_NE(std::find(shown->managers->begin(), shown->managers->end(), manager->node()), shown->managers->end());
}

TEST_P(protocol, 42_nodes_6_and_7_take_one_entry_of_a_bounded_size) {
  auto alice = new_user("alice");
  nodes_caller caller(*alice);
  wire::tim_user_bean bean;
  wire::tim_nodes req;
  req.ntype = 6;
  alice->send(frame_type::nodes, req);
  expect_refused(*alice, frame_type::nodes, 4104);
  req.usermap = beans{{"a", bean}, {"b", bean}};
  alice->send(frame_type::nodes, req);
  expect_refused(*alice, frame_type::nodes, 4104);
  wire::tim_nodes rooms;
  rooms.ntype = 7;
  alice->send(frame_type::nodes, rooms);
  expect_refused(*alice, frame_type::nodes, 4104);
  const std::string large(17 * 1024, 'x');
  bean.extra = wire::string_map{{"k", large}};
  caller.change_self(bean);
  expect_refused(*alice, frame_type::nodes, 4104);
}

TEST_P(protocol, 42_nodes_of_other_types_are_refused) {
  auto alice = new_user("alice");
  nodes_caller caller(*alice);
  for (const int32_t ntype : {-1, 0, 1, 2, 3, 8, 9, 10, 11, 127}) {
    caller.ask(ntype, {alice->node()});
    expect_refused(*alice, frame_type::nodes, 4107);
  }
}

}  // namespace
}  // namespace tern::testing
