#include "tests/protocol/fixture.hpp"

namespace tern::testing {
namespace {

using wire::encoding;
using wire::frame_type;

TEST_P(protocol, 18_offlinemsgend_comes_at_once_when_nothing_waits) {
  auto client = new_user("alice");
  client->send_bytes(frame_type::offlinemsg, {});
  const auto frame = client->next();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->type, frame_type::offlinemsgend);
  EXPECT_FALSE(frame->sync_id);
  EXPECT_TRUE(frame->payload.empty());
}

TEST_P(protocol, 18_offlinemsgend_is_not_taken_from_a_client) {
  auto client = new_user("alice");
  client->send_bytes(frame_type::offlinemsgend, {});
  expect_refused(*client, frame_type::offlinemsgend, 4107);
}

}  // namespace
}  // namespace tern::testing
