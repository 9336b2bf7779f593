#include "libs/wire/json_codec.hpp"

#include <charconv>

#include "libs/wire/base64.hpp"
#include "libs/wire/json_out.hpp"
#include "libs/wire/json_tape.hpp"
#include "libs/wire/unique_keys.hpp"

namespace tern::wire {
namespace {

constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_name(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

/// A walk over the tape. The tape is well formed, so there is always a next token inside an open bracket.
class json_in {
 public:
  json_in(const std::vector<json_item>& tape, arena& memory, const decode_limits& limits)
      : at_(tape.data()), memory_(memory), limits_(limits) {}

  const decode_limits& limits() const noexcept { return limits_; }
  const char* why() const noexcept { return why_; }
  bool fail(const char* why) noexcept {
    why_ = why;
    return false;
  }
  json_token peek() const noexcept { return at_->token; }
  const json_item& next() noexcept { return *at_++; }
  bool accept(json_token token) noexcept {
    if (at_->token != token) return false;
    ++at_;
    return true;
  }

  void skip() noexcept {
    size_t open = 0;
    do {
      const json_token token = next().token;
      if (token == json_token::object_begin || token == json_token::array_begin) ++open;
      if (token == json_token::object_end || token == json_token::array_end) --open;
    } while (open != 0);
  }

  bool name(text& out) {
    out = next().bytes;
    return out.size() <= limits_.string_bytes || fail("name too long");
  }
  bool utf8(text& out, size_t limit) {
    if (peek() != json_token::string) return fail("string expected");
    out = next().bytes;
    return out.size() <= limit || fail("text too long");
  }
  bool base64(text& out, size_t limit) {
    if (peek() != json_token::string) return fail("base64 string expected");
    const text encoded = next().bytes;
    char* bytes = memory_.room(base64_decoded_size(encoded.size()));
    const auto size = base64_decode(encoded, bytes);
    if (!size) return fail("bad base64");
    if (*size > limit) return fail("text too long");
    out = {bytes, *size};
    return true;
  }
  /// Only integers in their range: 1.0, 1e3 and 2^63 are refused rather than rounded.
  template <std::integral Int>
  bool number(Int& out) {
    if (peek() != json_token::number) return fail("number expected");
    const text digits = next().bytes;
    const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
    if (failure != std::errc{} || end != digits.data() + digits.size()) return fail("not an integer of this field");
    return true;
  }
  bool boolean(bool& out) {
    const json_token token = next().token;
    if (token != json_token::yes && token != json_token::no) return fail("true or false expected");
    out = token == json_token::yes;
    return true;
  }

 private:
  const json_item* at_;
  arena& memory_;
  const decode_limits& limits_;
  const char* why_ = "";
};

// ---- decoding ----

template <described T>
bool read_struct(json_in& in, T& out);
template <content Content, class M>
bool read_value(json_in& in, M& out);

template <content Content>
bool read_text(json_in& in, text& out) {
  const size_t limit = is_body(Content) ? in.limits().body_bytes : in.limits().string_bytes;
  return is_bytes(Content) ? in.base64(out, limit) : in.utf8(out, limit);
}

template <content Content, class E>
bool read_list(json_in& in, std::vector<E>& out) {
  if (!in.accept(json_token::array_begin)) return in.fail("array expected");
  while (!in.accept(json_token::array_end)) {
    if (out.size() >= in.limits().container_items) return in.fail("too many elements");
    if (!read_value<Content>(in, out.emplace_back())) return false;
  }
  return true;
}

/// An entry whose value is null is absent, like a field.
template <content Content, class V>
bool read_map(json_in& in, std::vector<std::pair<text, V>>& out) {
  if (!in.accept(json_token::object_begin)) return in.fail("object expected");
  while (!in.accept(json_token::object_end)) {
    if (out.size() >= in.limits().container_items) return in.fail("too many elements");
    auto& entry = out.emplace_back();
    if (!in.name(entry.first)) return false;
    if (in.accept(json_token::null)) {
      out.pop_back();
    } else if (!read_value<Content>(in, entry.second)) {
      return false;
    }
  }
  return unique_keys(out) || in.fail("repeated key");
}

template <content Content, class M>
bool read_value(json_in& in, M& out) {
  if constexpr (std::is_same_v<M, text>) {
    return read_text<Content>(in, out);
  } else if constexpr (std::is_same_v<M, bool>) {
    return in.boolean(out);
  } else if constexpr (std::is_integral_v<M>) {
    return in.number(out);
  } else if constexpr (map_member<M>) {
    return read_map<Content>(in, out);
  } else if constexpr (list_member<M>) {
    return read_list<Content>(in, out);
  } else {
    return read_struct(in, out);
  }
}

struct members {
  uint32_t seen = 0;     // named, also as null
  uint32_t present = 0;  // with a value
};

/// 0: not this field. 1: taken. -1: refused.
template <class F, class T>
int take_member(json_in& in, const F& field, text name, T& out, members& have) {
  if (!same_name(name, field.name)) return 0;
  constexpr uint32_t bit = 1U << static_cast<unsigned>(F::id - 1);
  if ((have.seen & bit) != 0) {
    in.fail("repeated name");
    return -1;
  }
  have.seen |= bit;
  if (in.accept(json_token::null)) return 1;
  have.present |= bit;
  return read_value<F::holds>(in, fresh_member<F>(out)) ? 1 : -1;
}

template <described T>
bool read_struct(json_in& in, T& out) {
  if (!in.accept(json_token::object_begin)) return in.fail("object expected");
  members have;
  while (!in.accept(json_token::object_end)) {
    const text name = in.next().bytes;
    int taken = 0;
    std::apply([&](const auto&... f) { (void)(((taken = take_member(in, f, name, out, have)) != 0) || ...); },
               fields<T>);
    if (taken < 0) return false;
    if (taken == 0) in.skip();
  }
  constexpr uint32_t required = required_mask<T>();
  return (have.present & required) == required || in.fail("required field missing");
}

// ---- encoding ----

template <described T>
void write_struct(const T& value, std::string& out);

template <content Content, class M>
void write_value(const M& value, std::string& out) {
  if constexpr (std::is_same_v<M, text>) {
    if constexpr (is_bytes(Content)) {
      out.push_back('"');
      base64_encode(value, out);
      out.push_back('"');
    } else {
      json_string(value, out);
    }
  } else if constexpr (std::is_same_v<M, bool>) {
    out.append(value ? "true" : "false");
  } else if constexpr (std::is_integral_v<M>) {
    json_number(value, out);
  } else if constexpr (map_member<M>) {
    out.push_back('{');
    for (const auto& [key, item] : value) {
      if (&key != &value.front().first) out.push_back(',');
      json_string(key, out);
      out.push_back(':');
      write_value<Content>(item, out);
    }
    out.push_back('}');
  } else if constexpr (list_member<M>) {
    out.push_back('[');
    for (const auto& item : value) {
      if (&item != &value.front()) out.push_back(',');
      write_value<Content>(item, out);
    }
    out.push_back(']');
  } else {
    write_struct(value, out);
  }
}

template <class F, class T>
void write_member(const F& field, const T& object, bool& first, std::string& out) {
  const auto& member = object.*F::member;
  const auto put = [&](const auto& value) {
    out.append(first ? "\"" : ",\"");
    first = false;
    out.append(field.name);
    out.append("\":");
    write_value<F::holds>(value, out);
  };
  if constexpr (unwrap<std::remove_cvref_t<decltype(member)>>::optional) {
    if (member) put(*member);
  } else {
    put(member);
  }
}

template <described T>
void write_struct(const T& value, std::string& out) {
  out.push_back('{');
  bool first = true;
  std::apply([&](const auto&... f) { (write_member(f, value, first, out), ...); }, fields<T>);
  out.push_back('}');
}

/// The tape of this thread, kept for the next text unless it has grown large.
class tape_lease {
 public:
  tape_lease() : tape_(shared()) { tape_.clear(); }
  ~tape_lease() {
    if (tape_.capacity() > 4096) std::vector<json_item>().swap(tape_);
  }
  tape_lease(const tape_lease&) = delete;
  tape_lease& operator=(const tape_lease&) = delete;
  std::vector<json_item>& tape() noexcept { return tape_; }

 private:
  static std::vector<json_item>& shared() {
    thread_local std::vector<json_item> tape;
    return tape;
  }
  std::vector<json_item>& tape_;
};

}  // namespace

template <class T>
bool json_decode(std::string_view bytes, arena& memory, const decode_limits& limits, T& out, const char*& why) {
  tape_lease lease;
  why = json_tokenize(bytes, memory, limits, lease.tape());
  if (why != nullptr) return false;
  json_in in(lease.tape(), memory, limits);
  if (read_struct(in, out)) return true;
  why = in.why();
  return false;
}

template <class T>
void json_encode(const T& value, std::string& out) {
  write_struct(value, out);
}

#define TERN_WIRE_STRUCT(T)                                                                       \
  template bool json_decode<T>(std::string_view, arena&, const decode_limits&, T&, const char*&); \
  template void json_encode<T>(const T&, std::string&);
#include "libs/wire/all_structs.inc"
#undef TERN_WIRE_STRUCT

}  // namespace tern::wire
