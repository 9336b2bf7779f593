#include "libs/base/ids.hpp"

#include <gtest/gtest.h>

#include <random>

namespace tern {
namespace {

TEST(ids, a_node_reads_back_as_the_id_it_was_made_from) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 10'000; ++i) {
    const uint64_t id = i < 10 ? static_cast<uint64_t>(i) : random() >> (i % 60);
    const auto node = to_node(node_kind::account, id);
    ASSERT_LE(node.size(), 13U);
    ASSERT_EQ(from_node(node_kind::account, node), id) << node;
  }
}

TEST(ids, a_node_reads_as_one_kind_only) {
  constexpr node_kind kinds[] = {node_kind::account, node_kind::room, node_kind::virtual_room};
  std::mt19937_64 random(2);
  for (uint64_t i = 0; i < 20'000; ++i) {
    const uint64_t id = i % 2 == 0 ? i : random();
    for (const auto made : kinds) {
      const auto node = to_node(made, id);
      for (const auto read : kinds) {
        ASSERT_EQ(from_node(read, node), read == made ? std::optional(id) : std::nullopt) << node;
      }
    }
  }
}

TEST(ids, malformed_nodes_are_refused) {
  const auto good = to_node(account_id{0x0123456789ABCDEFULL});
  ASSERT_TRUE(account_from_node(good));
  for (const std::string& bad : {std::string{}, std::string{"0"}, good + "1", good.substr(1), "1" + good,
                                 std::string(64, '1'), std::string(10'000, 'z'), std::string{"OIl0OIl0OIl0"},
                                 std::string("\0\0\0", 3), std::string{"..//etc/pass"}}) {
    EXPECT_FALSE(account_from_node(bad)) << bad;
  }
}

TEST(ids, every_single_changed_character_is_mostly_caught_by_the_check_byte) {
  const auto good = to_node(account_id{0x0123456789ABCDEFULL});
  int accepted = 0;
  int tried = 0;
  for (size_t at = 0; at < good.size(); ++at) {
    for (char c = '1'; c <= 'z'; ++c) {
      auto bad = good;
      bad[at] = c;
      if (bad == good) continue;
      ++tried;
      accepted += account_from_node(bad) ? 1 : 0;
    }
  }
  EXPECT_LT(accepted * 50, tried);
}

TEST(ids, base58_keeps_leading_zero_bytes) {
  const std::string bytes("\0\0\1\2", 4);
  EXPECT_EQ(base58_encode(bytes), "115T");
  EXPECT_EQ(base58_decode("115T"), bytes);
}

TEST(ids, slots_are_the_top_twenty_bits) {
  EXPECT_EQ(slot_of(account_id{~uint64_t{0}}), slot_count - 1);
  EXPECT_EQ(slot_of(account_id{uint64_t{1} << 44U}), 1U);
  EXPECT_EQ(slot_of(conversation_id{uint64_t{5} << 44U, ~uint64_t{0}}), 5U);
}

}  // namespace
}  // namespace tern
