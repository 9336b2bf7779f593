// Random valid structs of every type, made from the field description. For tests.
#pragma once

#include <algorithm>
#include <limits>
#include <random>
#include <string>

#include "libs/wire/codec.hpp"
#include "libs/wire/fields.hpp"

namespace tern::wire {

/// The texts live in the arena. Deterministic for a seed.
class random_structs {
 public:
  random_structs(uint64_t seed, arena& memory) : engine_(seed), memory_(memory) {}

  template <described T>
  T make() {
    T value;
    fill(value);
    return value;
  }

  uint64_t below(uint64_t bound) { return std::uniform_int_distribution<uint64_t>(0, bound - 1)(engine_); }

 private:
  template <described T>
  void fill(T& value) {
    std::apply([&]<class... F>(const F&...) { (fill_field<F>(value), ...); }, fields<T>);
  }

  template <class F, class T>
  void fill_field(T& object) {
    using member_type = std::remove_cvref_t<decltype(object.*F::member)>;
    if constexpr (unwrap<member_type>::optional) {
      if (below(3) == 0) return;
    }
    fill_value<F::holds>(fresh_member<F>(object));
  }

  template <content Content, class M>
  void fill_value(M& value) {
    if constexpr (std::is_same_v<M, text>) {
      value = is_bytes(Content) ? bytes() : utf8();
    } else if constexpr (std::is_same_v<M, bool>) {
      value = below(2) == 0;
    } else if constexpr (std::is_integral_v<M>) {
      value = number<M>();
    } else if constexpr (map_member<M>) {
      fill_map<Content>(value);
    } else if constexpr (list_member<M>) {
      for (uint64_t i = below(4) == 0 ? 17 : below(4); i != 0; --i) fill_value<Content>(value.emplace_back());
    } else {
      fill(value);
    }
  }

  /// Keys unique and in byte order, as libthrift writes them.
  template <content Content, class V>
  void fill_map(std::vector<std::pair<text, V>>& map) {
    for (uint64_t i = below(5); i != 0; --i) {
      const text key = utf8();
      const bool known = std::any_of(map.begin(), map.end(), [&](const auto& entry) { return entry.first == key; });
      if (!known) fill_value<Content>(map.emplace_back(key, V{}).second);
    }
    std::sort(map.begin(), map.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  }

  /// Of every magnitude, with the extremes.
  template <class Int>
  Int number() {
    switch (below(8)) {
      case 0: return std::numeric_limits<Int>::min();
      case 1: return std::numeric_limits<Int>::max();
      default: return static_cast<Int>(static_cast<int64_t>(engine_()) >> below(64));
    }
  }

  uint64_t length() { return below(10) == 0 ? below(1000) : below(20); }

  text bytes() {
    std::string made(length(), '\0');
    for (char& byte : made) byte = static_cast<char>(below(256));
    return memory_.keep(made);
  }

  text utf8() {
    static constexpr text pieces[] = {"a",      "Z",      "0",          " ",         "\"",   "\\",
                                      "/",      "\n",     {"\0", 1},    "\x1f",      "\x7f", "\u00e9",
                                      "\u20ac", "\ufffd", "\U0001F600", "\U0010FFFF"};
    std::string made;
    for (uint64_t i = length(); i != 0; --i) made.append(pieces[below(std::size(pieces))]);
    return memory_.keep(made);
  }

  std::mt19937_64 engine_;
  arena& memory_;
};

}  // namespace tern::wire
