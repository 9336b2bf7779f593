#include "tests/protocol/fixture.hpp"

namespace tern::testing {
namespace {

using wire::encoding;
using wire::frame_type;

TEST_P(protocol, 20_logout_goes_to_the_oldest_terminal_over_the_device_limit) {
  const std::string name = fresh_name("alice");
  register_account(name);
  auto first = log_in(name);
  auto second = log_in(name);
  auto third = log_in(name);
  const auto frame = first->next(frame_type::logout);
  ASSERT_TRUE(frame);
  const auto ack = first->read<wire::tim_ack>(*frame);
  EXPECT_EQ(ack.tim_type, 20);
  EXPECT_TRUE(first->ws().wait_close());
  for (auto* one : {second.get(), third.get()}) {
    one->send_bytes(frame_type::ping, {});
    EXPECT_TRUE(one->next(frame_type::ping));
  }
}

TEST_P(protocol, 20_logout_is_not_taken_from_a_client) {
  auto client = new_user("alice");
  client->send_bytes(frame_type::logout, {});
  expect_refused(*client, frame_type::logout, 4107);
}

}  // namespace
}  // namespace tern::testing
