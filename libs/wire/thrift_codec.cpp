#include "libs/wire/thrift_codec.hpp"

#include "libs/wire/thrift_out.hpp"
#include "libs/wire/unique_keys.hpp"

namespace tern::wire {
namespace {

/// Containers grow as elements really arrive; this much is reserved at once.
constexpr uint32_t reserve_at_most = 16;

template <class M>
constexpr compact code_of() {
  if constexpr (std::is_same_v<M, int8_t>) {
    return compact::i8;
  } else if constexpr (std::is_same_v<M, int16_t>) {
    return compact::i16;
  } else if constexpr (std::is_same_v<M, int32_t>) {
    return compact::i32;
  } else if constexpr (std::is_same_v<M, int64_t>) {
    return compact::i64;
  } else if constexpr (std::is_same_v<M, text>) {
    return compact::binary;
  } else if constexpr (map_member<M>) {
    return compact::map;
  } else if constexpr (list_member<M>) {
    return compact::list;
  } else {
    static_assert(described<M>);
    return compact::structure;
  }
}

// ---- decoding ----

template <described T>
bool read_struct(thrift_in& in, T& out, size_t depth);

template <content Content>
bool read_text(thrift_in& in, text& out) {
  const size_t limit = is_body(Content) ? in.limits().body_bytes : in.limits().string_bytes;
  return is_bytes(Content) ? in.bytes(out, limit) : in.utf8(out, limit);
}

template <content Content, class M>
bool read_value(thrift_in& in, M& out, size_t depth);

template <content Content, class E>
bool read_list(thrift_in& in, std::vector<E>& out, size_t depth) {
  compact type{};
  uint32_t size = 0;
  if (!in.list_head(type, size)) return false;
  if (size > in.limits().container_items) return in.fail("too many elements");
  if (size != 0 && type != code_of<E>()) return in.fail("wrong element type");
  out.reserve(std::min(size, reserve_at_most));
  for (uint32_t i = 0; i < size; ++i) {
    if (!read_value<Content>(in, out.emplace_back(), depth)) return false;
  }
  return true;
}

template <content Content, class V>
bool read_map(thrift_in& in, std::vector<std::pair<text, V>>& out, size_t depth) {
  compact key{};
  compact mapped{};
  uint32_t size = 0;
  if (!in.map_head(key, mapped, size)) return false;
  if (size > in.limits().container_items) return in.fail("too many elements");
  if (size != 0 && (key != compact::binary || mapped != code_of<V>())) return in.fail("wrong element type");
  out.reserve(std::min(size, reserve_at_most));
  for (uint32_t i = 0; i < size; ++i) {
    auto& entry = out.emplace_back();
    if (!read_text<content::utf8>(in, entry.first) || !read_value<Content>(in, entry.second, depth)) return false;
  }
  return unique_keys(out) || in.fail("repeated key");
}

template <content Content, class M>
bool read_value(thrift_in& in, M& out, size_t depth) {
  if constexpr (std::is_same_v<M, text>) {
    return read_text<Content>(in, out);
  } else if constexpr (std::is_integral_v<M>) {
    return in.value(out);
  } else {
    if (depth == 0) return in.fail("nested too deeply");
    if constexpr (map_member<M>) {
      return read_map<Content>(in, out, depth - 1);
    } else if constexpr (list_member<M>) {
      return read_list<Content>(in, out, depth - 1);
    } else {
      return read_struct(in, out, depth - 1);
    }
  }
}

/// Reads the field the header stands at if it is F, and the next header.
template <class F, class T>
inline bool take_field(thrift_in& in, T& out, compact_field& at, uint32_t& seen, size_t depth) {
  if (at.id != F::id) return true;
  constexpr uint32_t bit = 1U << static_cast<unsigned>(F::id - 1);
  if ((seen & bit) != 0) [[unlikely]]
    return in.fail("repeated field");
  seen |= bit;
  auto& member = fresh_member<F>(out);
  using member_type = std::remove_cvref_t<decltype(member)>;
  if constexpr (std::is_same_v<member_type, bool>) {
    if (at.type != compact::yes && at.type != compact::no) [[unlikely]]
      return in.fail("wrong field type");
    member = at.type == compact::yes;
  } else {
    if (at.type != code_of<member_type>()) [[unlikely]]
      return in.fail("wrong field type");
    if (!read_value<F::holds>(in, member, depth)) [[unlikely]]
      return false;
  }
  return in.next_field(at);
}

/// One pass over the description takes all fields that come in the order of their ids, as every encoder writes them;
/// another pass follows for what is out of order.
template <described T>
bool read_struct(thrift_in& in, T& out, size_t depth) {
  uint32_t seen = 0;
  compact_field at;
  if (!in.next_field(at)) return false;
  while (at.type != compact::stop) {
    const uint32_t before = seen;
    const bool good = std::apply(
        [&]<class... F>(const F&...) { return (take_field<F>(in, out, at, seen, depth) && ...); }, fields<T>);
    if (!good) return false;
    if (seen == before && at.type != compact::stop) {
      if (!in.skip_field(at.type, depth) || !in.next_field(at)) return false;
    }
  }
  constexpr uint32_t required = required_mask<T>();
  return (seen & required) == required || in.fail("required field missing");
}

// ---- encoding ----

template <described T>
void write_struct(thrift_out& out, const T& value);

template <class M>
void write_value(thrift_out& out, const M& value) {
  if constexpr (std::is_same_v<M, text> || std::is_integral_v<M>) {
    out.value(value);
  } else if constexpr (map_member<M>) {
    using mapped = typename M::value_type::second_type;
    out.map_head(compact::binary, code_of<mapped>(), value.size());
    for (const auto& [key, item] : value) {
      out.value(key);
      write_value(out, item);
    }
  } else if constexpr (list_member<M>) {
    out.list_head(code_of<typename M::value_type>(), value.size());
    for (const auto& item : value) write_value(out, item);
  } else {
    write_struct(out, value);
  }
}

template <class F, class T>
inline void write_field(thrift_out& out, const T& object, int16_t& last) {
  const auto& member = object.*F::member;
  using member_type = std::remove_cvref_t<decltype(member)>;
  using value_type = typename unwrap<member_type>::type;
  const value_type* value = nullptr;
  if constexpr (unwrap<member_type>::optional) {
    if (!member) return;
    value = &*member;
  } else {
    value = &member;
  }
  if constexpr (std::is_same_v<value_type, bool>) {
    out.field(*value ? compact::yes : compact::no, F::id, last);
  } else {
    out.field(code_of<value_type>(), F::id, last);
    write_value(out, *value);
  }
}

template <described T>
void write_struct(thrift_out& out, const T& value) {
  int16_t last = 0;
  std::apply([&]<class... F>(const F&...) { (write_field<F>(out, value, last), ...); }, fields<T>);
  out.byte(0);
}

}  // namespace

template <class T>
bool thrift_decode(std::string_view bytes, const decode_limits& limits, T& out, const char*& why) {
  thrift_in in(bytes, limits);
  if (limits.depth != 0 && read_struct(in, out, limits.depth - 1)) {
    if (in.at_end()) return true;
    in.fail("trailing bytes");
  }
  why = in.why();
  return false;
}

template <class T>
void thrift_encode(const T& value, std::string& out) {
  thrift_out writer(out);
  write_struct(writer, value);
  writer.finish();
}

#define TERN_WIRE_STRUCT(T)                                                                 \
  template bool thrift_decode<T>(std::string_view, const decode_limits&, T&, const char*&); \
  template void thrift_encode<T>(const T&, std::string&);
#include "libs/wire/all_structs.inc"
#undef TERN_WIRE_STRUCT

}  // namespace tern::wire
