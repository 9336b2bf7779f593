#include "tests/protocol/fixture.hpp"

namespace tern::testing {
namespace {

using wire::encoding;
using wire::frame_type;

/// Commands of the table that this server answers with 4107, each in its own struct.
TEST_P(protocol, 22_vroom_is_not_offered) {
  auto client = new_user("alice");
  wire::tim_req req;
  req.rtype = 1;
  client->send(frame_type::vroom, req);
  expect_refused(*client, frame_type::vroom, 4107);
}

TEST_P(protocol, 94_stream_is_not_offered) {
  auto client = new_user("alice");
  wire::tim_stream stream;
  stream.vnode = "x";
  client->send(frame_type::stream, stream);
  expect_refused(*client, frame_type::stream, 4107);
}

TEST_P(protocol, 95_96_97_big_data_is_not_offered) {
  auto client = new_user("alice");
  for (const auto type : {frame_type::bigstring, frame_type::bigbinary, frame_type::bigbinarystream}) {
    const std::string rest = type == frame_type::bigstring ? "node|data" : "node\x83 data";
    std::string length(4, '\0');
    length[3] = static_cast<char>(5 + rest.size());
    client->send_bytes(type, length + rest);
    expect_refused(*client, type, 4107);
  }
}

}  // namespace
}  // namespace tern::testing
