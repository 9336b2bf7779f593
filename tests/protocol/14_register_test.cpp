#include "tests/protocol/fixture.hpp"

namespace tern::testing {
namespace {

using wire::encoding;
using wire::frame_type;

TEST_P(protocol, 14_register_creates_an_account_once) {
  const std::string name = fresh_name("alice");
  const std::string node = register_account(name);
  EXPECT_TRUE(account_from_node(node));
  const auto again = account_call(port(), frame_type::reg, enc(), name, "other");
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.code, 4101);
}

TEST_P(protocol, 14_register_keeps_domains_apart) {
  const std::string name = fresh_name("alice");
  const std::string plain = register_account(name);
  EXPECT_NE(register_account(name, "blue"), plain);
}

TEST_P(protocol, 14_register_refuses_names_that_cannot_be) {
  for (const std::string& name : {std::string(), std::string(65, 'x'), std::string("a\nb")}) {
    EXPECT_EQ(account_call(port(), frame_type::reg, enc(), name, "secret").code, 4104);
  }
  EXPECT_EQ(account_call(port(), frame_type::reg, enc(), fresh_name("alice"), "").code, 4104);
}

TEST_P(protocol, 14_register_is_not_taken_over_a_websocket) {
  auto client = new_user("alice");
  wire::tim_auth auth;
  auth.name = "x";
  auth.pwd = "y";
  client->send(frame_type::reg, auth);
  expect_refused(*client, frame_type::reg, 4107);
}

}  // namespace
}  // namespace tern::testing
