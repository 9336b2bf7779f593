// A bounded map that forgets what was used longest ago.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <unordered_map>
#include <utility>

namespace tern::storage {

/// At most `bound` entries; find and put count as use. Not thread-safe. Pointers are valid until the next put or
/// erase.
template <class Key, class Value, class Hash = std::hash<Key>>
class lru_map {
 public:
  explicit lru_map(size_t bound) : bound_(bound) {}

  /// nullptr when the key is not there (any more).
  Value* find(const Key& key) {
    const auto at = index_.find(key);
    if (at == index_.end()) return nullptr;
    order_.splice(order_.begin(), order_, at->second);
    return &at->second->second;
  }

  void put(const Key& key, Value value) {
    if (auto* present = find(key)) {
      *present = std::move(value);
      return;
    }
    order_.emplace_front(key, std::move(value));
    index_.emplace(key, order_.begin());
    if (index_.size() <= bound_) return;
    index_.erase(order_.back().first);
    order_.pop_back();
  }

  void erase(const Key& key) {
    const auto at = index_.find(key);
    if (at == index_.end()) return;
    order_.erase(at->second);
    index_.erase(at);
  }

  /// Forgets all for which `which(key)` is true.
  template <class Which>
  void erase_if(const Which& which) {
    for (auto at = order_.begin(); at != order_.end();) {
      if (!which(at->first)) {
        ++at;
        continue;
      }
      index_.erase(at->first);
      at = order_.erase(at);
    }
  }

  void clear() {
    index_.clear();
    order_.clear();
  }

  size_t size() const noexcept { return index_.size(); }

 private:
  using entries = std::list<std::pair<Key, Value>>;
  size_t bound_;
  entries order_;  // newest use first
  std::unordered_map<Key, typename entries::iterator, Hash> index_;
};

}  // namespace tern::storage
