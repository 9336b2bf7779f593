#include "services/storage/logic/relations.hpp"

#include <gtest/gtest.h>

#include "services/storage/repositories/store.hpp"

namespace tern::storage {
namespace {

constexpr uint32_t none = relation_none, asked = relation_asked, friends = relation_friend, blocks = relation_blocks;

struct relation_case {
  const char* what;
  relation_change change;
  uint32_t actor, other;
  errc code;
  uint32_t actor_after, other_after;
  uint32_t notice;  // 0: none
};

TEST(relations, follow_the_table) {
  using enum relation_change;
  const relation_case cases[] = {
      {"first request", add, none, none, errc::ok, asked, none, 4},
      {"request repeated", add, asked, none, errc::ok, asked, none, 4},
      {"both asked", add, none, asked, errc::ok, friends, friends, 5},
      {"friends already", add, friends, friends, errc::repeated, friends, friends, 5},
      {"other blocks", add, none, blocks, errc::blocked, none, blocks, 0},
      {"friends, other blocks", add, friends, friends | blocks, errc::blocked, friends, friends | blocks, 0},
      {"I block", add, blocks, none, errc::permission_denied, blocks, none, 0},
      {"I block who asked", add, blocks, asked, errc::permission_denied, blocks, asked, 0},
      {"end friendship", remove, friends, friends, errc::ok, none, none, 6},
      {"end friendship and block", remove, friends | blocks, friends, errc::ok, none, none, 6},
      {"withdraw a request", remove, asked, none, errc::ok, none, none, 6},
      {"others' request stays", remove, none, asked, errc::ok, none, asked, 0},
      {"others' block stays", remove, friends, friends | blocks, errc::ok, none, blocks, 6},
      {"nothing to remove", remove, none, none, errc::ok, none, none, 0},
      {"block a stranger", block, none, none, errc::ok, blocks, none, 7},
      {"block a friend", block, friends, friends, errc::ok, friends | blocks, friends, 7},
      {"block drops requests", block, asked, asked, errc::ok, blocks, none, 7},
      {"blocked already", block, blocks, none, errc::ok, blocks, none, 0},
      {"blocking back", block, none, blocks, errc::ok, blocks, blocks, 7},
  };
  for (const auto& one : cases) {
    const auto step = apply_relation(one.change, one.actor, one.other);
    EXPECT_EQ(step.code, one.code) << one.what;
    EXPECT_EQ(step.actor_bits, one.actor_after) << one.what;
    EXPECT_EQ(step.other_bits, one.other_after) << one.what;
    EXPECT_EQ(step.notify ? step.notice : 0, one.notice) << one.what;
    EXPECT_EQ(step.changed, one.actor != one.actor_after || one.other != one.other_after) << one.what;
  }
}

TEST(relations, a_message_needs_friendship_unless_open_and_never_passes_a_block) {
  EXPECT_EQ(may_send(friends, friends, false), errc::ok);
  EXPECT_EQ(may_send(none, none, false), errc::permission_denied);
  EXPECT_EQ(may_send(asked, none, false), errc::permission_denied);
  EXPECT_EQ(may_send(none, none, true), errc::ok);
  EXPECT_EQ(may_send(none, blocks, true), errc::blocked);
  EXPECT_EQ(may_send(friends, friends | blocks, false), errc::blocked);
  EXPECT_EQ(may_send(friends | blocks, friends, false), errc::ok);
}

}  // namespace
}  // namespace tern::storage
