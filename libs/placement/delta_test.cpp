// Changes between snapshots: random maps, and what is small must stay small.
#include "libs/placement/delta.hpp"

#include <gtest/gtest.h>
#include <tern/routing/v1/routing.pb.h>

#include <random>

#include "libs/placement/convert.hpp"

namespace tern::placement {
namespace {

using random_source = std::mt19937;

size_t pick(random_source& random, size_t below) {
  return std::uniform_int_distribution<size_t>(0, below - 1)(random);
}

range_map random_map(random_source& random) {
  std::vector<range> ranges;
  slot_type next = 0;
  while (next < 2000) {
    const auto last = static_cast<slot_type>(next + pick(random, 300));
    if (pick(random, 5) != 0)
      ranges.push_back({next, last, "n" + std::to_string(pick(random, 4)), pick(random, 3) + 1});
    next = last + 1;
  }
  return range_map(std::move(ranges));
}

/// Some ranges cut, joined, moved or dropped, most left alone.
range_map somewhat_changed(const range_map& from, random_source& random) {
  std::vector<range> ranges;
  for (auto each : from.ranges()) {
    switch (pick(random, 8)) {
      case 0: break;
      case 1:
        each.owner = "n9";
        ranges.push_back(each);
        break;
      case 2: {
        const auto middle = static_cast<slot_type>(each.first + pick(random, each.last - each.first + 1));
        ranges.push_back({each.first, middle, each.owner, each.epoch});
        if (middle < each.last) ranges.push_back({middle + 1, each.last, "n8", each.epoch + 1});
        break;
      }
      case 3:
        if (!ranges.empty()) {
          ranges.back().last = each.last;
          break;
        }
        [[fallthrough]];
      default: ranges.push_back(each);
    }
  }
  return range_map(std::move(ranges));
}

snapshot random_snapshot(random_source& random, uint64_t version) {
  snapshot made;
  made.version = version;
  for (size_t i = 0; i < 8; ++i) {
    if (pick(random, 3) == 0) continue;
    made.nodes.push_back({"n" + std::to_string(i), "session", "a" + std::to_string(pick(random, 2)), pick(random, 2),
                          pick(random, 2) == 0});
  }
  for (size_t i = 0; i < 3; ++i) made.shards.push_back({"s" + std::to_string(i), "", pick(random, 3)});
  made.sessions = random_map(random);
  made.groups = random_map(random);
  made.storage = random_map(random);
  return made;
}

delta over_the_wire(const delta& what) {
  routing::v1::Delta proto;
  to_proto(what, proto);
  return from_proto(proto);
}

void expect_same(const snapshot& got, const snapshot& wanted) {
  EXPECT_EQ(got.version, wanted.version);
  EXPECT_EQ(got.nodes, wanted.nodes);
  EXPECT_EQ(got.shards, wanted.shards);
  EXPECT_EQ(got.sessions, wanted.sessions);
  EXPECT_EQ(got.groups, wanted.groups);
  EXPECT_EQ(got.storage, wanted.storage);
}

TEST(delta, applied_to_what_it_was_made_from_gives_what_it_was_made_for) {
  random_source random(20261122);
  for (int round = 0; round < 2000; ++round) {
    const auto before = random_snapshot(random, 7);
    auto after = random_snapshot(random, 9);
    if (round % 2 == 0) {
      after.sessions = somewhat_changed(before.sessions, random);
      after.groups = somewhat_changed(before.groups, random);
      after.storage = before.storage;
    }
    const auto change = diff(before, after);
    ASSERT_TRUE(change);
    const auto got = apply(before, over_the_wire(*change));
    ASSERT_TRUE(got) << round << ": " << got.error().detail;
    expect_same(**got, after);
    if (HasFailure()) return;
  }
}

TEST(delta, says_only_what_has_changed) {
  random_source random(1);
  const auto before = random_snapshot(random, 1);
  auto after = before;
  after.version = 2;
  auto nothing = diff(before, after);
  ASSERT_TRUE(nothing);
  EXPECT_TRUE(nothing->nodes.empty() && nothing->gone.empty() && nothing->shards.empty());
  EXPECT_TRUE(nothing->sessions.empty() && nothing->groups.empty() && nothing->storage.empty());
  auto ranges = after.sessions.ranges();
  ranges[3].owner = "other";
  after.sessions = range_map(ranges);
  EXPECT_EQ(diff(before, after)->sessions, std::vector<range>{ranges[3]});
}

TEST(delta, for_another_version_is_refused) {
  snapshot before, after;
  before.version = 1;
  after.version = 2;
  const auto change = diff(before, after);
  EXPECT_EQ(apply(after, *change).code(), errc::stale_epoch);
}

TEST(delta, with_overlapping_ranges_is_refused) {
  snapshot before;
  delta change;
  change.version = 1;
  change.sessions = {{0, 5, "a", 1}, {5, 9, "b", 1}};
  EXPECT_EQ(apply(before, change).code(), errc::bad_format);
}

TEST(delta, cannot_say_that_a_shard_is_gone) {
  snapshot before, after;
  before.shards = {{"a", "", 0}};
  EXPECT_FALSE(diff(before, after));
}

}  // namespace
}  // namespace tern::placement
