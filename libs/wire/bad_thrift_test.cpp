// Hostile Thrift compact input, table by table. Bytes are written as hex.
#include <gtest/gtest.h>

#include <string>

#include "libs/wire/codec.hpp"

namespace tern::wire {
namespace {

std::string hex(std::string_view digits) {
  std::string bytes;
  int high = -1;
  for (const char c : digits) {
    if (c == ' ') continue;
    const int digit = c <= '9' ? c - '0' : c - 'a' + 10;
    if (high < 0) {
      high = digit;
    } else {
      bytes.push_back(static_cast<char>(high * 16 + digit));
      high = -1;
    }
  }
  return bytes;
}

struct bad_case {
  const char* name;
  const char* bytes;
  const char* why;
};

// TimMessage starts with msType (13 xx) and odType (13 xx); "13021301" is the least valid message without its stop.
const bad_case bad_messages[] = {
    {"nothing", "", "cut off"},
    {"only a stop", "00", "required field missing"},
    {"one required field missing", "1302 00", "required field missing"},
    {"stop byte missing", "1302 1301", "cut off"},
    {"trailing byte", "1302 1301 00 00", "trailing bytes"},
    {"field type 13", "1302 1301 1d 00 00", "unknown field type"},
    {"field type 15", "1302 1301 1f 00 00", "unknown field type"},
    {"type 0 with a delta", "1302 1301 10", "unknown field type"},
    {"wrong type of a known field", "1402 1301 00", "wrong field type"},
    {"boolean field as i8", "1302 1301 9301 00", "wrong field type"},
    {"number field as boolean", "1302 1301 11 00", "wrong field type"},
    {"repeated field", "1302 0302 02 1301 00", "repeated field"},
    {"field id wraps", "1302 1301 03 feff03 00 f300 00", "field id wraps"},
    {"long field id above int16", "1302 1301 03 808008 00 00", "number too large"},
    {"varint of 11 bytes", "1302 1301 16 8080808080808080808001 00", "number too long"},
    {"varint above 64 bits", "1302 1301 16 80808080808080808002 00", "number too large"},
    {"overlong zero", "1302 1301 16 8000 00", "overlong number"},
    {"overlong one", "1302 1301 16 818000 00", "overlong number"},
    {"i32 above 32 bits", "1302 1301 35 8080808010 00", "number too large"},
    {"i16 above its range", "1302 1301 b4 808008 00", "number too large"},
    {"text longer than the input", "1302 1301 88 05 6162 00", "cut off"},
    {"text of 2^31 - 1 bytes", "1302 1301 88 ffffffff07 00", "text too long"},
    {"text of -1 bytes", "1302 1301 88 ffffffff0f 00", "text too long"},
    {"text size above 32 bits", "1302 1301 88 ffffffff1f 00", "number too large"},
    {"text that is not UTF-8", "1302 1301 88 02 c328 00", "not UTF-8"},
    {"text with a surrogate", "1302 1301 88 03 eda080 00", "not UTF-8"},
    {"text with an overlong NUL", "1302 1301 88 02 c080 00", "not UTF-8"},
    {"text above U+10FFFF", "1302 1301 88 04 f4908080 00", "not UTF-8"},
    {"list of 2^31 - 1", "1302 1301 f9 f8 ffffffff07 00", "more elements than bytes"},
    {"list of -1", "1302 1301 f9 f8 ffffffff0f 00", "more elements than bytes"},
    {"list of numbers for texts", "1302 1301 f9 15 02 00", "wrong element type"},
    {"list of type 0", "1302 1301 f9 10 00 00", "unknown type"},
    {"map of 2^31 - 1", "1302 1301 db ffffffff07 88 00", "more elements than bytes"},
    {"map of -1", "1302 1301 db ffffffff0f 88 00", "more elements than bytes"},
    {"map with wrong key type", "1302 1301 db 01 58 02 0161 00", "wrong element type"},
    {"map with wrong value type", "1302 1301 db 01 85 0161 02 00", "wrong element type"},
    {"map with a repeated key", "1302 1301 db 02 88 0161 0162 0161 0163 00", "repeated key"},
    {"map without types", "1302 1301 db 01", "cut off"},
    {"Tid without its node", "1302 1301 4c 00 00", "required field missing"},
    {"Tid cut off", "1302 1301 4c 18 0161", "cut off"},
    {"unknown text longer than the input", "1302 1301 f8 00 f8 7f 00", "wrong field type"},
};

TEST(bad_thrift, every_case_is_refused_for_its_reason) {
  for (const bad_case& c : bad_messages) {
    arena memory;
    const auto decoded = decode<tim_message>(encoding::thrift, hex(c.bytes), memory);
    ASSERT_FALSE(decoded) << c.name;
    EXPECT_EQ(decoded.code(), errc::bad_format) << c.name;
    EXPECT_EQ(decoded.error().detail, std::string("thrift: ") + c.why) << c.name;
  }
}

/// A valid message with one more field of id 100 (zigzag c801) in front of the stop.
result<tim_message> with_unknown(uint8_t type, std::string_view value_hex, arena& memory) {
  static constexpr std::string_view digits = "0123456789abcdef";
  const std::string field = std::string("0") + digits[type] + "c801" + std::string(value_hex);
  static std::string bytes;  // views of the result
  bytes = hex("13021301" + field + "00");
  return decode<tim_message>(encoding::thrift, bytes, memory);
}

TEST(unknown_fields, of_every_type_are_skipped) {
  struct {
    uint8_t type;
    const char* value;
  } const cases[] = {
      {1, ""},                      // true
      {2, ""},                      // false
      {3, "ff"},                    // i8
      {4, "8001"},                  // i16
      {5, "ffffffff0f"},            // i32
      {6, "ffffffffffffffffff01"},  // i64
      {7, "000000000000f87f"},      // NaN
      {8, "03fffefd"},              // bytes that are not UTF-8
      {9, "31 00 01 02"},           // list of booleans in each encoding
      {9, "32 00 01 02"},
      {9, "00"},                       // empty list without a type
      {10, "25 02 04"},                // set of i32
      {11, "00"},                      // empty map
      {11, "01 5c 02 15 02 00"},       // map of i32 to struct
      {12, "11 12 13 05 18 0161 00"},  // struct
      {9, "1c 19 1c 11 00 00"},        // lists and structs in each other
  };
  for (const auto& c : cases) {
    arena memory;
    const auto decoded = with_unknown(c.type, c.value, memory);
    ASSERT_TRUE(decoded) << int{c.type} << ": " << decoded.error().detail;
    EXPECT_EQ(decoded->ms_type, 2);
    EXPECT_EQ(decoded->od_type, 1);
  }
}

TEST(unknown_fields, that_are_cut_or_lie_about_their_size_are_refused) {
  struct {
    uint8_t type;
    const char* value;
  } const cases[] = {
      {7, "00"},
      {8, "7f"},
      {8, "ffffffff0f"},
      {9, "f5 ffffffff07"},
      {9, "f5 ffffffff0f"},
      {9, "2d 00"},
      {10, "fc ff7f"},
      {11, "ffffffff07 55"},
      {11, "02 d5 02 02"},
      {12, "15 02"},
      {6, "80808080808080808080 01"},
  };
  for (const auto& c : cases) {
    arena memory;
    EXPECT_EQ(with_unknown(c.type, c.value, memory).code(), errc::bad_format) << int{c.type} << " " << c.value;
  }
}

TEST(unknown_fields, with_negative_and_zero_ids_are_skipped) {
  for (const char* id : {"00", "01", "ffff03"}) {  // 0, -1, -32768
    arena memory;
    const std::string bytes = hex(std::string("13021301 03 ") + id + " 07 00");
    EXPECT_TRUE(decode<tim_message>(encoding::thrift, bytes, memory)) << id;
  }
}

TEST(nesting, of_unknown_structs_is_bounded) {
  const auto nested = [](size_t levels, char head) {
    return hex("13021301 0c c801") + std::string(levels, head) + std::string(levels, '\0') + hex("00 00");
  };
  arena memory;
  EXPECT_TRUE(decode<tim_message>(encoding::thrift, nested(29, 0x1c), memory));
  EXPECT_FALSE(decode<tim_message>(encoding::thrift, nested(32, 0x1c), memory));
  EXPECT_FALSE(decode<tim_message>(encoding::thrift, nested(10'000, 0x1c), memory));
  EXPECT_FALSE(decode<tim_message>(encoding::thrift, nested(1'000'000, 0x1c), memory));
  const std::string lists = hex("13021301 09 c801") + std::string(1'000'000, 0x19);
  EXPECT_FALSE(decode<tim_message>(encoding::thrift, lists, memory));
}

TEST(thrift_fields, may_come_in_any_order) {
  arena memory;
  const std::string bytes = hex("0304 01 0302 02 0608 06 0606 04 00");  // odType, msType, mid, id
  const auto decoded = decode<tim_message>(encoding::thrift, bytes, memory);
  ASSERT_TRUE(decoded) << decoded.error().detail;
  EXPECT_EQ(decoded->od_type, 1);
  EXPECT_EQ(decoded->ms_type, 2);
  EXPECT_EQ(decoded->mid, 3);
  EXPECT_EQ(decoded->id, 2);
}

TEST(thrift_limits, hold_for_texts_bodies_lists_and_maps) {
  const decode_limits limits{.depth = 4, .container_items = 3, .string_bytes = 8, .body_bytes = 16};
  const auto accepted = [&](const tim_message& message) {
    arena memory;
    const std::string bytes = encode(encoding::thrift, message);
    return static_cast<bool>(decode<tim_message>(encoding::thrift, bytes, memory, limits));
  };
  const std::string longest(17, 'a');
  const auto of = [&](size_t size) { return text(longest).substr(0, size); };
  tim_message message;
  message.data_string = message.data_binary = of(16);
  EXPECT_TRUE(accepted(message));
  message.data_string = of(17);
  EXPECT_FALSE(accepted(message));
  message = {};
  message.data_binary = of(17);
  EXPECT_FALSE(accepted(message));
  message = {};
  message.to_list = std::vector<text>(3, of(8));
  EXPECT_TRUE(accepted(message));
  message.to_list->push_back("x");
  EXPECT_FALSE(accepted(message));
  message.to_list = std::vector<text>{of(9)};
  EXPECT_FALSE(accepted(message));
  message = {};
  message.extra = string_map{{of(8), of(16)}};
  EXPECT_TRUE(accepted(message));
  message.extra = string_map{{of(8), of(17)}};
  EXPECT_FALSE(accepted(message));
  message.extra = string_map{{of(9), of(1)}};
  EXPECT_FALSE(accepted(message));
  message = {};
  message.extend = string_map{{"a", of(9)}};
  EXPECT_FALSE(accepted(message));
  message.extend = string_map{{"a", ""}, {"b", ""}, {"c", ""}, {"d", ""}};
  EXPECT_FALSE(accepted(message));
}

TEST(thrift_limits, a_million_recipients_are_refused_without_memory) {
  tim_message message;
  message.to_list = std::vector<text>(1'000'000, "x");
  const std::string bytes = encode(encoding::thrift, message);
  arena memory;
  EXPECT_EQ(decode<tim_message>(encoding::thrift, bytes, memory).code(), errc::bad_format);
}

TEST(thrift_limits, many_keys_are_checked_for_repetition) {
  std::vector<std::string> keys;
  for (int i = 0; i < 500; ++i) keys.push_back("k" + std::to_string(i));
  tim_message message;
  message.extend.emplace();
  for (const auto& key : keys) message.extend->emplace_back(key, "");
  arena memory;
  EXPECT_TRUE(decode<tim_message>(encoding::thrift, encode(encoding::thrift, message), memory));
  message.extend->back().first = "k7";
  EXPECT_FALSE(decode<tim_message>(encoding::thrift, encode(encoding::thrift, message), memory));
}

TEST(stream, a_client_may_leave_out_id_and_sender_but_not_the_room) {
  arena memory;
  const auto decoded = decode<tim_stream>(encoding::thrift, hex("28 0161 28 0162 00"), memory);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->vnode, "a");
  EXPECT_EQ(decoded->body, "b");
  EXPECT_FALSE(decode<tim_stream>(encoding::thrift, hex("1602 00"), memory));
}

TEST(decoded_views, point_into_the_input) {
  tim_message message;
  message.data_string = "here";
  const std::string bytes = encode(encoding::thrift, message);
  arena memory;
  const auto decoded = decode<tim_message>(encoding::thrift, bytes, memory);
  ASSERT_TRUE(decoded);
  EXPECT_GE(decoded->data_string->data(), bytes.data());
  EXPECT_LT(decoded->data_string->data(), bytes.data() + bytes.size());
}

}  // namespace
}  // namespace tern::wire
