#include "libs/wire/thrift_in.hpp"

namespace tern::wire {

bool thrift_in::skip_bytes(size_t size) noexcept {
  if (size > left()) return fail("cut off");
  at_ += size;
  return true;
}

bool thrift_in::skip_struct(size_t depth) noexcept {
  compact_field field;
  for (;;) {
    if (!next_field(field)) return false;
    if (field.type == compact::stop) return true;
    if (!skip_field(field.type, depth)) return false;
  }
}

bool thrift_in::skip_list(size_t depth) noexcept {
  compact type{};
  uint32_t size = 0;
  if (!list_head(type, size)) return false;
  for (uint32_t i = 0; i < size; ++i) {
    if (!skip(type, depth)) return false;
  }
  return true;
}

bool thrift_in::skip_map(size_t depth) noexcept {
  compact key{};
  compact mapped{};
  uint32_t size = 0;
  if (!map_head(key, mapped, size)) return false;
  for (uint32_t i = 0; i < size; ++i) {
    if (!skip(key, depth) || !skip(mapped, depth)) return false;
  }
  return true;
}

// Every element takes at least one byte, so the work is bounded by the input.
bool thrift_in::skip(compact type, size_t depth) noexcept {
  switch (type) {
    case compact::yes:
    case compact::no:
    case compact::i8: return skip_bytes(1);  // as elements booleans take a byte
    case compact::i16:
    case compact::i32:
    case compact::i64: {
      uint64_t number = 0;
      return varint64(number);
    }
    case compact::real: return skip_bytes(8);
    case compact::binary: {
      uint32_t size = 0;
      return varint32(size) && skip_bytes(size);
    }
    case compact::list:
    case compact::set: return depth == 0 ? fail("nested too deeply") : skip_list(depth - 1);
    case compact::map: return depth == 0 ? fail("nested too deeply") : skip_map(depth - 1);
    case compact::structure: return depth == 0 ? fail("nested too deeply") : skip_struct(depth - 1);
    case compact::stop: break;
  }
  return fail("unknown type");
}

}  // namespace tern::wire
