// All that belongs to one configured shard, over all its epochs.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "services/storage/login/login_desk.hpp"
#include "services/storage/metrics.hpp"
#include "services/storage/reader_pool.hpp"
#include "services/storage/shard_port.hpp"
#include "services/storage/store_holder.hpp"

namespace tern::storage {

struct slot_options {
  port_options port;
  reader_options readers;
};

/// Made once; its parts are thread-safe. Reads and logins run on its readers.
class shard_slot {
 public:
  shard_slot(std::string name, std::shared_ptr<store_holder> store, slot_options how, const clock& time,
             std::shared_ptr<login_desk> logins, std::shared_ptr<storage_metrics> service_metrics);

  const std::string& name() const noexcept { return port->shard(); }

  const std::shared_ptr<store_holder> store;
  const std::shared_ptr<shard_metrics> metrics;
  const std::shared_ptr<storage_metrics> service_metrics;
  std::shared_ptr<shard_port> port;
  std::shared_ptr<reader_pool> readers;
  std::atomic<uint64_t> bytes{0};  // size of the database when it was last looked at; 0: not known yet

 private:
  void read(v1::StorageRequest&& message, const std::shared_ptr<reply_sink>& from, clock::time_point arrived);
  void log_in(v1::StorageRequest&& message, const std::shared_ptr<reply_sink>& from, clock::time_point arrived);
  void respond(const std::shared_ptr<reply_sink>& to, v1::StorageRequest::OpCase op, clock::time_point arrived,
               v1::StorageReply reply) const;

  const slot_options how_;
  const clock& time_;
  const std::shared_ptr<login_desk> logins_;
};

/// The shards this node can serve: those it is configured with, and those routing told of. Thread-safe.
class shard_slots {
 public:
  using by_name = std::map<std::string, std::shared_ptr<shard_slot>>;
  /// As they are now; never changes.
  std::shared_ptr<const by_name> all() const {
    const std::lock_guard guard(mutex_);
    return slots_;
  }
  /// Null: not known.
  std::shared_ptr<shard_slot> find(const std::string& name) const {
    const auto known = all();
    const auto at = known->find(name);
    return at == known->end() ? nullptr : at->second;
  }
  /// They stay until the end.
  void add(const std::shared_ptr<shard_slot>& slot) {
    const std::lock_guard guard(mutex_);
    auto next = std::make_shared<by_name>(*slots_);
    if (!next->emplace(slot->name(), slot).second) return;
    slots_ = std::move(next);
    order_.push_back(slot);
  }
  /// In the order in which they were added: of preference.
  std::vector<std::shared_ptr<shard_slot>> preferred() const {
    const std::lock_guard guard(mutex_);
    return order_;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const by_name> slots_ = std::make_shared<const by_name>();
  std::vector<std::shared_ptr<shard_slot>> order_;
};

}  // namespace tern::storage
