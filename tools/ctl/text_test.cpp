#include "tools/ctl/text.hpp"

#include <gtest/gtest.h>

#include "libs/base/ids.hpp"

namespace tern::ctl {
namespace {

TEST(table, columns_are_as_wide_as_their_widest_cell_and_numbers_stand_at_the_right) {
  table out({"NODE", ">LOAD", "ADDRESS"});
  out.add({"session-0", "12,000", "unix:/a"});
  out.add({"s", "7"});
  EXPECT_EQ(out.text(),
            "NODE         LOAD  ADDRESS\n"
            "session-0  12,000  unix:/a\n"
            "s               7\n");
}

TEST(slots, are_read_in_decimal_in_hex_and_in_percent) {
  EXPECT_EQ(*parse_slots("0-1023"), (slot_range{0, 1023}));
  EXPECT_EQ(*parse_slots("0x10-0x1F"), (slot_range{16, 31}));
  EXPECT_EQ(*parse_slots("7"), (slot_range{7, 7}));
  EXPECT_EQ(*parse_slots("0%-25%"), (slot_range{0, slot_count / 4 - 1}));
  EXPECT_EQ(*parse_slots("25%-100%"), (slot_range{slot_count / 4, slot_count - 1}));
  EXPECT_EQ(*parse_slots("0-1048575"), (slot_range{0, slot_count - 1}));
}

TEST(slots, what_is_no_range_is_refused_with_a_hint) {
  for (const char* text :
       {"", "-", "a-b", "5-", "-5", "1-2-3", "0x", "1.5-2", "50%", "0-0%", "1 -2", "0-101%", "nan%-nan%"}) {
    const auto parsed = parse_slots(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.code(), errc::bad_parameter);
    EXPECT_NE(parsed.error().detail.find("e.g. 0-1023"), std::string::npos) << parsed.error().detail;
  }
  EXPECT_NE(parse_slots("9-3").error().detail.find("ends before it begins"), std::string::npos);
  EXPECT_NE(parse_slots("0-1048576").error().detail.find("beyond the last slot"), std::string::npos);
  EXPECT_FALSE(parse_slots("0-99999999999999999999"));
}

TEST(text, shares_ages_and_large_numbers_are_made_for_people) {
  EXPECT_EQ(hex_range({0, 1023}), "0x00000-0x003ff");
  EXPECT_EQ(share(slot_count), "100.00 %");
  EXPECT_EQ(share(slot_count / 8), "12.50 %");
  EXPECT_EQ(share(1), "< 0.01 %");
  EXPECT_EQ(share(0), "0 %");
  EXPECT_EQ(age(-1), "never");
  EXPECT_EQ(age(430), "0.4 s");
  EXPECT_EQ(age(12'300), "12 s");
  EXPECT_EQ(age(185'000), "3 min 05 s");
  EXPECT_EQ(age(7'800'000), "2 h 10 min");
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1'048'576), "1,048,576");
}

TEST(nearest, finds_slips_of_the_pen_and_nothing_far_away) {
  const std::vector<std::string> known{"cluster status", "nodes", "ranges", "drain"};
  EXPECT_EQ(nearest("node", known), "nodes");
  EXPECT_EQ(nearest("drian", known), "drain");
  EXPECT_EQ(nearest("cluster", known), "cluster status");
  EXPECT_EQ(nearest("frobnicate", known), "");
}

}  // namespace
}  // namespace tern::ctl
