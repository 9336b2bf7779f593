#include "tools/ctl/report.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace tern::ctl {
namespace {

void add_node(Status& to, const std::string& name, const std::string& service, const std::string& state,
              uint64_t load) {
  auto& known = *to.mutable_maps()->add_nodes();
  known.set_name(name);
  known.set_service(service);
  known.set_address("unix:/run/" + name);
  known.set_incarnation(UINT64_MAX);
  known.set_alive(state != "dead");
  auto& node = *to.add_nodes();
  node.set_name(name);
  node.set_state(state);
  node.set_load(load);
  node.set_heard_ms(700);
  node.set_map_version(9);
}

void add_range(google::protobuf::RepeatedPtrField<routing::v1::Range>& to, uint32_t first, uint32_t last,
               const std::string& owner) {
  auto& range = *to.Add();
  range.set_first(first);
  range.set_last(last);
  range.set_owner(owner);
  range.set_epoch(7);
}

Status example() {
  Status out;
  out.set_leader("routing-0");
  out.set_term(3);
  out.set_moves_done(12);
  out.set_moves_failed(1);
  auto& maps = *out.mutable_maps();
  maps.set_version(9);
  add_node(out, "session-1", "session", "draining", 40);
  add_node(out, "session-0", "session", "up", 1234);
  add_node(out, "storage-0", "storage", "up", 0);
  auto& leader = *out.add_nodes();
  leader.set_name("routing-0");
  leader.set_state("up");
  add_range(*maps.mutable_sessions(), 0, 786'431, "session-0");
  add_range(*maps.mutable_sessions(), 786'432, 1'048'575, "session-1");
  add_range(*maps.mutable_groups(), 0, 1'048'575, "");
  add_range(*maps.mutable_storage(), 0, 1'048'575, "shard-0");
  auto& shard = *maps.add_shards();
  shard.set_name("shard-0");
  shard.set_owner("storage-0");
  shard.set_epoch(4);
  auto& move = *out.add_moves();
  move.set_move(UINT64_MAX);
  move.set_first(786'432);
  move.set_last(786'495);
  move.set_source("session-1");
  move.set_target("session-0");
  move.set_state("ordered");
  move.set_reason("drain");
  move.set_moved(5);
  move.set_seconds(0.25);
  return out;
}

TEST(report, nodes_are_sorted_by_service_and_name_with_their_share) {
  EXPECT_EQ(nodes_text(example(), ""),
            "NODE       SERVICE  STATE      LOAD      SLOTS     SHARE  HEARD  MAP  ADDRESS\n"
            "routing-0  routing  up                                    leads    0\n"
            "session-0  session  up        1,234    786,432   75.00 %  0.7 s    9  unix:/run/session-0\n"
            "session-1  session  draining     40    262,144   25.00 %  0.7 s    9  unix:/run/session-1\n"
            "storage-0  storage  up               1,048,576  100.00 %  0.7 s    9  unix:/run/storage-0\n");
  EXPECT_EQ(nodes_text(example(), "gateway"), "no gateway nodes\n");
}

TEST(report, ranges_are_shown_in_hex_and_in_numbers_with_epochs) {
  EXPECT_EQ(ranges_text(example(), {}),
            "MAP       SLOTS             FIRST     LAST      COUNT     SHARE  NODE       EPOCH  SHARD\n"
            "sessions  0x00000-0xbffff       0   786431    786,432   75.00 %  session-0      7\n"
            "sessions  0xc0000-0xfffff  786432  1048575    262,144   25.00 %  session-1      7\n"
            "groups    0x00000-0xfffff       0  1048575  1,048,576  100.00 %  -              7\n"
            "storage   0x00000-0xfffff       0  1048575  1,048,576  100.00 %  storage-0      4  shard-0\n");
  const auto of_node = ranges_text(example(), {true, map_kind::sessions, "storage-0"});
  EXPECT_EQ(std::count(of_node.begin(), of_node.end(), '\n'), 2) << of_node;
}

TEST(report, status_says_who_leads_who_is_not_up_and_what_has_no_owner) {
  const auto text = status_text(example());
  for (const char* expected : {"leader routing-0, term 3, maps at version 9", "1 move under way, 0 to come, 12 done",
                               "session-1 is draining", "session-0 75.00 %", "1,048,576"}) {
    EXPECT_NE(text.find(expected), std::string::npos) << text;
  }
}

TEST(report, moves_show_what_is_under_way) {
  const auto text = moves_text(example());
  EXPECT_NE(text.find("0xc0000-0xc003f"), std::string::npos) << text;
  EXPECT_NE(text.find("ordered"), std::string::npos) << text;
  EXPECT_NE(text.find("12 done, 1 failed in term 3"), std::string::npos) << text;
}

TEST(report, what_is_left_is_counted_by_the_maps) {
  EXPECT_EQ(slots_of(example(), "session-1"), 262'144U);
  EXPECT_EQ(slots_of(example(), "storage-0"), 1'048'576U);
  EXPECT_EQ(slots_elsewhere(example(), map_kind::sessions, {786'430, 786'433}, "session-1"), 2U);
  EXPECT_EQ(slots_elsewhere(example(), map_kind::sessions, {0, 63}, "session-0"), 0U);
}

TEST(report, json_keeps_its_shape) {
  const auto status = nlohmann::json::parse(status_json(example()));
  EXPECT_EQ(status["leader"], "routing-0");
  EXPECT_EQ(status["term"], 3);
  EXPECT_EQ(status["version"], 9);
  EXPECT_EQ(status["nodes"][0]["name"], "session-1");
  EXPECT_EQ(status["nodes"][0]["incarnation"], "18446744073709551615");
  EXPECT_EQ(status["ranges"]["storage"][0]["node"], "storage-0");
  EXPECT_EQ(status["ranges"]["storage"][0]["shard"], "shard-0");
  EXPECT_EQ(status["ranges"]["storage"][0]["epoch"], 4);
  EXPECT_EQ(status["moves"][0]["move"], "18446744073709551615");
  EXPECT_EQ(status["pinned"].size(), 0U);
  EXPECT_EQ(nlohmann::json::parse(nodes_json(example(), "session"))["nodes"].size(), 2U);
  EXPECT_EQ(nlohmann::json::parse(ranges_json(example(), {false, map_kind::sessions, ""}))["ranges"].size(), 2U);
  EXPECT_EQ(nlohmann::json::parse(moves_json(example()))["moves_done"], 12);
}

TEST(report, json_of_an_outcome_and_of_the_way_there) {
  outcome what{"drain", true, false, {example().moves(0)}, 1.5};
  const auto parsed = nlohmann::json::parse(outcome_json(what));
  EXPECT_EQ(parsed["command"], "drain");
  EXPECT_EQ(parsed["done"], true);
  EXPECT_EQ(parsed["plan"][0]["first"], 786'432);
  const auto step = nlohmann::json::parse(progress_json("drain", "slots", 5, 10, 2.5, 2000));
  EXPECT_EQ(step["left"], 5);
  EXPECT_EQ(step["remaining_ms"], 2000);
}

TEST(report, a_name_that_is_no_utf_8_does_not_end_the_program) {
  Status odd;
  odd.set_leader("\xff\xfe");
  EXPECT_FALSE(nlohmann::json::parse(moves_json(odd)).is_discarded());
}

}  // namespace
}  // namespace tern::ctl
