#include "services/gateway/big_data_assembler.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>
#include <vector>

#include "services/gateway/memory_budget.hpp"

namespace tern::gateway {
namespace {

using step = big_data_assembler::step;
using wire::frame_type;

constexpr frame_type all_types[] = {frame_type::bigstring, frame_type::bigbinary, frame_type::bigbinarystream};

/// What follows type and length.
std::string body_of(frame_type type, std::string_view node, std::string_view data) {
  return std::string(node) + wire::big_separator(type) + std::string(data);
}

big_data_assembler assembler_of(frame_type type, size_t body_bytes, size_t most = 1 << 20) {
  return {type, wire::encoding::thrift, wire::big_head_bytes + body_bytes, most};
}

TEST(big_data_assembler, takes_a_frame_in_one_message) {
  for (const frame_type type : all_types) {
    const std::string body = body_of(type, "node", "some data");
    auto frame = assembler_of(type, body.size());
    EXPECT_EQ(frame.take(body), step::complete);
    EXPECT_EQ(frame.node(), "node");
    EXPECT_EQ(frame.take_body(), type == frame_type::bigbinarystream ? "some data" : body);
  }
}

TEST(big_data_assembler, takes_a_frame_cut_anywhere) {
  for (const frame_type type : all_types) {
    const std::string body = body_of(type, std::string(64, 'n'), "data | \x83 with separators");
    for (size_t first = 0; first <= body.size(); ++first) {
      for (size_t second = first; second <= body.size(); ++second) {
        auto frame = assembler_of(type, body.size());
        const std::string parts[] = {body.substr(0, first), body.substr(first, second - first), body.substr(second)};
        size_t taken = 0;
        for (const std::string& part : parts) {
          taken += part.size();
          const step got = frame.take(part);
          ASSERT_EQ(got, taken == body.size() ? step::complete : step::more) << first << " " << second;
          if (got == step::complete) break;
        }
        EXPECT_EQ(frame.node().size(), 64U);
        EXPECT_EQ(frame.take_body(), type == frame_type::bigbinarystream ? body.substr(65) : body);
      }
    }
  }
}

TEST(big_data_assembler, takes_the_zero_byte_of_a_client_for_a_text_only) {
  const std::string body("node\0data", 9);
  auto text = assembler_of(frame_type::bigstring, body.size());
  EXPECT_EQ(text.take(body), step::complete);
  EXPECT_EQ(text.node(), "node");
  auto binary = assembler_of(frame_type::bigbinary, body.size());
  EXPECT_EQ(binary.take(body), step::unreadable);
}

TEST(big_data_assembler, knows_a_frame_without_a_node_as_early_as_can_be) {
  for (const frame_type type : all_types) {
    const std::string separator(1, wire::big_separator(type));
    auto none = assembler_of(type, 1000);
    EXPECT_EQ(none.take(separator), step::unreadable) << "an empty node";
    auto late = assembler_of(type, 1000);
    EXPECT_EQ(late.take(std::string(64, 'n')), step::more);
    EXPECT_EQ(late.take("n"), step::unreadable) << "longer than a node may be";
    auto never = assembler_of(type, 10);
    EXPECT_EQ(never.take("123456789"), step::more);
    EXPECT_EQ(never.take("0"), step::unreadable) << "no separator to the end";
  }
}

TEST(big_data_assembler, says_when_there_are_more_bytes_than_announced) {
  auto at_once = assembler_of(frame_type::bigstring, 6);
  EXPECT_EQ(at_once.take("node|12"), step::overrun);
  auto later = assembler_of(frame_type::bigstring, 6);
  EXPECT_EQ(later.take("node|"), step::more);
  EXPECT_EQ(later.take("12"), step::overrun);
  later.give_up();
  EXPECT_EQ(later.take("12"), step::overrun);
  EXPECT_EQ(later.take("1"), step::passed);
}

TEST(big_data_assembler, holds_the_limit_to_the_byte_whatever_the_length_of_the_node) {
  for (const size_t node_bytes : {1U, 64U}) {
    for (const size_t data_bytes : {100U, 101U}) {
      const std::string body =
          body_of(frame_type::bigbinary, std::string(node_bytes, 'n'), std::string(data_bytes, 'd'));
      auto frame = assembler_of(frame_type::bigbinary, body.size(), 100);
      EXPECT_EQ(frame.take(body), data_bytes > 100 ? step::too_large : step::complete);
      auto early = assembler_of(frame_type::bigbinary, body.size(), 100);
      EXPECT_EQ(early.take(body.substr(0, node_bytes + 1)), data_bytes > 100 ? step::too_large : step::more)
          << "before the data has come";
    }
  }
}

TEST(big_data_assembler, passes_over_the_rest_of_what_was_given_up_and_holds_nothing) {
  auto frame = assembler_of(frame_type::bigstring, 1000);
  frame.take("node|" + std::string(495, 'x'));
  EXPECT_GE(frame.held(), 500U);
  frame.give_up();
  EXPECT_EQ(frame.held(), 0U);
  EXPECT_EQ(frame.needed(400), 0U);
  EXPECT_EQ(frame.take(std::string(400, 'x')), step::more);
  EXPECT_FALSE(frame.ended());
  EXPECT_EQ(frame.held(), 0U);
  EXPECT_EQ(frame.take(std::string(100, 'x')), step::passed);
  EXPECT_TRUE(frame.ended());
}

TEST(big_data_assembler, memory_grows_with_what_came_and_is_what_was_asked_for) {
  constexpr size_t total = 10 << 20;
  auto frame = assembler_of(frame_type::bigbinary, total, total);
  EXPECT_LE(frame.held(), 64U) << "nothing for what was only announced";
  std::mt19937 random(1);
  size_t taken = 0;
  std::string piece = "node\x83";
  for (step got = step::more; got == step::more; piece.assign(1 + random() % 60'000, 'x')) {
    piece.resize(std::min(piece.size(), total - taken));
    const size_t needed = frame.needed(piece.size());
    got = frame.take(piece);
    taken += piece.size();
    ASSERT_EQ(frame.held(), needed);
    ASSERT_LE(needed, std::max<size_t>(64, 2 * taken));
    ASSERT_LE(needed, total);
    if (got == step::complete) break;
  }
  EXPECT_EQ(taken, total);
  EXPECT_EQ(frame.take_body().size(), total);
}

TEST(memory_budget, is_shared_and_given_back) {
  memory_budget budget(100);
  memory_share one(budget);
  {
    memory_share other(budget);
    EXPECT_TRUE(one.resize(60));
    EXPECT_FALSE(other.resize(41));
    EXPECT_EQ(other.held(), 0U);
    EXPECT_TRUE(other.resize(40));
    EXPECT_FALSE(one.resize(61));
    EXPECT_EQ(one.held(), 60U);
    EXPECT_TRUE(one.resize(10));
    EXPECT_EQ(budget.used(), 50U);
  }
  EXPECT_EQ(budget.used(), 10U);
  EXPECT_FALSE(one.resize(std::numeric_limits<size_t>::max()));
  EXPECT_TRUE(one.resize(100));
}

}  // namespace
}  // namespace tern::gateway
