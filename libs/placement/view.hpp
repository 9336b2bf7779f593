// What every node knows of the cluster: nodes, the three range maps, shard owners. Immutable snapshots, published by
// routing, watched by all; lookups never leave the process.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "libs/base/ids.hpp"

namespace tern::placement {

/// Slots first..last (inclusive) belong to `owner` (a node name; in the storage map a shard name) since `epoch`.
struct range {
  slot_type first = 0;
  slot_type last = 0;
  std::string owner;
  uint64_t epoch = 0;
  bool operator==(const range&) const = default;
};

/// Sorted, non-overlapping ranges. A slot without an owner is in no range.
class range_map {
 public:
  range_map() = default;
  /// Sorts; throws std::invalid_argument for overlapping or reversed ranges.
  explicit range_map(std::vector<range> ranges);
  /// O(log n); nullptr when nobody owns the slot.
  const range* find(slot_type slot) const noexcept;
  const std::vector<range>& ranges() const noexcept { return ranges_; }
  bool operator==(const range_map&) const = default;

 private:
  std::vector<range> ranges_;
};

struct node {
  std::string name;
  std::string service;  // gateway, session, routing, group, storage
  std::string address;  // where its gRPC server listens: host:port or unix:path
  uint64_t incarnation = 0;
  bool alive = false;  // its lease is valid as far as routing knows
  bool operator==(const node&) const = default;
};

/// A shard and the storage node that serves it. The shard's epoch fences writes in its database.
struct shard {
  std::string name;
  std::string owner;  // node name; empty: nobody
  uint64_t epoch = 0;
  bool operator==(const shard&) const = default;
};

struct snapshot {
  uint64_t version = 0;
  std::vector<node> nodes;
  range_map sessions;  // slot -> session node
  range_map groups;    // slot -> group node
  range_map storage;   // slot -> shard name
  std::vector<shard> shards;

  const node* find_node(std::string_view name) const noexcept;
  const shard* find_shard(std::string_view name) const noexcept;
};
using snapshot_ptr = std::shared_ptr<const snapshot>;

/// The current snapshot and who wants to hear of the next. Thread-safe.
class view {
 public:
  using subscriber = std::function<void(const snapshot_ptr& previous, const snapshot_ptr& current)>;

  /// Never null; version 0 until routing has answered.
  snapshot_ptr get() const;
  /// Ignores versions not newer than the current one. Calls subscribers, one after the other, in the caller's thread.
  void publish(snapshot_ptr next);
  /// Called at once with the current snapshot (previous == current), then for every newer one. Must not block.
  void subscribe(subscriber call);

 private:
  mutable std::mutex mutex_;
  std::mutex publishing_;
  snapshot_ptr current_ = std::make_shared<const snapshot>();
  std::vector<subscriber> subscribers_;
};

}  // namespace tern::placement
