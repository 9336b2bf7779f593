// JSON text as a flat list of tokens. json_tape.cpp is the only unit that knows the JSON library (RapidJSON).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "libs/wire/codec.hpp"

namespace tern::wire {

enum class json_token : uint8_t {
  object_begin,
  object_end,
  array_begin,
  array_end,
  name,    // of an object's member
  string,  // unescaped, UTF-8
  number,  // its text
  yes,
  no,
  null,
};

struct json_item {
  json_token token;
  std::string_view bytes;  // of name, string and number: views into the arena
};

/// Fills `tape` with the tokens of one JSON value that spans all of `bytes`. Parsing is iterative: nesting costs no
/// call stack. All names and strings are valid UTF-8. Returns nullptr, or what is wrong: syntax, UTF-8, a lone
/// surrogate, depth, too many tokens, anything behind the value.
const char* json_tokenize(std::string_view bytes, arena& memory, const decode_limits& limits,
                          std::vector<json_item>& tape);

}  // namespace tern::wire
