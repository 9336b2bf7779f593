#include "services/storage/logic/beans.hpp"

#include <gtest/gtest.h>

#include "libs/wire/codec.hpp"

namespace tern::storage {
namespace {

constexpr account_id ann{0x1111111111111111U}, ben{0xEEEEEEEEEEEEEEEEU};

template <class Bean>
std::string bytes_of(const Bean& bean) {
  return wire::encode(wire::encoding::thrift, bean);
}
/// Views into `bytes` and `memory`.
template <class Bean>
Bean bean_of(const std::string& bytes, wire::arena& memory) {
  auto bean = wire::decode<Bean>(wire::encoding::thrift, bytes, memory);
  EXPECT_TRUE(bean);
  return *bean;
}

TEST(beans, given_fields_of_a_user_replace_the_stored_ones_and_the_rest_stays) {
  wire::tim_user_bean first;
  first.name = "ann";
  first.area = "north";
  first.createtime = 7;
  first.extend.emplace().push_back({"a", "1"});
  wire::tim_user_bean second;
  second.area = "south";
  second.gender = int8_t{2};
  second.extend.emplace().push_back({"b", "2"});
  const auto stored = merge_user_bean("", bytes_of(first));
  ASSERT_TRUE(stored);
  const auto merged = merge_user_bean(*stored, bytes_of(second));
  ASSERT_TRUE(merged);
  wire::arena memory;
  const auto bean = bean_of<wire::tim_user_bean>(*merged, memory);
  EXPECT_EQ(bean.name, "ann");
  EXPECT_EQ(bean.area, "south");
  EXPECT_EQ(bean.gender, int8_t{2});
  EXPECT_EQ(bean.extend, second.extend);
  EXPECT_FALSE(bean.createtime);  // the server's, not the client's
  EXPECT_EQ(bean_of<wire::tim_user_bean>(whole_user_bean({ann, "", 42, *merged}), memory).createtime, 42);
}

TEST(beans, a_room_is_whole_with_founder_managers_type_and_time) {
  wire::tim_room_bean given;
  given.label = "tea";
  given.founder = "somebody else";
  given.gtype = int8_t{1};
  const auto merged = merge_room_bean(room_bean_of("harbour"), bytes_of(given));
  ASSERT_TRUE(merged);
  room_row row;
  row.founder = ann;
  row.managers = {ben};
  row.kind = room_kind::open;
  row.created_ns = 5;
  row.bean = *merged;
  wire::arena memory;
  const auto whole = whole_room_bean(row);
  const auto bean = bean_of<wire::tim_room_bean>(whole, memory);
  EXPECT_EQ(bean.topic, "harbour");
  EXPECT_EQ(bean.label, "tea");
  EXPECT_EQ(bean.founder, to_node(ann));
  ASSERT_TRUE(bean.managers);
  EXPECT_EQ(*bean.managers, std::vector<wire::text>{to_node(ben)});
  EXPECT_EQ(bean.gtype, int8_t{2});
  EXPECT_EQ(bean.createtime, 5);
}

TEST(beans, managers_are_nodes_of_accounts_once_each_and_not_too_many) {
  const auto ann_node = to_node(ann), ben_node = to_node(ben), room_node = to_node(room_id{1});
  wire::tim_room_bean given;
  EXPECT_FALSE(given_managers(bytes_of(given))->has_value());
  given.managers = {ann_node, ben_node, ann_node};
  EXPECT_EQ(**given_managers(bytes_of(given)), (std::vector<account_id>{ann, ben}));
  given.managers = {room_node};
  EXPECT_EQ(given_managers(bytes_of(given)).code(), errc::bad_parameter);
  std::vector<std::string> many;
  for (uint64_t i = 1; i <= managers_most + 1; ++i) many.push_back(to_node(account_id{i}));
  given.managers.emplace(many.begin(), many.end());
  EXPECT_EQ(given_managers(bytes_of(given)).code(), errc::bad_parameter);
}

TEST(beans, what_is_no_bean_or_too_long_is_refused) {
  EXPECT_EQ(merge_user_bean("", "\xff\xff").code(), errc::bad_parameter);
  EXPECT_EQ(merge_room_bean("", "\xff\xff").code(), errc::bad_parameter);
  EXPECT_EQ(given_managers("\xff\xff").code(), errc::bad_parameter);
  const std::string big(bean_bytes_most * 3 / 4, 'x');
  wire::tim_room_bean one;
  one.extra.emplace().push_back({"k", big});
  wire::tim_room_bean other;
  other.extend.emplace();
  const std::string piece(4000, 'y');
  for (const char* name : {"a", "b"}) other.extend->push_back({name, piece});
  const auto stored = merge_room_bean("", bytes_of(one));
  ASSERT_TRUE(stored);
  EXPECT_EQ(merge_room_bean(*stored, bytes_of(other)).code(), errc::bad_parameter);  // together too long
  EXPECT_EQ(merge_room_bean("", std::string(bean_bytes_most + 1, 'x')).code(), errc::bad_parameter);
}

}  // namespace
}  // namespace tern::storage
