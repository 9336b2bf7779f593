// Hostile and unusual JSON input.
#include <gtest/gtest.h>

#include <string>

#include "libs/wire/codec.hpp"

namespace tern::wire {
namespace {

using namespace std::string_view_literals;

bool accepts(std::string_view json) {
  arena memory;
  const auto decoded = decode<tim_message>(encoding::json, json, memory);
  if (!decoded) {
    EXPECT_EQ(decoded.code(), errc::bad_format);
  }
  return static_cast<bool>(decoded);
}

/// A valid message with `more` members.
std::string with(std::string_view more) { return R"({"msType":2,"odType":1,)" + std::string(more) + "}"; }

TEST(json_text, that_is_not_one_object_is_refused) {
  for (const std::string_view json : {""sv,
                                      " "sv,
                                      "null"sv,
                                      "1"sv,
                                      "true"sv,
                                      "\"x\""sv,
                                      "[]"sv,
                                      "[{\"msType\":2,\"odType\":1}]"sv,
                                      "{"sv,
                                      "}"sv,
                                      "{]"sv,
                                      "{}"sv,
                                      R"({"msType":2})"sv,
                                      R"({"msType":2,"odType":null})"sv,
                                      R"({"msType":2,"odType":1,})"sv,
                                      R"({"msType":2,"odType":1}x)"sv,
                                      R"({"msType":2,"odType":1}{})"sv,
                                      R"({"msType":2,"odType":1}])"sv,
                                      R"({"msType":2 "odType":1})"sv,
                                      R"({msType:2,"odType":1})"sv,
                                      R"({'msType':2,"odType":1})"sv,
                                      R"({"msType":2,"odType":1,/*c*/"id":1})"sv,
                                      "{\"msType\":2,\"odType\":1}\0"sv,
                                      "\0"sv,
                                      "{\"msType\":2,\"odType\":1}\0{}"sv,
                                      "{\"msType\":2,\0\"odType\":1}"sv,
                                      "\xEF\xBB\xBF{\"msType\":2,\"odType\":1}"sv,
                                      "\x0c\x01"sv}) {
    EXPECT_FALSE(accepts(json)) << json;
  }
  EXPECT_TRUE(accepts(" \t\r\n{ \"msType\" : 2 , \"odType\" : 1 } \n"));
}

TEST(json_names, match_without_case_and_only_once) {
  arena memory;
  const auto decoded = decode<tim_message>(
      encoding::json, R"({"MSTYPE":2,"odtype":1,"tolist":["a"],"FROMTID":{"NODE":"n","TermTyp":3},"MID":5})", memory);
  ASSERT_TRUE(decoded) << decoded.error().detail;
  EXPECT_EQ(decoded->ms_type, 2);
  EXPECT_EQ(decoded->mid, 5);
  EXPECT_EQ(decoded->to_list->front(), "a");
  EXPECT_EQ(decoded->from_tid->node, "n");
  EXPECT_EQ(decoded->from_tid->termtyp, 3);
  EXPECT_FALSE(accepts(with(R"("mid":1,"mid":1)")));
  EXPECT_FALSE(accepts(with(R"("mid":1,"MID":2)")));
  EXPECT_FALSE(accepts(with(R"("mid":null,"mid":2)")));
  EXPECT_FALSE(accepts(with(R"("extend":{"a":"1","a":"2"})")));
  EXPECT_TRUE(accepts(with(R"("extend":{"a":"1","A":"2"})")));
}

TEST(json_names, that_are_unknown_are_ignored_with_their_values) {
  for (const char* more :
       {R"("x":1)", R"("x":null)", R"("x":[1,{"y":[[]]},"z"])", R"("x":{"msType":9,"a":{"b":{}}})", R"("":"")",
        R"("x":1.5e10)", R"("x":-0)", R"("x":18446744073709551616)", R"("x":1,"x":2)"}) {
    arena memory;
    const auto decoded = decode<tim_message>(encoding::json, with(std::string(more) + R"(,"id":7)"), memory);
    ASSERT_TRUE(decoded) << more << decoded.error().detail;
    EXPECT_EQ(decoded->ms_type, 2) << more;
    EXPECT_EQ(decoded->id, 7) << more;
  }
}

TEST(json_null, means_absent_for_fields_and_map_entries_but_not_in_lists) {
  arena memory;
  const std::string json =
      with(R"("id":null,"fromTid":null,"ToList":null,"extend":{"a":null,"b":"x"},"extra":null,"isOffline":null)");
  const auto decoded = decode<tim_message>(encoding::json, json, memory);
  ASSERT_TRUE(decoded) << decoded.error().detail;
  EXPECT_FALSE(decoded->id || decoded->from_tid || decoded->to_list || decoded->extra || decoded->is_offline);
  EXPECT_EQ(*decoded->extend, (string_map{{"b", "x"}}));
  EXPECT_FALSE(accepts(with(R"("ToList":["a",null])")));
}

TEST(json_numbers, are_exact_integers_in_the_range_of_their_field) {
  for (const char* good : {R"("id":9223372036854775807)", R"("id":-9223372036854775808)", R"("id":0)", R"("id":-0)",
                           R"("bnType":2147483647)", R"("udtype":-32768)", R"("mid":9007199254740993)"}) {
    EXPECT_TRUE(accepts(with(good))) << good;
  }
  arena memory;
  const auto decoded = decode<tim_message>(encoding::json, with(R"("mid":9007199254740993,"id":-0)"), memory);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->mid, 9'007'199'254'740'993);
  EXPECT_EQ(decoded->id, 0);
  for (const char* bad : {R"("id":9223372036854775808)",
                          R"("id":-9223372036854775809)",
                          R"("id":12345678901234567890123)",
                          R"("id":1.0)",
                          R"("id":1e3)",
                          R"("id":1e999)",
                          R"("id":-1e999)",
                          R"("id":0.1)",
                          R"("id":"1")",
                          R"("id":true)",
                          R"("id":[])",
                          R"("id":{})",
                          R"("id":+1)",
                          R"("id":01)",
                          R"("id":0x1)",
                          R"("id":NaN)",
                          R"("id":Infinity)",
                          R"("id":-)",
                          R"("id":1e)",
                          R"("id":.5)",
                          R"("bnType":2147483648)",
                          R"("udtype":32768)",
                          R"("udshow":-32769)"}) {
    EXPECT_FALSE(accepts(with(bad))) << bad;
  }
  EXPECT_FALSE(accepts(R"({"msType":128,"odType":1})"));
  EXPECT_FALSE(accepts(R"({"msType":-129,"odType":1})"));
  EXPECT_TRUE(accepts(R"({"msType":-128,"odType":127})"));
  EXPECT_FALSE(accepts(with("\"x\":" + std::string(400, '9') + "e" + std::string(400, '9'))));
}

TEST(json_values, of_the_wrong_kind_are_refused) {
  for (const char* bad :
       {R"("fromTid":"n")",           R"("fromTid":[])",         R"("fromTid":1)",    R"("fromTid":{})",
        R"("fromTid":{"node":null})", R"("fromTid":{"node":1})", R"("dataString":1)", R"("dataString":{})",
        R"("dataString":["x"])",      R"("dataString":true)",    R"("isOffline":1)",  R"("isOffline":"true")",
        R"("isOffline":{})",          R"("extend":[])",          R"("extend":"x")",   R"("extend":{"a":1})",
        R"("extend":{"a":{}})",       R"("ToList":"a")",         R"("ToList":{})",    R"("ToList":[1])",
        R"("ToList":[["a"]])",        R"("extra":{"a":"*"})",    R"("extra":{"a":1})"}) {
    EXPECT_FALSE(accepts(with(bad))) << bad;
  }
}

TEST(json_base64, is_standard_padded_and_canonical) {
  const auto decoded_bytes = [](std::string_view base64) -> std::optional<std::string> {
    arena memory;
    const auto decoded =
        decode<tim_message>(encoding::json, with("\"dataBinary\":\"" + std::string(base64) + "\""), memory);
    if (!decoded) return std::nullopt;
    return std::string(*decoded->data_binary);
  };
  EXPECT_EQ(decoded_bytes(""), "");
  EXPECT_EQ(decoded_bytes("Zg=="), "f");
  EXPECT_EQ(decoded_bytes("Zm8="), "fo");
  EXPECT_EQ(decoded_bytes("Zm9v"), "foo");
  EXPECT_EQ(decoded_bytes("Zm9vYmFy"), "foobar");
  EXPECT_EQ(decoded_bytes("+/+/"), "\xfb\xff\xbf");
  EXPECT_EQ(decoded_bytes("AAECg\\u0041=="), std::string("\0\1\2\x80", 4));
  for (const char* bad : {"Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm8", "=", "==", "====", "Z===", "Zg==Zg==",
                          "Zm9v\\n", "-_-_", "Zm 9", "Zm9*", "Zg=a", "\\u20ac\\u20ac"}) {
    EXPECT_FALSE(decoded_bytes(bad)) << bad;
  }
}

TEST(json_strings, are_unescaped_and_must_be_utf8) {
  arena memory;
  const auto decoded = decode<tim_message>(
      encoding::json, with(R"("dataString":"\u0000\u00e9\u20ac\ud83d\ude00\u202e\/\b\f\n\r\t\"\\","id":1)"), memory);
  ASSERT_TRUE(decoded) << decoded.error().detail;
  EXPECT_EQ(*decoded->data_string, "\0\u00e9\u20ac\U0001F600\u202e/\b\f\n\r\t\"\\"sv);
  for (const std::string_view bad :
       {R"("\ud800")"sv, R"("\udc00")"sv, R"("\ud800\u0041")"sv, R"("\ud800x")"sv, R"("\udc00\ud800")"sv,
        R"("\u12")"sv, R"("\u00zz")"sv, R"("\x41")"sv, "\"\xff\""sv, "\"\xc0\x80\""sv, "\"\xed\xa0\x80\""sv,
        "\"\xf4\x90\x80\x80\""sv, "\"\xe2\x82\""sv, "\"\n\""sv, "\"\x01\""sv, "\"\0\""sv, "\"open"sv}) {
    EXPECT_FALSE(accepts(with("\"dataString\":" + std::string(bad)))) << bad;
    EXPECT_FALSE(accepts(with("\"unknown\":" + std::string(bad)))) << bad;
    EXPECT_FALSE(accepts(with("\"extend\":{\"k\":" + std::string(bad) + "}"))) << bad;
    EXPECT_FALSE(accepts(with("\"extend\":{" + std::string(bad) + ":\"v\"}"))) << bad;
  }
}

TEST(json_limits, hold_for_depth_tokens_texts_and_containers) {
  const auto nested = [](size_t levels, std::string_view open, std::string_view close) {
    std::string json = R"({"msType":2,"odType":1,"x":)";
    for (size_t i = 0; i < levels; ++i) json.append(open);
    json.append("1");
    for (size_t i = 0; i < levels; ++i) json.append(close);
    return json + "}";
  };
  EXPECT_TRUE(accepts(nested(31, "[", "]")));
  EXPECT_FALSE(accepts(nested(32, "[", "]")));
  EXPECT_FALSE(accepts(nested(100'000, "[", "]")));
  EXPECT_FALSE(accepts(nested(100'000, "{\"a\":", "}")));
  EXPECT_FALSE(accepts(std::string(1'000'000, '[')));

  std::string keys = R"({"msType":2,"odType":1)";
  for (int i = 0; i < 1'000'000; ++i) keys.append(",\"k\":0");
  EXPECT_FALSE(accepts(keys + "}"));

  const auto quoted = [](size_t size) { return "\"" + std::string(size, 'a') + "\""; };
  EXPECT_TRUE(accepts(with("\"dataString\":" + quoted(65536))));
  EXPECT_FALSE(accepts(with("\"dataString\":" + quoted(65537))));
  EXPECT_TRUE(accepts(with("\"fromTid\":{\"node\":" + quoted(4096) + "}")));
  EXPECT_FALSE(accepts(with("\"fromTid\":{\"node\":" + quoted(4097) + "}")));
  EXPECT_FALSE(accepts(with("\"extend\":{" + quoted(4097) + ":\"\"}")));
  EXPECT_TRUE(accepts(with("\"dataBinary\":\"" + std::string(65536 / 3 * 4, 'A') + "\"")));
  EXPECT_FALSE(accepts(with("\"dataBinary\":\"" + std::string((65536 / 3 + 1) * 4, 'A') + "\"")));

  const auto list = [](size_t items) {
    std::string json = "\"ToList\":[\"a\"";
    for (size_t i = 1; i < items; ++i) json.append(",\"a\"");
    return json + "]";
  };
  EXPECT_TRUE(accepts(with(list(500))));
  EXPECT_FALSE(accepts(with(list(501))));
}

TEST(json_output, is_valid_whatever_the_bytes_are) {
  tim_message message;
  message.data_string = "a\xff\xc3(\xed\xa0\x80z\xe2\x82"sv;
  const std::string json = encode(encoding::json, message);
  EXPECT_NE(json.find("a\uFFFD\uFFFD(\uFFFD\uFFFD\uFFFDz\uFFFD\uFFFD"), std::string::npos) << json;
  arena memory;
  EXPECT_TRUE(decode<tim_message>(encoding::json, json, memory));
}

TEST(arena, keeps_bytes_until_cleared_and_can_be_used_again) {
  arena memory;
  EXPECT_EQ(memory.keep(""), "");
  const auto first = memory.keep("first");
  const std::string big(100'000, 'b');
  const auto second = memory.keep(big);
  const auto third = memory.keep("third");
  EXPECT_EQ(first, "first");
  EXPECT_EQ(second, big);
  EXPECT_EQ(third, "third");
  arena moved = std::move(memory);
  EXPECT_EQ(first, "first");
  moved.clear();
  EXPECT_EQ(moved.keep("again"), "again");
  moved.clear();
  moved.clear();
}

}  // namespace
}  // namespace tern::wire
