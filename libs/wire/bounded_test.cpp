#include "libs/wire/bounded.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tern::wire {
namespace {

template <class T>
errc outcome(encoding enc, const T& value) {
  const std::string bytes = encode(enc, value);
  arena memory;
  T out;
  return decode_bounded(enc, bytes, memory, out);
}

TEST(bounded, what_is_within_the_limits_is_decoded) {
  tim_req req;
  const std::string longest(4096, 'x');
  req.rtype = 9;
  req.req_str = longest;
  for (const encoding enc : {encoding::thrift, encoding::json}) {
    const std::string bytes = encode(enc, req);
    arena memory;
    tim_req out;
    ASSERT_EQ(decode_bounded(enc, bytes, memory, out), errc::ok);
    EXPECT_EQ(out, req);
  }
}

TEST(bounded, a_text_or_list_that_is_too_long_is_a_bad_parameter) {
  const std::string text(4097, 'x');
  tim_req req;
  req.req_str = text;
  tim_nodes nodes;
  nodes.nodelist = std::vector<std::string_view>(501, "n");
  tim_message message;
  const std::string body(65537, 'x');
  message.data_string = body;
  for (const encoding enc : {encoding::thrift, encoding::json}) {
    EXPECT_EQ(outcome(enc, req), errc::bad_parameter);
    EXPECT_EQ(outcome(enc, nodes), errc::bad_parameter);
    EXPECT_EQ(outcome(enc, message), errc::bad_parameter);
  }
}

TEST(bounded, nonsense_is_a_bad_format_however_long) {
  arena memory;
  for (const auto& bytes : {std::string("\x01"), std::string("{\"reqStr\":"), std::string(100'000, '\xff'),
                            std::string("\x68\xff\xff\xff\xff\x07", 6)}) {
    tim_req out;
    EXPECT_EQ(decode_bounded(encoding::thrift, bytes, memory, out), errc::bad_format);
    tim_req again;
    EXPECT_EQ(decode_bounded(encoding::json, bytes, memory, again), errc::bad_format);
  }
}

TEST(bounded, text_that_is_no_utf8_is_a_bad_format_even_when_it_is_too_long) {
  const std::string text(5000, '\xff');
  tim_req req;
  req.req_str = text;
  EXPECT_EQ(outcome(encoding::thrift, req), errc::bad_format);
}

}  // namespace
}  // namespace tern::wire
