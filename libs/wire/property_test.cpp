// Random structs through both codecs, and through libthrift's generated code as the oracle.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <sstream>

#include "libs/wire/all_structs_test.hpp"
#include "libs/wire/codec.hpp"
#include "libs/wire/fields.hpp"
#include "libs/wire/oracle.hpp"
#include "libs/wire/random_structs.hpp"
#include "libs/wire/samples.hpp"

namespace tern::wire {
namespace {

constexpr int rounds = 300;

/// TERN_SEED repeats a run.
uint64_t seed() {
  static const uint64_t value = [] {
    const char* given = std::getenv("TERN_SEED");
    const uint64_t chosen = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    std::printf("TERN_SEED=%llu\n", static_cast<unsigned long long>(chosen));
    return chosen;
  }();
  return value;
}

template <class T>
class property : public testing::Test {
 protected:
  template <class Check>
  void each_random(Check check) {
    for (int i = 0; i < rounds; ++i) {
      arena memory;
      const uint64_t own = seed() + static_cast<uint64_t>(i);
      SCOPED_TRACE(testing::Message() << "TERN_SEED=" << own);
      check(random_structs(own, memory).make<T>(), memory);
      if (testing::Test::HasFailure()) return;
    }
  }
};

TYPED_TEST_SUITE(property, all_structs);

TYPED_TEST(property, what_is_encoded_decodes_to_the_same_in_both_encodings) {
  this->each_random([](const TypeParam& value, arena& memory) {
    for (const encoding enc : {encoding::thrift, encoding::json}) {
      const std::string bytes = encode(enc, value);
      const auto decoded = decode<TypeParam>(enc, bytes, memory);
      ASSERT_TRUE(decoded) << decoded.error().detail;
      EXPECT_TRUE(*decoded == value);
    }
  });
}

TYPED_TEST(property, libthrift_reads_our_bytes_and_writes_the_same_bytes) {
  oracle libthrift;
  this->each_random([&](const TypeParam& value, arena&) {
    const std::string ours = encode(encoding::thrift, value);
    typename oracle_of<TypeParam>::type generated;
    ASSERT_NO_THROW(libthrift.decode(ours, generated));
    // A field the oracle does not know under its id and type would be missing from what it writes.
    EXPECT_EQ(libthrift.encode(generated), ours);
  });
}

TYPED_TEST(property, our_field_names_are_those_of_the_thrift_file) {
  oracle libthrift;
  typename oracle_of<TypeParam>::type generated;
  libthrift.decode(encode(encoding::thrift, samples::full<TypeParam>()), generated);
  std::ostringstream printed;
  printed << generated;
  const std::string text = printed.str();
  size_t at = 0;
  const auto follows = [&](std::string_view name) {
    at = text.find(std::string(name) + "=", at);
    EXPECT_NE(at, std::string::npos) << name << " in " << text;
  };
  std::apply([&](const auto&... f) { (follows(f.name), ...); }, fields<TypeParam>);
}

TEST(oracle_values, a_message_set_field_by_field_in_generated_code_decodes_to_ours) {
  ::tim::TimMessage generated;
  generated.msType = 3;
  generated.odType = 100;
  generated.__set_id(1);
  generated.__set_mid(9'007'199'254'740'991);
  generated.__set_bnType(4);
  ::tim::Tid from;
  from.node = "4Tq9sXb2Kd7";
  from.__set_domain("example");
  from.__set_resource("phone");
  from.__set_termtyp(-128);
  const auto map_of = [](const string_map& entries) {
    std::map<std::string, std::string> made;
    for (const auto& [key, item] : entries) made.emplace(key, item);
    return made;
  };
  from.__set_extend(map_of(samples::texts()));
  generated.__set_fromTid(from);
  generated.__set_toTid({});
  ::tim::Tid room;
  room.node = "room";
  generated.__set_roomTid(room);
  generated.__set_dataBinary(std::string(samples::raw_bytes));
  generated.__set_dataString(std::string(samples::hard_text));
  generated.__set_isOffline(true);
  generated.__set_timestamp(1'760'000'000'123'456'789);
  generated.__set_udtype(std::numeric_limits<int16_t>::min());
  generated.__set_udshow(std::numeric_limits<int16_t>::max());
  generated.__set_extend(map_of(samples::texts()));
  generated.__set_extra(map_of(samples::binaries()));
  generated.__set_ToList({"one", "", "three"});

  oracle libthrift;
  const std::string bytes = libthrift.encode(generated);
  EXPECT_EQ(bytes, encode(encoding::thrift, samples::full<tim_message>()));
  arena memory;
  const auto decoded = decode<tim_message>(encoding::thrift, bytes, memory);
  ASSERT_TRUE(decoded);
  EXPECT_TRUE(*decoded == samples::full<tim_message>());
}

TEST(oracle_values, long_texts_and_lists_encode_as_libthrift_does) {
  const std::string long_text(5000, 'x');
  for (const size_t size : {0U, 7U, 8U, 15U, 16U, 31U, 32U, 33U, 127U, 128U, 500U, 505U, 511U, 512U, 513U, 5000U}) {
    tim_message message;
    message.data_string = text(long_text).substr(0, size);
    message.data_binary = message.data_string;
    message.to_list = std::vector<text>(size % 40, "node");
    const std::string ours = encode(encoding::thrift, message);
    oracle libthrift;
    ::tim::TimMessage generated;
    libthrift.decode(ours, generated);
    EXPECT_EQ(libthrift.encode(generated), ours) << size;
    EXPECT_EQ(generated.dataString.size(), size);
    EXPECT_EQ(generated.ToList.size(), size % 40);
  }
}

}  // namespace
}  // namespace tern::wire
