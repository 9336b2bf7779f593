#include "libs/rpc/outbox.hpp"

#include <gtest/gtest.h>
#include <tern/routing/v1/routing.pb.h>

namespace tern::rpc::detail {
namespace {

using item_type = routing::v1::NodeItem;
using batch_type = routing::v1::NodeBatch;

item_type item(uint64_t number, size_t padding = 0) {
  item_type made;
  made.mutable_hello()->set_incarnation(number);
  made.mutable_hello()->set_address(std::string(padding, 'x'));
  return made;
}

batch_type decoded(const std::optional<std::string>& bytes) {
  batch_type batch;
  EXPECT_TRUE(bytes && batch.ParseFromString(*bytes));
  return batch;
}

TEST(outbox, writes_nothing_without_credit) {
  outbox out{{}};
  EXPECT_TRUE(out.push(item(1)));
  EXPECT_FALSE(out.next());
  out.grant(1);
  EXPECT_EQ(decoded(out.next()).items(0).hello().incarnation(), 1U);
}

TEST(outbox, splits_a_batch_exactly_at_the_credit) {
  outbox out{{}};
  for (uint64_t i = 0; i < 100; ++i) out.push(item(i));
  out.grant(33);
  EXPECT_EQ(decoded(out.next()).items_size(), 33);
  EXPECT_FALSE(out.next());
  out.grant(1000);
  const auto rest = decoded(out.next());
  ASSERT_EQ(rest.items_size(), 67);
  EXPECT_EQ(rest.items(0).hello().incarnation(), 33U);
  EXPECT_EQ(out.items(), 0U);
  EXPECT_EQ(out.bytes(), 0U);
}

TEST(outbox, batches_are_bounded_by_items_and_bytes) {
  outbox out{{}};
  out.grant(10000);
  for (uint64_t i = 0; i < 600; ++i) out.push(item(i));
  EXPECT_EQ(decoded(out.next()).items_size(), 512);
  EXPECT_EQ(decoded(out.next()).items_size(), 88);
  for (uint64_t i = 0; i < 5; ++i) out.push(item(i, 400'000));
  EXPECT_EQ(decoded(out.next()).items_size(), 2);
}

TEST(outbox, refuses_what_does_not_fit_and_keeps_the_rest) {
  outbox_limits limits;
  limits.items = 3;
  limits.bytes = 1000;
  outbox out{limits};
  typed_list<item_type> four({item(1), item(2), item(3), item(4)});
  EXPECT_FALSE(out.push_all(four));
  EXPECT_EQ(out.items(), 0U);
  EXPECT_FALSE(out.push(item(1, 2000)));
  typed_list<item_type> three({item(1), item(2), item(3)});
  EXPECT_TRUE(out.push_all(three));
  EXPECT_FALSE(out.push(item(5)));
}

TEST(outbox, returns_credit_with_items_or_when_half_of_the_window_is_used) {
  outbox_limits limits;
  limits.window = 100;
  outbox out{limits};
  out.consumed(49);
  EXPECT_FALSE(out.next());
  out.consumed(1);
  EXPECT_EQ(decoded(out.next()).credit(), 50U);
  out.consumed(3);
  out.grant(1);
  out.push(item(1));
  const auto batch = decoded(out.next());
  EXPECT_EQ(batch.credit(), 3U);
  EXPECT_EQ(batch.items_size(), 1);
}

TEST(parse_batch, reads_what_protobuf_writes_and_skips_unknown_fields) {
  batch_type batch;
  for (uint64_t i = 0; i < 300; ++i) *batch.add_items() = item(i, i);
  batch.set_credit(777);
  std::string bytes = batch.SerializeAsString();
  bytes += std::string("\x1D\x01\x02\x03\x04", 5) + std::string("\x22\x02hi", 4);  // fields 3 (fixed32) and 4 (bytes)
  typed_list<item_type> list;
  uint64_t credit = 0;
  ASSERT_TRUE(parse_batch(bytes, list, credit));
  ASSERT_EQ(list.size(), 300U);
  EXPECT_EQ(list.values[299].hello().incarnation(), 299U);
  EXPECT_EQ(credit, 777U);
}

TEST(parse_batch, refuses_every_truncation_inside_an_item) {
  batch_type batch;
  *batch.add_items() = item(1, 50);
  const std::string bytes = batch.SerializeAsString();
  for (size_t length = 1; length < bytes.size(); ++length) {
    typed_list<item_type> list;
    uint64_t credit = 0;
    EXPECT_FALSE(parse_batch(std::string_view(bytes).substr(0, length), list, credit)) << length;
  }
}

}  // namespace
}  // namespace tern::rpc::detail
