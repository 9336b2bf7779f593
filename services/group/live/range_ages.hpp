// Since when this node has had each of its ranges.
#pragma once

#include <algorithm>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/clock.hpp"
#include "libs/placement/view.hpp"

namespace tern::group::live {

/// Thread-safe. Whoever sees a range first, the watcher of the maps or a room that was asked by a newer one, starts
/// its time.
class range_ages {
 public:
  clock::time_point since(const placement::range& range, clock::time_point now) {
    const std::lock_guard held(mutex_);
    for (const auto& [known, at] : ages_) {
      if (known == range) return at;
    }
    ages_.emplace_back(range, now);
    return now;
  }
  /// A map has come: ranges of it that are not `node`'s any more are forgotten.
  void on_map(const placement::range_map& map, const std::string& node, clock::time_point now) {
    const auto& ranges = map.ranges();
    {
      const std::lock_guard held(mutex_);
      std::erase_if(
          ages_, [&](const auto& one) { return std::find(ranges.begin(), ranges.end(), one.first) == ranges.end(); });
    }
    for (const placement::range& one : ranges) {
      if (one.owner == node) since(one, now);
    }
  }

 private:
  std::mutex mutex_;
  std::vector<std::pair<placement::range, clock::time_point>> ages_;  // few: ranges are evenly spread over nodes
};

}  // namespace tern::group::live
