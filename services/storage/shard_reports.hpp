// What routing hears of the shards this node can serve.
#pragma once

#include <tern/routing/v1/routing.pb.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "services/storage/shard_slot.hpp"

namespace tern::storage {

/// One thread. Reports on changes (it looks twice a second) and every 10 s. A shard that is not served here is tried
/// on a connection of its own, every 10 s.
class shard_reports {
 public:
  using tell_function = std::function<void(const routing::v1::ShardsServed&)>;
  shard_reports(std::shared_ptr<const shard_slots> shards, tell_function tell)
      : shards_(std::move(shards)), tell_(std::move(tell)) {}
  ~shard_reports() { stop(); }
  shard_reports(const shard_reports&) = delete;
  shard_reports& operator=(const shard_reports&) = delete;

  void start();
  /// Idempotent; waits for a connection that is being tried.
  void stop();

 private:
  void run();
  routing::v1::ShardsServed look(bool again);

  const std::shared_ptr<const shard_slots> shards_;
  const tell_function tell_;
  std::map<std::string, std::string> problems_;  // of shards that are not served here
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace tern::storage
