// Erasure of an account: which steps, at which nodes, in which order.
#pragma once

#include <tern/routing/v1/routing.pb.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/ids.hpp"
#include "libs/base/result.hpp"
#include "libs/erasure/receipt.hpp"
#include "libs/rpc/network.hpp"

namespace tern::erasing {

struct eraser_options {
  uint64_t rows_per_second = 5000;                       // messages looked at
  std::chrono::milliseconds patience{0};                 // for how long a node may be away; each time anew
  std::function<void(const std::string&)> progress;      // a line
  std::function<bool()> stopped = [] { return false; };  // true: it ends soon, with cancelled
};

/// Drives one account's erasure. All that is done is recorded in the shards: run() goes on where any run ended, and
/// may be repeated. Waits; not thread-safe.
class eraser {
 public:
  /// The newest maps. errc::unavailable: nobody leads.
  using maps_function = std::function<result<routing::v1::Snapshot>()>;
  /// `over` has started and outlives it; `self` is a ternctl.
  eraser(rpc::network& over, rpc::peer self, maps_function maps, account_id account, eraser_options options);
  ~eraser();

  /// no_such_object: there is no such account, nor was there an erasure. unavailable: somebody was away for too long;
  /// what was done stays done.
  result<receipt> run();
  /// What is recorded.
  result<receipt> look();

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace tern::erasing
