#include <algorithm>

#include "tests/protocol/fixture.hpp"

namespace tern::testing {
namespace {

using wire::frame_type;

TEST_P(protocol, 93_burnmessage_by_the_recipient_removes_it_on_both_sides) {
  std::string alice_name, bob_name;
  auto alice = new_user("alice", &alice_name);
  auto alice_phone = log_in(alice_name);
  auto bob = new_user("bob", &bob_name);
  auto bob_phone = log_in(bob_name);
  befriend(*alice, *bob);
  const int64_t mid = send_text(*alice, bob->node(), "secret");
  expect_text(*bob, alice->node(), "secret", mid);
  bob->send(frame_type::burnmessage, recall(3, alice->node(), {}, mid));
  for (auto* one : {alice.get(), alice_phone.get(), bob.get(), bob_phone.get()}) {
    const auto notice = expect_message(
        *one, [](const seen_message& m) { return m.od_type == 3; }, "the burning");
    EXPECT_EQ(notice.mid, mid);
    EXPECT_EQ(notice.from, bob->node());
  }
  EXPECT_TRUE(pull(*alice, history(1, bob->node(), 0, 10)).empty());
  EXPECT_TRUE(pull(*bob, history(1, alice->node(), 0, 10)).empty());
  // Again: no error, and nothing else is gone.
  const int64_t next = send_text(*alice, bob->node(), "next");
  bob->send(frame_type::burnmessage, recall(3, alice->node(), {}, mid));
  const auto page = pull(*bob, history(1, alice->node(), 0, 10));
  ASSERT_EQ(page.size(), 1U);
  EXPECT_EQ(page[0].mid, next);
}

TEST_P(protocol, 93_burnmessage_by_others_is_refused) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  auto carol = new_user("carol");
  befriend(*alice, *bob);
  const int64_t mid = send_text(*alice, bob->node(), "secret");
  alice->send(frame_type::burnmessage, recall(3, bob->node(), {}, mid));
  expect_refused(*alice, frame_type::burnmessage, 4105);
  carol->send(frame_type::burnmessage, recall(3, alice->node(), {}, mid));
  EXPECT_FALSE(carol->next_ack().ok);
  bob->send(frame_type::burnmessage, recall(3, alice->node(), {}, mid + 1));
  expect_refused(*bob, frame_type::burnmessage, 4104);
  const std::string room = new_room(*bob);
  bob->send(frame_type::burnmessage, recall(3, {}, room, mid));
  expect_refused(*bob, frame_type::burnmessage, 4104);
  EXPECT_EQ(pull(*alice, history(1, bob->node(), 0, 10)).size(), 1U);
}

TEST_P(protocol, 93_burnmessage_is_told_to_an_author_off_line) {
  std::string name;
  auto alice = new_user("alice", &name);
  auto bob = new_user("bob");
  befriend(*alice, *bob);
  const std::string node = alice->node();
  const int64_t mid = send_text(*alice, bob->node(), "secret");
  expect_text(*bob, node, "secret", mid);
  settle(*alice);
  alice.reset();
  bob->send(frame_type::burnmessage, recall(3, node, {}, mid));
  expect_message(
      *bob, [](const seen_message& m) { return m.od_type == 3; }, "the burning");
  alice = log_in(name);
  const auto got = drain(*alice);
  const auto is_burning = [&](const seen_message& m) { return m.od_type == 3 && m.mid == mid; };
  if (std::none_of(got.begin(), got.end(), is_burning)) expect_message(*alice, is_burning, "the burning");
}

}  // namespace
}  // namespace tern::testing
