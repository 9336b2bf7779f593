#include "libs/wire/json_tape.hpp"

#include <rapidjson/error/en.h>
#include <rapidjson/reader.h>

#include <cstring>

#include "libs/wire/utf8.hpp"

namespace tern::wire {
namespace {

/// Receives RapidJSON's events; returning false stops the parser.
class tape_writer {
 public:
  tape_writer(std::vector<json_item>& tape, const decode_limits& limits) : tape_(tape), limits_(limits) {}

  const char* why() const noexcept { return why_; }

  bool Null() { return add(json_token::null); }
  bool Bool(bool value) { return add(value ? json_token::yes : json_token::no); }
  bool RawNumber(const char* text, rapidjson::SizeType size, bool) { return add(json_token::number, {text, size}); }
  bool String(const char* text, rapidjson::SizeType size, bool) { return add_text(json_token::string, {text, size}); }
  bool Key(const char* text, rapidjson::SizeType size, bool) { return add_text(json_token::name, {text, size}); }
  bool StartObject() { return open(json_token::object_begin); }
  bool EndObject(rapidjson::SizeType) { return close(json_token::object_end); }
  bool StartArray() { return open(json_token::array_begin); }
  bool EndArray(rapidjson::SizeType) { return close(json_token::array_end); }
  // Numbers come as text.
  bool Int(int) { return false; }
  bool Uint(unsigned) { return false; }
  bool Int64(int64_t) { return false; }
  bool Uint64(uint64_t) { return false; }
  bool Double(double) { return false; }

 private:
  bool fail(const char* why) {
    why_ = why;
    return false;
  }
  bool add(json_token token, std::string_view bytes = {}) {
    if (tape_.size() >= limits_.json_tokens) return fail("too many names and values");
    tape_.push_back({token, bytes});
    return true;
  }
  /// RapidJSON lets a lone low surrogate through; unescaped it is no UTF-8.
  bool add_text(json_token token, std::string_view bytes) {
    return valid_utf8(bytes) ? add(token, bytes) : fail("not UTF-8, or a lone surrogate");
  }
  bool open(json_token token) {
    if (++depth_ > limits_.depth) return fail("nested too deeply");
    return add(token);
  }
  bool close(json_token token) {
    --depth_;
    return add(token);
  }

  std::vector<json_item>& tape_;
  const decode_limits& limits_;
  size_t depth_ = 0;
  const char* why_ = nullptr;
};

}  // namespace

const char* json_tokenize(std::string_view bytes, arena& memory, const decode_limits& limits,
                          std::vector<json_item>& tape) {
  if (bytes.empty()) return "empty";
  char* copy = memory.room(bytes.size() + 1);
  std::memcpy(copy, bytes.data(), bytes.size());
  copy[bytes.size()] = '\0';

  constexpr unsigned flags =
      rapidjson::kParseInsituFlag | rapidjson::kParseIterativeFlag | rapidjson::kParseNumbersAsStringsFlag;
  rapidjson::InsituStringStream stream(copy);
  rapidjson::Reader reader;
  tape_writer writer(tape, limits);
  const rapidjson::ParseResult parsed = reader.Parse<flags>(stream, writer);
  if (writer.why() != nullptr) return writer.why();
  if (parsed.IsError()) return rapidjson::GetParseError_En(parsed.Code());
  // RapidJSON takes a NUL for the end of the text.
  if (stream.Tell() != bytes.size()) return "NUL in JSON";
  return nullptr;
}

}  // namespace tern::wire
