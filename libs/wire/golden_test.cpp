// Golden vectors: tests/golden/wire/<struct>_<full|minimal>.{hex,json}. TERN_GOLDEN_UPDATE=1 writes them anew.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "libs/wire/all_structs_test.hpp"
#include "libs/wire/codec.hpp"
#include "libs/wire/samples.hpp"

namespace tern::wire {
namespace {

std::string golden_path(const std::string& name) {
  const char* root = std::getenv("TERN_SOURCE");
  return std::string(root != nullptr ? root : ".") + "/tests/golden/wire/" + name;
}

std::string read_golden(const std::string& name) {
  std::ifstream file(golden_path(name), std::ios::binary);
  EXPECT_TRUE(file) << golden_path(name) << " (is TERN_SOURCE set?)";
  std::string text{std::istreambuf_iterator<char>(file), {}};
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

bool updating() { return std::getenv("TERN_GOLDEN_UPDATE") != nullptr; }

void write_golden(const std::string& name, const std::string& text) {
  std::ofstream(golden_path(name), std::ios::binary) << text << '\n';
}

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string hex;
  for (const char byte : bytes) {
    hex.push_back(digits[static_cast<uint8_t>(byte) >> 4U]);
    hex.push_back(digits[static_cast<uint8_t>(byte) & 15U]);
  }
  return hex;
}

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

template <class T>
class golden : public testing::Test {
 protected:
  /// Calls check(encoding, golden bytes, struct) for each of the four vectors of T.
  template <class Check>
  void each_vector(Check check) {
    for (const bool full : {true, false}) {
      const T value = full ? samples::full<T>() : samples::minimal<T>();
      const std::string name = std::string(samples::name_of<T>) + (full ? "_full" : "_minimal");
      SCOPED_TRACE(name);
      if (updating()) {
        write_golden(name + ".hex", to_hex(encode(encoding::thrift, value)));
        write_golden(name + ".json", encode(encoding::json, value));
      }
      check(encoding::thrift, from_hex(read_golden(name + ".hex")), value);
      check(encoding::json, read_golden(name + ".json"), value);
    }
  }
};

TYPED_TEST_SUITE(golden, all_structs);

TYPED_TEST(golden, every_struct_encodes_to_its_vector) {
  this->each_vector([](encoding enc, const std::string& bytes, const TypeParam& value) {
    const std::string encoded = encode(enc, value);
    if (enc == encoding::thrift) {
      EXPECT_EQ(to_hex(encoded), to_hex(bytes));
    } else {
      EXPECT_EQ(encoded, bytes);
    }
  });
}

TYPED_TEST(golden, every_vector_decodes_to_its_struct) {
  this->each_vector([](encoding enc, const std::string& bytes, const TypeParam& value) {
    arena memory;
    const auto decoded = decode<TypeParam>(enc, bytes, memory);
    ASSERT_TRUE(decoded) << decoded.error().detail;
    EXPECT_TRUE(*decoded == value);
  });
}

TYPED_TEST(golden, every_truncation_is_refused) {
  this->each_vector([](encoding enc, const std::string& bytes, const TypeParam&) {
    for (size_t size = 0; size < bytes.size(); ++size) {
      arena memory;
      // A copy of its own size, so a sanitizer sees a read behind the end.
      const std::vector<char> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
      EXPECT_EQ(decode<TypeParam>(enc, {cut.data(), cut.size()}, memory).code(), errc::bad_format) << size;
    }
  });
}

TYPED_TEST(golden, trailing_bytes_are_refused) {
  this->each_vector([](encoding enc, const std::string& bytes, const TypeParam&) {
    for (const char extra : {'\0', 'x', '}'}) {
      arena memory;
      EXPECT_EQ(decode<TypeParam>(enc, bytes + extra, memory).code(), errc::bad_format);
    }
  });
}

TYPED_TEST(golden, every_bit_flip_is_refused_or_decodes_to_something_that_encodes) {
  this->each_vector([](encoding enc, const std::string& bytes, const TypeParam&) {
    std::string flipped = bytes;
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      const char saved = flipped[bit / 8];
      flipped[bit / 8] = static_cast<char>(saved ^ static_cast<char>(1U << (bit % 8)));
      arena memory;
      const auto decoded = decode<TypeParam>(enc, flipped, memory);
      if (decoded) {
        const std::string again = encode(enc, *decoded);
        EXPECT_TRUE(decode<TypeParam>(enc, again, memory));
      } else {
        EXPECT_EQ(decoded.code(), errc::bad_format);
      }
      flipped[bit / 8] = saved;
    }
  });
}

}  // namespace
}  // namespace tern::wire
