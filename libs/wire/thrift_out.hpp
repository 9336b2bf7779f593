// Writing the Thrift compact protocol, byte for byte as libthrift's TCompactProtocol does.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "libs/wire/thrift_in.hpp"

namespace tern::wire {

/// Collects bytes in a buffer on the stack and appends them to `out` when it is full or at the end: small structs
/// cost one append. Owned by one encode call.
class thrift_out {
 public:
  explicit thrift_out(std::string& out) noexcept : out_(out), at_(buffer_) {}
  ~thrift_out() = default;
  thrift_out(const thrift_out&) = delete;
  thrift_out& operator=(const thrift_out&) = delete;

  /// Appends what is still in the buffer; call it once at the end.
  void finish() { flush(); }

  [[gnu::always_inline]] void byte(uint8_t value) {
    need(1);
    put(value);
  }

  /// Field header; `last` is the id of the previous field and becomes `id`.
  [[gnu::always_inline]] void field(compact type, int16_t id, int16_t& last) {
    need(4);
    const int delta = id - last;
    if (delta > 0 && delta <= 15) {
      put(static_cast<uint8_t>(static_cast<unsigned>(delta) << 4U | static_cast<unsigned>(type)));
    } else {
      put(static_cast<uint8_t>(type));
      varint(zigzag(int32_t{id}));
    }
    last = id;
  }

  [[gnu::always_inline]] void value(int8_t v) { byte(static_cast<uint8_t>(v)); }
  [[gnu::always_inline]] void value(int16_t v) { value(int32_t{v}); }
  [[gnu::always_inline]] void value(int32_t v) {
    need(5);
    varint(zigzag(v));
  }
  void value(int64_t v) {
    need(10);
    varint(zigzag(v));
  }
  void value(std::string_view v) {
    need(5);
    varint(static_cast<uint32_t>(v.size()));
    if (v.size() > room()) {
      flush();
      if (v.size() > sizeof buffer_) {
        out_.append(v);
        return;
      }
    }
    copy(v);
  }

  void list_head(compact type, size_t size) {
    need(6);
    if (size < 15) {
      put(static_cast<uint8_t>(size << 4U | static_cast<unsigned>(type)));
    } else {
      put(static_cast<uint8_t>(0xF0U | static_cast<unsigned>(type)));
      varint(static_cast<uint32_t>(size));
    }
  }
  void map_head(compact key, compact mapped, size_t size) {
    need(6);
    varint(static_cast<uint32_t>(size));
    if (size != 0) put(static_cast<uint8_t>(static_cast<unsigned>(key) << 4U | static_cast<unsigned>(mapped)));
  }

 private:
  static uint32_t zigzag(int32_t v) noexcept {
    return (static_cast<uint32_t>(v) << 1U) ^ static_cast<uint32_t>(v >> 31);
  }
  static uint64_t zigzag(int64_t v) noexcept {
    return (static_cast<uint64_t>(v) << 1U) ^ static_cast<uint64_t>(v >> 63);
  }
  size_t room() const noexcept { return static_cast<size_t>(buffer_ + sizeof buffer_ - at_); }
  void need(size_t bytes) {
    if (room() < bytes) [[unlikely]]
      flush();
  }
  [[gnu::noinline]] void flush() {
    out_.append(buffer_, static_cast<size_t>(at_ - buffer_));
    at_ = buffer_;
  }
  void put(uint8_t value) noexcept { *at_++ = static_cast<char>(value); }
  template <class Unsigned>
  void varint(Unsigned v) noexcept {
    char* at = at_;  // a local: bytes written through a char* could be at_ itself for all the compiler knows
    while (v >= 0x80) {
      *at++ = static_cast<char>(v | 0x80U);
      v >>= 7U;
    }
    *at++ = static_cast<char>(v);
    at_ = at;
  }
  /// Short texts are copied without a call to memcpy: names and nodes are 8 to 32 bytes.
  void copy(std::string_view v) noexcept {
    const size_t size = v.size();
    char* to = at_;
    if (size >= 8 && size <= 32) {
      const char* from = v.data();
      if (size >= 16) {
        std::memcpy(to, from, 16);
        std::memcpy(to + size - 16, from + size - 16, 16);
      } else {
        std::memcpy(to, from, 8);
        std::memcpy(to + size - 8, from + size - 8, 8);
      }
    } else if (size != 0) {
      std::memcpy(to, v.data(), size);
    }
    at_ = to + size;
  }

  std::string& out_;
  char* at_;
  char buffer_[512];
};

}  // namespace tern::wire
