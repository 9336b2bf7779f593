// Names, nodes, domains, histories, rosters and rooms that are wrong, odd or used at the wrong moment.
#include <algorithm>
#include <thread>

#include "tests/protocol/bad_inputs.hpp"

namespace tern::testing {
namespace {

using wire::encoding;
using wire::frame_type;

/// Suffixes of the same length per place and round, so that names stay unique.
class bad_objects : public bad_inputs {
 protected:
  account_answer enrol(std::string_view name, std::string_view domain = {}) {
    return account_call(port(), frame_type::reg, enc(), name, "secret", domain);
  }
};

TEST_P(bad_objects, names_that_are_refused) {
  EXPECT_EQ(enrol("").code, 4104);
  EXPECT_EQ(enrol(std::string(65, 'x')).code, 4104);
  EXPECT_EQ(enrol(std::string("a\0b", 3)).code, 4104);
  EXPECT_EQ(enrol("tab\there").code, 4104);
  EXPECT_EQ(enrol("del\x7Fhere").code, 4104);
  EXPECT_EQ(enrol("fine", std::string(65, 'd')).code, 4104);
  EXPECT_EQ(enrol("fine", "new\nline").code, 4104);
  const auto huge = enrol(std::string(5000, 'x'));
  EXPECT_TRUE(huge.code != 0) << huge.status;
  if (enc() == encoding::thrift) {
    for (const std::string bad : {"\xC3(", "\xED\xA0\x80", "\xF5\x80\x80\x80", "\xC0\xAF"}) {
      EXPECT_NE(enrol(bad).code, 0) << "no UTF-8";
    }
  }
}

TEST_P(bad_objects, names_that_look_alike_are_different_accounts) {
  const std::string mark = fresh_name("n") + to_string(GetParam().kind) + (enc() == encoding::json ? "j" : "t");
  std::vector<std::string> nodes;
  for (const std::string name :
       {"caf\xC3\xA9", "cafe\xCC\x81", "cafe",
        "caf\xE2\x80\x8B"
        "e",
        "\xE2\x80\xAE"
        "efac",
        "c\xD0\xB0"
        "fe",
        "admin", "Admin", "../../etc/passwd", "%00", "' or 1=1 --", "\"quoted\"", "{}", "a b", " ab", "ab "}) {
    const auto made = enrol(mark + name);
    EXPECT_EQ(made.code, 0) << name;
    nodes.push_back(made.n);
    auto client = anonymous();
    EXPECT_TRUE(client->login(mark + name, "secret").ok) << name;
    EXPECT_EQ(client->node(), made.n) << name;
  }
  std::sort(nodes.begin(), nodes.end());
  EXPECT_EQ(std::unique(nodes.begin(), nodes.end()), nodes.end());
  EXPECT_EQ(enrol(mark + std::string(64 - mark.size(), 'x')).code, 0) << "64 bytes";
}

TEST_P(bad_objects, an_absent_domain_is_the_empty_one) {
  const std::string name = fresh_name("domain");
  register_account(name);
  wire::tim_auth auth;
  auth.name = name;
  auth.pwd = "secret";
  auth.domain = "";
  EXPECT_TRUE(anonymous()->login(auth).ok);
  EXPECT_EQ(account_call(port(), frame_type::reg, enc(), name, "secret", "").code, 4101);
}

TEST_P(bad_objects, nodes_that_are_none_or_somebody_elses_alias) {
  const std::string good = bob_->node();
  std::vector<std::string> bad{"",
                               "0",
                               "0OIl",
                               "1" + good,
                               good + "1",
                               good.substr(1),
                               good.substr(0, good.size() - 1),
                               " " + good,
                               good + " ",
                               std::string(64, '1'),
                               std::string(65, 'z'),
                               std::string(4096, 'z'),
                               "../" + good,
                               to_node(room_id{42})};
  for (size_t i = 0; i < good.size(); ++i) {
    std::string other = good;
    other[i] = other[i] == '2' ? '3' : '2';
    bad.push_back(other);
  }
  for (const auto& node : bad) {
    attacker_->send(frame_type::message, text_message(node, "x"));
    EXPECT_FALSE(attacker_->next_ack().ok) << node;
    business(*attacker_, 4, node.empty() ? "0" : node);
    expect_refused(*attacker_, frame_type::business, 4106);
  }
  wire::tim_req req;
  req.rtype = 4;
  req.node = std::string_view("\0", 1);
  attacker_->send(frame_type::business, req);
  EXPECT_FALSE(attacker_->next_ack().ok);
}

TEST_P(bad_objects, a_room_is_no_user_and_a_user_no_room) {
  const std::string room = new_room(*attacker_);
  attacker_->send(frame_type::message, text_message(room, "x"));
  expect_refused(*attacker_, frame_type::message, 4106);
  attacker_->send(frame_type::message, room_message(bob_->node(), "x"));
  expect_refused(*attacker_, frame_type::message, 4105);
  attacker_->send(frame_type::pullmessage, history(1, room, 0, 10));
  EXPECT_FALSE(attacker_->next_ack().ok);
  attacker_->send(frame_type::pullmessage, history(2, bob_->node(), 0, 10));
  EXPECT_FALSE(attacker_->next_ack().ok);
  const std::string twin = to_node(node_kind::account, *from_node(node_kind::room, room));
  business(*attacker_, 12, twin);
  EXPECT_FALSE(attacker_->next_ack().ok);
}

TEST_P(bad_objects, history_with_limits_and_positions_that_cannot_be) {
  befriend(*attacker_, *bob_);
  for (int i = 0; i < 5; ++i) send_text(*attacker_, bob_->node(), std::to_string(i));
  for (const int64_t limit : {int64_t{1}, int64_t{5}, int64_t{201}, INT64_MAX}) {
    const auto page = pull(*attacker_, history(1, bob_->node(), 0, limit));
    EXPECT_EQ(page.size(), static_cast<size_t>(std::min<int64_t>(limit, 5))) << limit;
  }
  for (const int64_t from : {int64_t{6}, int64_t{1} << 52U, INT64_MAX}) {
    EXPECT_EQ(pull(*attacker_, history(1, bob_->node(), from, 10)).size(), 5U) << from;
  }
  for (const int64_t wrong : {int64_t{-1}, INT64_MIN}) {
    attacker_->send(frame_type::pullmessage, history(1, bob_->node(), wrong, 10));
    expect_refused(*attacker_, frame_type::pullmessage, 4104);
    attacker_->send(frame_type::pullmessage, history(1, bob_->node(), 0, wrong));
    expect_refused(*attacker_, frame_type::pullmessage, 4104);
  }
  for (const std::string when : {"now", "-1", "99999999999999999999999", "1e9", " 5", "0x10"}) {
    auto req = history(1, bob_->node(), 0, 10);
    req.node2 = when;
    attacker_->send(frame_type::pullmessage, req);
    expect_refused(*attacker_, frame_type::pullmessage, 4104);
  }
}

TEST_P(bad_objects, requests_of_both_sides_at_once_make_friends_once) {
  for (int round = 0; round < 5; ++round) {
    auto one = new_user("one"), other = new_user("other");
    business(*one, 4, other->node());
    business(*other, 4, one->node());
    business(*one, 4, other->node());
    business(*other, 4, one->node());
    settle(*one);
    settle(*other);
    EXPECT_EQ(list_of(*one, 1), std::vector<std::string>{other->node()});
    EXPECT_EQ(list_of(*other, 1), std::vector<std::string>{one->node()});
  }
}

TEST_P(bad_objects, a_storm_of_joining_and_leaving_ends_as_its_last_command) {
  auto founder = new_user("founder");
  const std::string room = new_room(*founder);
  std::vector<client_ptr> guests;
  for (int i = 0; i < 8; ++i) guests.push_back(new_user("guest"));
  for (int round = 0; round < 15; ++round) {
    for (auto& one : guests) {
      business(*one, 9, room);
      business(*one, 16, room);
    }
  }
  for (auto& one : guests) business(*one, 9, room);
  for (auto& one : guests) settle(*one);
  EXPECT_EQ(list_of(*founder, 3, room).size(), guests.size() + 1);
  const int64_t mid = send_to_room(*founder, room, "after the storm");
  for (auto& one : guests) EXPECT_EQ(expect_room_text(*one, room, "after the storm").mid, mid);
}

TEST_P(bad_objects, recalls_of_other_conversations_do_nothing) {
  auto carol = new_user("carol");
  befriend(*attacker_, *bob_);
  befriend(*attacker_, *carol);
  int64_t mid = 0;
  for (int i = 0; i < 3; ++i) mid = send_text(*attacker_, bob_->node(), "text");
  attacker_->send(frame_type::revokemessage, recall(2, carol->node(), {}, mid));
  expect_refused(*attacker_, frame_type::revokemessage, 4104);
  const std::string room = new_room(*attacker_);
  attacker_->send(frame_type::revokemessage, recall(2, {}, room, mid));
  expect_refused(*attacker_, frame_type::revokemessage, 4104);
  EXPECT_EQ(pull(*bob_, history(1, attacker_->node(), 0, 10)).size(), 3U);
}

TEST_P(bad_objects, pulls_while_recalling_never_show_half_a_message) {
  befriend(*attacker_, *bob_);
  std::vector<int64_t> mids;
  for (int i = 0; i < 40; ++i) mids.push_back(send_text(*attacker_, bob_->node(), "text " + std::to_string(i)));
  size_t last = mids.size();
  for (size_t i = 0; i < mids.size(); ++i) {
    attacker_->send(frame_type::revokemessage, recall(2, bob_->node(), {}, mids[i]));
    if (i % 8 != 0) continue;
    const auto page = pull(*bob_, history(1, attacker_->node(), 0, 100));
    EXPECT_LE(page.size(), last);
    last = page.size();
    for (const auto& m : page) EXPECT_TRUE(m.text.starts_with("text ") && m.od_type == 1);
  }
  settle(*attacker_);
  EXPECT_TRUE(pull(*bob_, history(1, attacker_->node(), 0, 100)).empty());
}

INSTANTIATE_TEST_SUITE_P(ternd, bad_objects, ::testing::ValuesIn(encodings_at(server_kind::ternd)), place_name);
INSTANTIATE_TEST_SUITE_P(cluster, bad_objects, ::testing::ValuesIn(encodings_at(server_kind::cluster)), place_name);

}  // namespace
}  // namespace tern::testing
