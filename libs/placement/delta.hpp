// What has changed between two snapshots, so that routing need not send the whole of it after every change.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "libs/base/result.hpp"
#include "libs/placement/view.hpp"

namespace tern::placement {

struct delta {
  uint64_t from = 0;  // version it applies to
  uint64_t version = 0;
  std::vector<node> nodes;        // new or changed
  std::vector<std::string> gone;  // names of nodes
  std::vector<range> sessions;    // these slots belong to these owners now; an empty owner: to nobody
  std::vector<range> groups;
  std::vector<range> storage;
  std::vector<shard> shards;  // new or changed
};

/// apply(before, *diff(before, after)) equals `after`. Nodes and shards are sorted by name in both. None when a delta
/// cannot say it (a shard is gone): send the snapshot. O(n).
std::optional<delta> diff(const snapshot& before, const snapshot& after);

/// stale_epoch: it is for another version than `to` has; bad_format: it makes no sense (ranges overlap).
result<snapshot_ptr> apply(const snapshot& to, const delta& what);

}  // namespace tern::placement
