#include "libs/placement/view.hpp"

#include <gtest/gtest.h>
#include <tern/routing/v1/routing.pb.h>

#include <stdexcept>

#include "libs/placement/convert.hpp"

namespace tern::placement {
namespace {

TEST(range_map, finds_the_owner_of_every_slot_and_nobody_in_gaps) {
  const range_map map({{100, 199, "b", 2}, {0, 49, "a", 1}, {300, slot_count - 1, "c", 3}});
  EXPECT_EQ(map.find(0)->owner, "a");
  EXPECT_EQ(map.find(49)->owner, "a");
  EXPECT_EQ(map.find(50), nullptr);
  EXPECT_EQ(map.find(100)->owner, "b");
  EXPECT_EQ(map.find(199)->epoch, 2U);
  EXPECT_EQ(map.find(200), nullptr);
  EXPECT_EQ(map.find(slot_count - 1)->owner, "c");
  EXPECT_EQ(range_map().find(5), nullptr);
}

TEST(range_map, refuses_overlap_reversal_and_slots_beyond_the_last) {
  EXPECT_THROW(range_map({{0, 10, "a", 1}, {10, 20, "b", 1}}), std::invalid_argument);
  EXPECT_THROW(range_map({{10, 9, "a", 1}}), std::invalid_argument);
  EXPECT_THROW(range_map({{0, slot_count, "a", 1}}), std::invalid_argument);
}

snapshot_ptr version(uint64_t number) {
  auto made = std::make_shared<snapshot>();
  made->version = number;
  return made;
}

TEST(view, tells_subscribers_of_newer_versions_only_and_at_once_of_the_current_one) {
  view maps;
  std::vector<std::pair<uint64_t, uint64_t>> seen;
  maps.publish(version(3));
  maps.subscribe(
      [&](const snapshot_ptr& before, const snapshot_ptr& now) { seen.emplace_back(before->version, now->version); });
  maps.publish(version(5));
  maps.publish(version(5));
  maps.publish(version(4));
  maps.publish(version(6));
  const std::vector<std::pair<uint64_t, uint64_t>> expected{{3, 3}, {3, 5}, {5, 6}};
  EXPECT_EQ(seen, expected);
  EXPECT_EQ(maps.get()->version, 6U);
}

TEST(convert, a_snapshot_survives_its_protobuf_form) {
  snapshot from;
  from.version = 9;
  from.nodes = {{"session-0", "session", "127.0.0.1:1", 77, true}, {"storage-0", "storage", "unix:/x", 78, false}};
  from.sessions = range_map({{0, 9, "session-0", 4}});
  from.groups = range_map({{10, 19, "group-0", 5}});
  from.storage = range_map({{0, slot_count - 1, "a", 1}});
  from.shards = {{"a", "storage-0", 3}};
  routing::v1::Snapshot wire;
  to_proto(from, wire);
  const auto back = from_proto(wire);
  ASSERT_TRUE(back);
  const auto& to = **back;
  EXPECT_EQ(to.version, from.version);
  EXPECT_EQ(to.nodes, from.nodes);
  EXPECT_EQ(to.sessions, from.sessions);
  EXPECT_EQ(to.groups, from.groups);
  EXPECT_EQ(to.storage, from.storage);
  EXPECT_EQ(to.shards, from.shards);
  EXPECT_EQ(to.find_node("storage-0")->address, "unix:/x");
  EXPECT_EQ(to.find_shard("a")->owner, "storage-0");
  EXPECT_EQ(to.find_shard("b"), nullptr);
}

TEST(convert, refuses_overlapping_ranges) {
  routing::v1::Snapshot wire;
  for (int i = 0; i < 2; ++i) {
    auto& each = *wire.add_sessions();
    each.set_first(0);
    each.set_last(5);
  }
  EXPECT_EQ(from_proto(wire).code(), errc::bad_format);
}

}  // namespace
}  // namespace tern::placement
