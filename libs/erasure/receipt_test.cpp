#include "libs/erasure/receipt.hpp"

#include <gtest/gtest.h>

namespace tern::erasing {
namespace {

receipt sample() {
  return {{0xFEDCBA9876543210U},
          "erased",
          1'700'000'000'000'000'000,
          1'700'000'060'000'000'000,
          {{"shard-0", "messages", 3}, {"shard-1", "messages", 4}, {"shard-1", "tokens", 1}}};
}

TEST(receipt, tells_what_went_per_shard_and_in_all) {
  const auto text = sample().text();
  for (const char* expected : {"erased", "2023-11-14T22:13:20Z", "2023-11-14T22:14:20Z", "shard-0   messages",
                               "all       messages              7\n", "all       tokens                1\n"}) {
    EXPECT_NE(text.find(expected), std::string::npos) << expected << "\n" << text;
  }
  EXPECT_NE(text.find(sample().digest()), std::string::npos);
}

TEST(receipt, has_a_digest_of_all_it_says) {
  const auto first = sample().digest();
  EXPECT_EQ(first.size(), 64U);
  EXPECT_EQ(sample().digest(), first);
  auto other = sample();
  other.parts[2].count = 2;
  EXPECT_NE(other.digest(), first);
  other = sample();
  other.ended_ns += 1;
  EXPECT_NE(other.digest(), first);
}

TEST(receipt, accounts_are_nodes_or_ids) {
  const account_id id{0xFEDCBA9876543210U};
  EXPECT_EQ(*parse_account(to_node(id)), id);
  EXPECT_EQ(*parse_account("0xfedcba9876543210"), id);
  for (const char* wrong : {"", "alice", "0x", "0x0", "0xg", "0x1ffffffffffffffff", "-0x1"})
    EXPECT_EQ(parse_account(wrong).code(), errc::bad_parameter) << wrong;
  EXPECT_EQ(parse_account(to_node(room_id{7})).code(), errc::bad_parameter) << "a room is no account";
}

}  // namespace
}  // namespace tern::erasing
