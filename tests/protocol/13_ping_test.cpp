#include "tests/protocol/fixture.hpp"

namespace tern::testing {
namespace {

using wire::encoding;
using wire::frame_type;

TEST_P(protocol, 13_ping_is_echoed_before_and_after_login) {
  const std::string name = fresh_name("alice");
  register_account(name);
  auto client = anonymous();
  client->send_bytes(frame_type::ping, {});
  EXPECT_TRUE(client->next(frame_type::ping));
  EXPECT_TRUE(client->login(name, "secret").ok);
  client->send_bytes(frame_type::ping, {});
  const auto echo = client->next(frame_type::ping);
  ASSERT_TRUE(echo);
  EXPECT_FALSE(echo->sync_id);
  EXPECT_TRUE(echo->payload.empty());
}

}  // namespace
}  // namespace tern::testing
