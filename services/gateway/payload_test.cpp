#include "services/gateway/payload.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "libs/wire/structs.hpp"

namespace tern::gateway {
namespace {

TEST(payload, a_json_client_gets_lists_that_are_longer_than_clients_may_send) {
  const std::vector<wire::text> friends(2000, "2GrP6VmErhy1u");
  wire::tim_nodes roster;
  roster.ntype = 1;
  roster.nodelist = friends;
  const auto stored = wire::encode(wire::encoding::thrift, roster);
  std::string json;
  ASSERT_EQ(write_payload(wire::frame_type::nodes, stored, wire::encoding::json, json), errc::ok);
  EXPECT_EQ(json, wire::encode(wire::encoding::json, roster));
}

TEST(payload, what_is_not_the_struct_of_its_type_is_refused_towards_clients) {
  std::string json;
  EXPECT_EQ(write_payload(wire::frame_type::nodes, "\xFF\xFF", wire::encoding::json, json), errc::bad_format);
}

}  // namespace
}  // namespace tern::gateway
