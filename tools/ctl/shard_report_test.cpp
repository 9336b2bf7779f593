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
  EXPECT_EQ(out["moves"][0]["move"], "7") << "64 bits are a text";
  EXPECT_EQ(out["moves"][0]["rows_all"], 10'000);
  EXPECT_EQ(out["moves"][0]["behind"], 12);
}

TEST(shard_report, what_went_wrong_is_said_of_the_moves_that_were_asked_for) {
  auto status = example();
  EXPECT_EQ(trouble_of(status, {7}, "kept"), "");
  status.mutable_shard_moves(0)->set_state("aborted");
  status.mutable_shard_moves(0)->set_error("disk full");
  EXPECT_NE(trouble_of(status, {7}, "kept").find("disk full"), std::string::npos);
  EXPECT_EQ(trouble_of(status, {7}, "aborted"), "") << "that was the wish";
  EXPECT_NE(trouble_of(status, {8}, "kept").find("move 8 has ended"), std::string::npos);
  status.mutable_shard_moves(0)->set_state("kept");
  EXPECT_FALSE(trouble_of(status, {7}, "done").empty());
  EXPECT_TRUE(is_at_rest(status.shard_moves(0)));
}

std::string told(const Status& status) {
  std::string out;
  for (const auto& each : shard_troubles(status)) out += each.subject + ": " + each.text + "\n";
  return out;
}

TEST(shard_report, shards_with_problems_are_named) {
  auto status = example();
  EXPECT_EQ(told(status), "");
  status.mutable_shards(0)->set_problem("1 of 2 standbys");
  EXPECT_EQ(told(status), "shard shard-0: 1 of 2 standbys\n");
}

TEST(shard_report, moves_that_failed_are_named_until_they_are_tried_again) {
  auto status = example();
  auto& move = *status.mutable_shard_moves(0);
  move.set_state("aborted");
  move.set_error("disk full");
  EXPECT_EQ(told(status), "move 7: was given up: disk full\n");
  move.set_error("an operator gave it up");
  EXPECT_EQ(told(status), "");
  move.set_error("disk full");
  auto& next = *status.add_shard_moves();
  next = status.shard_moves(0);
  next.set_move(8);
  next.set_state("kept");
  next.clear_error();
  EXPECT_EQ(told(status), "");
  next.set_error("rows differ");
  EXPECT_EQ(told(status), "move 8: cannot be finished: rows differ\n");
  next.set_first(5000);
  next.set_last(6000);
  next.set_state("done");
  EXPECT_EQ(told(status), "move 7: was given up: disk full\n") << "others slots";
}

TEST(shard_report, moves_that_stand_still_are_named) {
  auto status = example();
  auto& move = *status.mutable_shard_moves(0);
  move.set_seconds(3600);
  EXPECT_EQ(told(status), "");
  move.mutable_progress()->set_rows_per_second(0);
  EXPECT_EQ(told(status), "move 7: stands still: it copies nothing\n");
  move.set_seconds(2);
  EXPECT_EQ(told(status), "") << "it has only begun";
  move.set_seconds(3600);
  move.mutable_progress()->set_rows(10'000);
  move.mutable_progress()->set_behind(0);
  EXPECT_EQ(told(status), "") << "it compares";
  move.set_state("opening");
  EXPECT_EQ(told(status), "");
  move.mutable_progress()->set_stalled_us(7'000'000);
  EXPECT_EQ(told(status), "move 7: is opening: nobody has served its slots for 7.0 s\n");
  EXPECT_TRUE(shard_troubles(status)[0].unserved);
  EXPECT_EQ(shard_troubles(status)[0].shard, "shard-0") << "the target should serve them";
  move.set_state("kept");
  EXPECT_EQ(told(status), "");
}

}  // namespace
}  // namespace tern::ctl
