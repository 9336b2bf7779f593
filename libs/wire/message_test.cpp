#include "libs/wire/message.hpp"

#include <gtest/gtest.h>

#include "libs/wire/codec.hpp"
#include "libs/wire/samples.hpp"

namespace tern::wire {
namespace {

TEST(stored_messages, are_without_mid_timestamp_and_offline_mark) {
  tim_message message = samples::full<tim_message>();
  std::string stored;
  encode_stored(message, stored);
  message.mid.reset();
  message.timestamp.reset();
  message.is_offline.reset();
  EXPECT_EQ(stored, encode(encoding::thrift, message));
  std::string again;
  encode_stored(message, again);
  EXPECT_EQ(again, stored);
}

TEST(stored_messages, are_composed_for_a_client) {
  tim_message message = samples::full<tim_message>();
  std::string stored;
  encode_stored(message, stored);
  std::string composed = "kept";
  ASSERT_TRUE(compose_message(stored, 17, 1234, true, composed));
  message.mid = 17;
  message.timestamp = 1234;
  message.is_offline = true;
  EXPECT_EQ(composed, "kept" + encode(encoding::thrift, message));
  message.is_offline.reset();
  const auto view = compose_view(stored, 17, 1234, std::nullopt);
  ASSERT_TRUE(view);
  EXPECT_TRUE(*view == message);
}

TEST(stored_messages, that_are_damaged_are_reported) {
  std::string out;
  EXPECT_EQ(compose_message("garbage", 1, 1, {}, out).code(), errc::bad_format);
  EXPECT_EQ(compose_view("", 1, 1, {}).code(), errc::bad_format);
  EXPECT_TRUE(out.empty());
}

TEST(stored_messages, larger_than_client_limits_are_still_composed) {
  tim_message message;
  const std::string body(200'000, 'b');
  message.data_string = body;
  message.to_list = std::vector<text>(1000, "n");
  std::string stored;
  encode_stored(message, stored);
  std::string out;
  EXPECT_TRUE(compose_message(stored, 1, 1, {}, out));
}

template <class T>
void expect_rewritten(direction way, frame_type type) {
  const T value = samples::full<T>();
  const std::string thrift = encode(encoding::thrift, value);
  const std::string json = encode(encoding::json, value);
  for (const encoding from : {encoding::thrift, encoding::json}) {
    for (const encoding to : {encoding::thrift, encoding::json}) {
      std::string out;
      const auto done = transcode(way, type, from, to, from == encoding::json ? json : thrift, out);
      ASSERT_TRUE(done) << static_cast<int>(type) << " " << done.error().detail;
      EXPECT_EQ(out, to == encoding::json ? json : thrift) << static_cast<int>(type);
    }
  }
}

TEST(transcode, knows_the_struct_of_every_type_from_clients) {
  constexpr auto way = direction::from_client;
  for (auto type : {frame_type::reg, frame_type::token, frame_type::auth}) expect_rewritten<tim_auth>(way, type);
  for (auto type : {frame_type::pullmessage, frame_type::vroom, frame_type::business}) {
    expect_rewritten<tim_req>(way, type);
  }
  for (auto type : {frame_type::message, frame_type::revokemessage, frame_type::burnmessage}) {
    expect_rewritten<tim_message>(way, type);
  }
  for (auto type : {frame_type::presence, frame_type::broadpresence}) expect_rewritten<tim_presence>(way, type);
  expect_rewritten<tim_nodes>(way, frame_type::nodes);
  expect_rewritten<tim_stream>(way, frame_type::stream);
}

TEST(transcode, knows_the_struct_of_every_type_to_clients) {
  constexpr auto way = direction::to_client;
  for (auto type : {frame_type::ack, frame_type::logout}) expect_rewritten<tim_ack>(way, type);
  for (auto type : {frame_type::offlinemsg, frame_type::pullmessage}) expect_rewritten<tim_message_list>(way, type);
  for (auto type : {frame_type::message, frame_type::revokemessage, frame_type::burnmessage}) {
    expect_rewritten<tim_message>(way, type);
  }
  expect_rewritten<tim_presence>(way, frame_type::presence);
  expect_rewritten<tim_nodes>(way, frame_type::nodes);
  expect_rewritten<tim_stream>(way, frame_type::stream);
}

TEST(transcode, copies_raw_payloads_and_empties_those_without_one) {
  for (auto type : {frame_type::ack, frame_type::bigstring, frame_type::bigbinary, frame_type::bigbinarystream}) {
    std::string out;
    ASSERT_TRUE(transcode(direction::from_client, type, encoding::json, encoding::thrift, "\1\2\3\4", out));
    EXPECT_EQ(out, "\1\2\3\4");
  }
  for (auto type : {frame_type::ping, frame_type::offlinemsg}) {
    std::string out;
    ASSERT_TRUE(transcode(direction::from_client, type, encoding::json, encoding::thrift, "junk", out));
    EXPECT_TRUE(out.empty());
  }
  std::string out;
  ASSERT_TRUE(transcode(frame_type::offlinemsgend, encoding::thrift, encoding::json, "", out));
  EXPECT_TRUE(out.empty());
}

TEST(transcode, refuses_types_that_are_never_sent_that_way) {
  std::string out;
  for (auto type : {frame_type::offlinemsgend, frame_type::logout}) {
    EXPECT_EQ(transcode(direction::from_client, type, encoding::json, encoding::thrift, "{}", out).code(),
              errc::bad_interface);
  }
  for (auto type : {frame_type::reg, frame_type::token, frame_type::auth, frame_type::broadpresence,
                    frame_type::vroom, frame_type::business}) {
    EXPECT_EQ(transcode(type, encoding::thrift, encoding::json, "", out).code(), errc::bad_interface);
  }
}

TEST(transcode, makes_what_clients_send_canonical) {
  // Unknown field 100 of type i8 in front of the stop.
  const std::string odd("\x13\x02\x13\x01\x03\xc8\x01\x07\x00", 9);
  std::string out;
  ASSERT_TRUE(transcode(direction::from_client, frame_type::message, encoding::thrift, encoding::thrift, odd, out));
  EXPECT_EQ(out, std::string("\x13\x02\x13\x01\x00", 5));
  out.clear();
  ASSERT_TRUE(transcode(direction::from_client, frame_type::stream, encoding::json, encoding::thrift,
                        R"({"vnode":"r","body":"Zg=="})", out));
  arena memory;
  const auto stream = decode<tim_stream>(encoding::thrift, out, memory);
  ASSERT_TRUE(stream);
  EXPECT_EQ(stream->vnode, "r");
  EXPECT_EQ(stream->body, "f");
}

TEST(transcode, refuses_bytes_of_the_other_encoding) {
  const tim_message message = samples::full<tim_message>();
  std::string out;
  EXPECT_EQ(transcode(direction::from_client, frame_type::message, encoding::json, encoding::thrift,
                      encode(encoding::thrift, message), out)
                .code(),
            errc::bad_format);
  EXPECT_EQ(transcode(direction::from_client, frame_type::message, encoding::thrift, encoding::thrift,
                      encode(encoding::json, message), out)
                .code(),
            errc::bad_format);
  EXPECT_TRUE(out.empty());
}

TEST(transcode, to_clients_is_not_bound_by_the_limits_for_clients) {
  tim_nodes nodes;
  nodes.ntype = 1;
  nodes.nodelist = std::vector<text>(30'000, "4Tq9sXb2Kd7");
  std::string out;
  EXPECT_TRUE(transcode(frame_type::nodes, encoding::thrift, encoding::json, encode(encoding::thrift, nodes), out));
  EXPECT_EQ(transcode(direction::from_client, frame_type::nodes, encoding::thrift, encoding::thrift,
                      encode(encoding::thrift, nodes), out)
                .code(),
            errc::bad_format);
}

}  // namespace
}  // namespace tern::wire
