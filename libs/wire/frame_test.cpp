#include "libs/wire/frame.hpp"

#include <gtest/gtest.h>

#include <set>

#include "libs/wire/big_data.hpp"

namespace tern::wire {
namespace {

using namespace std::string_view_literals;

TEST(command_table, has_every_type_once_in_order) {
  const std::vector<int> types{12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 41, 42, 90, 91, 92, 93, 94, 95, 96, 97};
  std::vector<int> listed;
  std::set<std::string_view> names;
  for (const command& c : commands()) {
    listed.push_back(static_cast<int>(c.type));
    names.insert(c.name);
    EXPECT_EQ(find_command(static_cast<uint8_t>(c.type)), &c);
  }
  EXPECT_EQ(listed, types);
  EXPECT_EQ(names.size(), types.size());
}

TEST(command_table, lets_only_auth_and_ping_in_before_login) {
  for (const command& c : commands()) {
    const bool early = c.type == frame_type::auth || c.type == frame_type::ping;
    EXPECT_EQ(c.rule == auth_rule::before_login, early) << c.name;
    const bool http = c.type == frame_type::reg || c.type == frame_type::token;
    EXPECT_EQ(c.rule == auth_rule::http_only, http) << c.name;
    const bool server_only = c.type == frame_type::offlinemsgend || c.type == frame_type::logout;
    EXPECT_EQ(c.rule == auth_rule::never, server_only) << c.name;
  }
}

TEST(frames, that_are_empty_or_of_unknown_type_are_refused) {
  EXPECT_EQ(parse_frame("").code(), errc::bad_format);
  for (unsigned first = 0; first < 256; ++first) {
    const char byte = static_cast<char>(first);
    const auto frame = parse_frame({&byte, 1});
    const bool known = find_command(static_cast<uint8_t>(first & 0x7FU)) != nullptr;
    ASSERT_EQ(static_cast<bool>(frame), known) << first;
    if (!known) continue;
    EXPECT_EQ(static_cast<unsigned>(frame->type), first & 0x7FU);
    EXPECT_EQ(frame->enc, first >= 0x80 ? encoding::json : encoding::thrift);
    EXPECT_TRUE(frame->payload.empty());
  }
  EXPECT_EQ(find_command(0x80 | 90), nullptr);
}

TEST(frames, keep_the_payload_as_it_is) {
  const auto frame = parse_frame("\xda{\"msType\":2}"sv);
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->type, frame_type::message);
  EXPECT_EQ(frame->enc, encoding::json);
  EXPECT_EQ(frame->payload, "{\"msType\":2}");
}

TEST(sync_ids, are_exactly_four_bytes_big_endian) {
  EXPECT_EQ(parse_sync_id("\x01\x02\x03\x04"sv), 0x01020304);
  EXPECT_EQ(parse_sync_id("\xff\xff\xff\xff"sv), -1);
  EXPECT_EQ(parse_sync_id("\x80\x00\x00\x00"sv), std::numeric_limits<int32_t>::min());
  for (const size_t size : {0U, 1U, 2U, 3U, 5U, 1'000'000U}) {
    EXPECT_FALSE(parse_sync_id(std::string(size, '\1'))) << size;
  }
}

TEST(heads, carry_the_type_and_the_sync_id) {
  EXPECT_EQ(make_head(frame_type::ping).view(), "\x0d"sv);
  EXPECT_EQ(make_head(frame_type::message, 0x01020304).view(), "\xda\x01\x02\x03\x04"sv);
  EXPECT_EQ(make_head(frame_type::message, -2).view(), "\xda\xff\xff\xff\xfe"sv);
}

std::string big_head(uint8_t type, uint32_t length) {
  std::string bytes(1, static_cast<char>(type));
  for (unsigned shift : {24U, 16U, 8U, 0U}) bytes.push_back(static_cast<char>(length >> shift));
  return bytes;
}

TEST(big_length, needs_five_bytes_and_a_sane_number) {
  for (size_t size = 0; size < 5; ++size) {
    const auto length = big_length(big_head(95, 100).substr(0, size), 1000);
    ASSERT_TRUE(length);
    EXPECT_FALSE(*length);
  }
  EXPECT_EQ(big_length(big_head(95, 7), 1000)->value(), 7U);
  EXPECT_EQ(big_length(big_head(96, 1000) + "more", 1000)->value(), 1000U);
  for (const uint32_t bad : {0U, 1U, 5U, 6U, 1001U, 0x7FFFFFFFU, 0x80000000U, 0xFFFFFFFFU}) {
    EXPECT_EQ(big_length(big_head(95, bad), 1000).code(), errc::big_data) << bad;
  }
  EXPECT_EQ(big_length(big_head(95, 0xFFFFFFFFU), SIZE_MAX).code(), errc::big_data);
}

TEST(big_frames, give_node_and_data) {
  struct {
    uint8_t type;
    std::string_view body, node, data;
  } const cases[] = {
      {95, "bob|hi"sv, "bob", "hi"},
      {95, "bob\0hi"sv, "bob", "hi"},
      {95, "bob|"sv, "bob", ""},
      {95, "b|\0||"sv, "b", "\0||"sv},
      {96, "bob\x83|\0\x83"sv, "bob", "|\0\x83"sv},
      {97, "room\x83"sv, "room", ""},
      {96, "a|b\x83x"sv, "a|b", "x"},
  };
  for (const auto& c : cases) {
    const std::string frame = big_head(c.type, static_cast<uint32_t>(5 + c.body.size())) + std::string(c.body);
    const auto big = parse_big(frame);
    ASSERT_TRUE(big) << c.body;
    EXPECT_EQ(static_cast<uint8_t>(big->type), c.type);
    EXPECT_EQ(big->node, c.node);
    EXPECT_EQ(big->data, c.data);
  }
}

TEST(big_frames, without_node_separator_or_true_length_are_refused) {
  const auto code = [](uint8_t type, std::string_view body, int lie = 0) {
    return parse_big(big_head(type, static_cast<uint32_t>(static_cast<int>(body.size()) + 5 + lie)) +
                     std::string(body))
        .code();
  };
  EXPECT_EQ(code(95, "bob|hi"), errc::ok);
  EXPECT_EQ(code(95, "bob|hi", 1), errc::big_data);
  EXPECT_EQ(code(95, "bob|hi", -1), errc::big_data);
  EXPECT_EQ(code(95, "nobody"), errc::big_data);
  EXPECT_EQ(code(95, "bob\x83hi"), errc::big_data);
  EXPECT_EQ(code(95, "|hi"), errc::big_data);
  EXPECT_EQ(code(95, "\0hi"sv), errc::big_data);
  EXPECT_EQ(code(96, "\x83hi"), errc::big_data);
  EXPECT_EQ(code(96, "bob|hi"), errc::big_data);
  EXPECT_EQ(code(96, "bob\0hi"sv), errc::big_data);
  EXPECT_EQ(code(95, "|"), errc::big_data);
  std::string longest(65, 'n');
  longest.back() = '|';
  EXPECT_EQ(code(95, longest), errc::ok);
  EXPECT_EQ(code(95, "n" + longest), errc::big_data);
  EXPECT_EQ(code(90, "bob|hi"), errc::big_data);
  EXPECT_EQ(code(1, "bob|hi"), errc::big_data);
  EXPECT_EQ(parse_big("").code(), errc::big_data);
  EXPECT_EQ(parse_big("\x5f").code(), errc::big_data);
}

TEST(big_frames, written_by_a_client_parse_again) {
  for (const frame_type type : {frame_type::bigstring, frame_type::bigbinary, frame_type::bigbinarystream}) {
    std::string frame;
    ASSERT_TRUE(write_big_request({type, "bob", "data"}, frame));
    EXPECT_EQ(big_length(frame, 1000)->value(), frame.size());
    const auto big = parse_big(frame);
    ASSERT_TRUE(big);
    EXPECT_EQ(big->node, "bob");
    EXPECT_EQ(big->data, "data");
  }
  std::string out;
  write_big({frame_type::bigstring, "bob", "x"}, out);
  EXPECT_EQ(out, "_bob|x");
  out.clear();
  write_big({frame_type::bigbinary, "bob", "x"}, out);
  EXPECT_EQ(out, "`bob\x83x");
}

}  // namespace
}  // namespace tern::wire
