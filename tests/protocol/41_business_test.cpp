#include "tests/protocol/fixture.hpp"

namespace tern::testing {
namespace {

using wire::encoding;
using wire::frame_type;

class roster_reader {
 public:
  /// Nodes of the next NODES frame; empty when none comes.
  static std::vector<std::string> read(tim_client& from, int32_t ntype) {
    const auto frame = from.next(frame_type::nodes, std::chrono::milliseconds{1000});
    std::vector<std::string> out;
    if (!frame) return out;
    const auto nodes = from.read<wire::tim_nodes>(*frame);
    EXPECT_EQ(nodes.ntype, ntype);
    if (nodes.nodelist) out.assign(nodes.nodelist->begin(), nodes.nodelist->end());
    return out;
  }
};

TEST_P(protocol, 41_business_makes_friends_when_both_ask) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  befriend(*alice, *bob);
  business(*alice, 1);
  EXPECT_EQ(roster_reader::read(*alice, 1), std::vector<std::string>{bob->node()});
  business(*bob, 1);
  EXPECT_EQ(roster_reader::read(*bob, 1), std::vector<std::string>{alice->node()});
}

TEST_P(protocol, 41_business_carries_the_text_of_a_request) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  business(*alice, 4, bob->node(), "it is me");
  const auto frame = bob->next(frame_type::message);
  ASSERT_TRUE(frame);
  EXPECT_TRUE(frame->sync_id);
  const auto notice = bob->read<wire::tim_message>(*frame);
  EXPECT_EQ(notice.bn_type, 4);
  EXPECT_EQ(notice.data_string, "it is me");
}

TEST_P(protocol, 41_business_refuses_oneself_strange_nodes_and_repeats) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  business(*alice, 4, alice->node());
  expect_refused(*alice, frame_type::business, 4105);
  business(*alice, 4, "nonsense");
  expect_refused(*alice, frame_type::business, 4106);
  business(*alice, 4, to_node(account_id{12345}));
  expect_refused(*alice, frame_type::business, 4106);
  befriend(*alice, *bob);
  business(*alice, 4, bob->node());
  expect_refused(*alice, frame_type::business, 4117);
}

TEST_P(protocol, 41_business_blocks_and_lifts_the_own_block_with_the_friendship) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  befriend(*alice, *bob);
  business(*bob, 7, alice->node());
  const auto blocked = bob->next_ack();
  EXPECT_TRUE(blocked.ok);
  EXPECT_EQ(blocked.t, 7);
  EXPECT_EQ(blocked.n, alice->node());
  expect_notice(*alice, bob->node(), 7);
  alice->send(frame_type::message, text_message(bob->node(), "hello?"));
  expect_refused(*alice, frame_type::message, 4110);
  business(*alice, 4, bob->node());
  expect_refused(*alice, frame_type::business, 4110);
  business(*bob, 18);
  EXPECT_EQ(roster_reader::read(*bob, 8), std::vector<std::string>{alice->node()});
  business(*bob, 6, alice->node());
  const auto removed = bob->next_ack();
  EXPECT_TRUE(removed.ok);
  EXPECT_EQ(removed.t, 6);
  expect_notice(*alice, bob->node(), 6);
  befriend(*alice, *bob);
}

TEST_P(protocol, 41_business_refuses_what_the_server_does_not_know) {
  auto alice = new_user("alice");
  for (const int32_t what : {-128, -1, 0, 22, 127}) {
    business(*alice, what);
    expect_refused(*alice, frame_type::business, 4107);
  }
}

}  // namespace
}  // namespace tern::testing
