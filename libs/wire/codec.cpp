#include "libs/wire/codec.hpp"

#include "libs/wire/json_codec.hpp"
#include "libs/wire/thrift_codec.hpp"

namespace tern::wire {
namespace {

/// Texts of libraries are passed on as they are: the detail is for logs only.
error refuse(encoding from, const char* why) {
  return {errc::bad_format, std::string(from == encoding::thrift ? "thrift: " : "json: ") + why};
}

template <class T>
bool decode_any(encoding from, std::string_view bytes, arena& memory, const decode_limits& limits, T& out,
                const char*& why) {
  return from == encoding::thrift ? thrift_decode(bytes, limits, out, why)
                                  : json_decode(bytes, memory, limits, out, why);
}

}  // namespace

template <class T>
result<void> decode_into(encoding from, std::string_view bytes, arena& memory, T& out, const decode_limits& limits) {
  const char* why = "";
  if (!decode_any(from, bytes, memory, limits, out, why)) return refuse(from, why);
  return {};
}

template <class T>
result<T> decode(encoding from, std::string_view bytes, arena& memory, const decode_limits& limits) {
  result<T> decoded{T{}};
  const char* why = "";
  if (!decode_any(from, bytes, memory, limits, *decoded, why)) return refuse(from, why);
  return decoded;
}

template <class T>
void encode(encoding to, const T& value, std::string& out) {
  if (to == encoding::thrift) {
    thrift_encode(value, out);
  } else {
    json_encode(value, out);
  }
}

#define TERN_WIRE_STRUCT(T)                                                                           \
  template result<void> decode_into<T>(encoding, std::string_view, arena&, T&, const decode_limits&); \
  template result<T> decode<T>(encoding, std::string_view, arena&, const decode_limits&);             \
  template void encode<T>(encoding, const T&, std::string&);
#include "libs/wire/all_structs.inc"
#undef TERN_WIRE_STRUCT

}  // namespace tern::wire
