#include "tools/ctl/shard_report.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace tern::ctl {
namespace {

Status example() {
  Status out;
  auto& first = *out.add_shards();
  first.set_name("shard-0");
  first.set_owner("storage-1");
  first.set_slots(1U << 19U);
  first.set_bytes(3ULL << 20U);
  first.set_term(2);
  first.set_copies(1);
  auto& second = *out.add_shards();
  second.set_name("shard-1");
  second.set_slots(1U << 19U);
  second.set_draining(true);
  second.set_dsn("host=db1");
  auto& move = *out.add_shard_moves();
  move.set_move(7);
  move.set_first(0);
  move.set_last(1023);
  move.set_source("shard-1");
  move.set_target("shard-0");
  move.set_state("copying");
  move.set_left_seconds(61);
  auto& told = *move.mutable_progress();
  told.set_rows(5000);
  told.set_rows_all(10'000);
  told.set_bytes(1U << 20U);
  told.set_behind(12);
  told.set_rows_per_second(2500);
  return out;
}

TEST(shard_report, sizes_are_read) {
  EXPECT_EQ(*parse_bytes("1048576"), 1048576U);
  EXPECT_EQ(*parse_bytes("20MB"), 20U << 20U);
  EXPECT_EQ(*parse_bytes("512KiB"), 512U << 10U);
  EXPECT_EQ(*parse_bytes("1.5g"), 3ULL << 29U);
  EXPECT_EQ(*parse_bytes("100B"), 100U);
  for (const auto* text : {"", "x", "-1", "0", "20 MB", "1e400", "20XB", "nan", "inf", "MB", "0.1"}) {
    EXPECT_EQ(parse_bytes(text).code(), errc::bad_parameter) << text;
  }
}

TEST(shard_report, sizes_are_shown) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(1023), "1023 B");
  EXPECT_EQ(bytes_text(12'900'000), "12.3 MiB");
}

TEST(shard_report, shows_shards_and_how_far_moves_are) {
  const auto text = shards_text(example());
  for (const auto* part : {"shard-0", "storage-1", "3.0 MiB", "served", "not served", "host=db1", "(configured)",
                           "copying", "[######......] 50 %", "5,000", "1.0 MiB", "2,500/s", "12", "1 min 01 s"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  }
}

TEST(shard_report, an_empty_status_says_so) {
  EXPECT_NE(shards_text({}).find("no moves between shards"), std::string::npos);
}

TEST(shard_report, json_has_everything) {
  const auto out = nlohmann::json::parse(shards_json(example()));
  EXPECT_EQ(out["shards"][0]["bytes"], 3U << 20U);
  EXPECT_EQ(out["shards"][1]["draining"], true);
  EXPECT_EQ(out["moves"][0]["rows_all"], 10'000);
  EXPECT_EQ(out["moves"][0]["behind"], 12);
}

TEST(shard_report, what_went_wrong_is_said_of_the_moves_that_were_asked_for) {
  auto status = example();
  EXPECT_TRUE(trouble_of(status, {7}).empty());
  status.mutable_shard_moves(0)->set_state("aborted");
  status.mutable_shard_moves(0)->set_error("disk full");
  EXPECT_NE(trouble_of(status, {7}).find("disk full"), std::string::npos);
  EXPECT_TRUE(trouble_of(status, {8}).empty());
  status.mutable_shard_moves(0)->set_state("kept");
  EXPECT_FALSE(trouble_of(status, {7}).empty());
  EXPECT_TRUE(is_at_rest(status.shard_moves(0)));
}

}  // namespace
}  // namespace tern::ctl
