// Reading the Thrift compact protocol (thrift-compact-protocol.md of Apache Thrift) into views of the input.
// Every function returns false at the first fault; why() then names it. No exceptions, no allocation by declared
// sizes.
#pragma once

#include <cstdint>
#include <limits>
#include <string_view>

#include "libs/wire/codec.hpp"
#include "libs/wire/utf8.hpp"

namespace tern::wire {

/// Type codes of the compact protocol. Booleans carry their value in the field header's type.
enum class compact : uint8_t {
  stop = 0,
  yes = 1,
  no = 2,
  i8 = 3,
  i16 = 4,
  i32 = 5,
  i64 = 6,
  real = 7,
  binary = 8,
  list = 9,
  set = 10,
  map = 11,
  structure = 12,
};

/// Header of a field; id 0 with compact::stop at the end of a struct.
struct compact_field {
  compact type = compact::stop;
  int16_t id = 0;
};

/// The small functions are inlined by force: one call per field would cost as much as the decoding.
class thrift_in {
 public:
  thrift_in(std::string_view bytes, const decode_limits& limits) noexcept
      : at_(bytes.data()), end_(bytes.data() + bytes.size()), limits_(limits) {}

  const decode_limits& limits() const noexcept { return limits_; }
  const char* why() const noexcept { return why_; }
  bool at_end() const noexcept { return at_ == end_; }
  size_t left() const noexcept { return static_cast<size_t>(end_ - at_); }
  bool fail(const char* why) noexcept {
    why_ = why;
    return false;
  }

  [[gnu::always_inline]] bool byte(uint8_t& out) noexcept {
    if (at_ == end_) [[unlikely]]
      return fail("cut off");
    out = static_cast<uint8_t>(*at_++);
    return true;
  }

  /// A ULEB128 number of at most 32 bits in its shortest form.
  [[gnu::always_inline]] bool varint32(uint32_t& out) noexcept {
    if (at_ == end_) [[unlikely]]
      return fail("cut off");
    out = static_cast<uint8_t>(*at_);
    if (out < 0x80) [[likely]] {
      ++at_;
      return true;
    }
    uint64_t wide = 0;
    if (!varint64(wide)) return false;
    if (wide > std::numeric_limits<uint32_t>::max()) return fail("number too large");
    out = static_cast<uint32_t>(wide);
    return true;
  }

  /// A ULEB128 number of at most 64 bits in its shortest form.
  bool varint64(uint64_t& out) noexcept {
    uint64_t value = 0;
    const char* at = at_;
    for (unsigned shift = 0; shift < 70; shift += 7) {
      if (at == end_) [[unlikely]]
        return fail("cut off");
      const auto next = static_cast<uint8_t>(*at++);
      value |= static_cast<uint64_t>(next & 0x7FU) << shift;
      if (next < 0x80) {
        if (next == 0 && shift != 0) [[unlikely]]
          return fail("overlong number");
        if (shift == 63 && next > 1) [[unlikely]]
          return fail("number too large");
        out = value;
        at_ = at;
        return true;
      }
    }
    return fail("number too long");
  }

  [[gnu::always_inline]] bool value(int8_t& out) noexcept {
    uint8_t raw = 0;
    if (!byte(raw)) return false;
    out = static_cast<int8_t>(raw);
    return true;
  }
  [[gnu::always_inline]] bool value(int16_t& out) noexcept {
    int32_t wide = 0;
    if (!value(wide)) return false;
    if (wide < std::numeric_limits<int16_t>::min() || wide > std::numeric_limits<int16_t>::max()) {
      return fail("number too large");
    }
    out = static_cast<int16_t>(wide);
    return true;
  }
  [[gnu::always_inline]] bool value(int32_t& out) noexcept {
    uint32_t raw = 0;
    if (!varint32(raw)) return false;
    out = static_cast<int32_t>((raw >> 1U) ^ (~(raw & 1U) + 1U));
    return true;
  }
  bool value(int64_t& out) noexcept {
    uint64_t raw = 0;
    if (!varint64(raw)) return false;
    out = static_cast<int64_t>((raw >> 1U) ^ (~(raw & 1U) + 1U));
    return true;
  }

  /// Bytes of at most `limit`.
  [[gnu::always_inline]] bool bytes(std::string_view& out, size_t limit) noexcept {
    uint32_t size = 0;
    if (!varint32(size)) return false;
    if (size > limit) [[unlikely]]
      return fail("text too long");
    if (size > left()) [[unlikely]]
      return fail("cut off");
    out = {at_, size};
    at_ += size;
    return true;
  }
  /// UTF-8 text of at most `limit` bytes.
  [[gnu::always_inline]] bool utf8(std::string_view& out, size_t limit) noexcept {
    if (!bytes(out, limit)) return false;
    if (limits_.check_utf8 && !valid_utf8(out)) [[unlikely]]
      return fail("not UTF-8");
    return true;
  }

  /// The next field header; `field.id` must be the previous id (0 at the start of a struct).
  [[gnu::always_inline]] bool next_field(compact_field& field) noexcept {
    uint8_t head = 0;
    if (!byte(head)) return false;
    if (head == 0) {
      field = {};
      return true;
    }
    const uint8_t type = head & 0x0FU;
    if (type == 0 || type > static_cast<uint8_t>(compact::structure)) [[unlikely]]
      return fail("unknown field type");
    field.type = static_cast<compact>(type);
    const int delta = head >> 4U;
    if (delta == 0) [[unlikely]]
      return value(field.id);
    if (field.id > std::numeric_limits<int16_t>::max() - delta) [[unlikely]]
      return fail("field id wraps");
    field.id = static_cast<int16_t>(field.id + delta);
    return true;
  }

  /// Head of a list or set. `size` is at most the bytes left.
  bool list_head(compact& type, uint32_t& size) noexcept {
    uint8_t head = 0;
    if (!byte(head)) return false;
    size = head >> 4U;
    if (size == 15 && !varint32(size)) return false;
    return element(head & 0x0FU, size, type) && fits(size, 1);
  }
  /// Head of a map; the types are unset when it is empty.
  bool map_head(compact& key, compact& mapped, uint32_t& size) noexcept {
    if (!varint32(size)) return false;
    if (size == 0) return true;
    uint8_t head = 0;
    if (!byte(head)) return false;
    return element(head >> 4U, size, key) && element(head & 0x0FU, size, mapped) && fits(size, 2);
  }

  /// Passes over a field's value. `depth` is how many levels may still be opened.
  bool skip_field(compact type, size_t depth) noexcept {
    return type == compact::yes || type == compact::no || skip(type, depth);
  }

 private:
  bool element(unsigned code, uint32_t size, compact& type) noexcept {
    // An empty list may come with any type, also with none.
    if (size != 0 && (code == 0 || code > static_cast<unsigned>(compact::structure))) return fail("unknown type");
    type = static_cast<compact>(code);
    return true;
  }
  bool fits(uint32_t size, size_t bytes_each) noexcept {
    return size <= left() / bytes_each || fail("more elements than bytes");
  }
  bool skip(compact type, size_t depth) noexcept;
  bool skip_bytes(size_t size) noexcept;
  bool skip_struct(size_t depth) noexcept;
  bool skip_list(size_t depth) noexcept;
  bool skip_map(size_t depth) noexcept;

  const char* at_;
  const char* end_;
  const decode_limits& limits_;
  const char* why_ = "";
};

}  // namespace tern::wire
