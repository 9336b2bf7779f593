#include "libs/base/errc.hpp"

#include <gtest/gtest.h>

#include "libs/base/result.hpp"

namespace tern {
namespace {

TEST(errc, internal_codes_never_reach_a_client) {
  for (int32_t value = 9001; value <= 9008; ++value) {
    const auto wire = static_cast<int32_t>(to_wire(static_cast<errc>(value)));
    EXPECT_GE(wire, 5101);
    EXPECT_LE(wire, 5105);
  }
}

TEST(errc, wire_codes_stay_as_they_are_and_have_a_text) {
  for (int32_t value = 4101; value <= 4117; ++value) {
    EXPECT_EQ(to_wire(static_cast<errc>(value)), static_cast<errc>(value));
    EXPECT_NE(wire_text(static_cast<errc>(value)), wire_text(errc::undefined));
  }
}

TEST(result, carries_a_value_or_an_error) {
  const result<int> good = 3;
  const result<int> bad = errc::no_pass;
  EXPECT_TRUE(good);
  EXPECT_EQ(*good, 3);
  EXPECT_EQ(good.code(), errc::ok);
  EXPECT_FALSE(bad);
  EXPECT_EQ(bad.code(), errc::no_pass);
  EXPECT_TRUE(result<void>{});
  EXPECT_FALSE(result<void>{errc::database});
}

}  // namespace
}  // namespace tern
