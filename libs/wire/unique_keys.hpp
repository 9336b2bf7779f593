// Maps are kept as vectors in wire order; a repeated key makes the whole struct invalid.
#pragma once

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

namespace tern::wire {

/// O(n²) for the few entries maps usually have, sorted above that so a hostile map costs O(n log n).
template <class V>
bool unique_keys(const std::vector<std::pair<std::string_view, V>>& map) {
  constexpr size_t few = 8;
  if (map.size() <= few) {
    for (size_t i = 1; i < map.size(); ++i) {
      for (size_t k = 0; k < i; ++k) {
        if (map[i].first == map[k].first) return false;
      }
    }
    return true;
  }
  std::vector<std::string_view> keys;
  keys.reserve(map.size());
  for (const auto& entry : map) keys.push_back(entry.first);
  std::sort(keys.begin(), keys.end());
  return std::adjacent_find(keys.begin(), keys.end()) == keys.end();
}

}  // namespace tern::wire
