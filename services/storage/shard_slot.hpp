// All that belongs to one configured shard, over all its epochs.
#pragma once

#include <map>
#include <memory>
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

 private:
  void read(v1::StorageRequest&& message, const std::shared_ptr<reply_sink>& from, clock::time_point arrived);
  void log_in(v1::StorageRequest&& message, const std::shared_ptr<reply_sink>& from, clock::time_point arrived);
  void respond(const std::shared_ptr<reply_sink>& to, v1::StorageRequest::OpCase op, clock::time_point arrived,
               v1::StorageReply reply) const;

  const slot_options how_;
  const clock& time_;
  const std::shared_ptr<login_desk> logins_;
};

/// The shards this node can serve; fixed at the start.
using shard_slots = std::map<std::string, std::shared_ptr<shard_slot>>;

}  // namespace tern::storage
