// A storage node in the simulation: the real door, writer, dispatcher and streams of services/storage over tables in
// memory that outlive it. Reads are done where they come in; logins need no password.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "services/storage/actors.hpp"
#include "services/storage/delivery_hub.hpp"
#include "services/storage/metrics.hpp"
#include "services/storage/shard_port.hpp"
#include "tests/sim/disk.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/process.hpp"

namespace tern::sim {

class storage_process final : public process {
 public:
  storage_process(host& on, network& net, disks& all, std::function<bool()> lease_valid);
  ~storage_process() override;

  void on_map(const placement::snapshot_ptr& current) override;

 private:
  struct shard {
    std::shared_ptr<storage::shard_port> port;
    std::shared_ptr<storage::shard_metrics> metrics;
    uint64_t epoch = 0;  // 0: not served
    caf::actor writer, dispatcher;
  };
  class exchange;

  void follow_shards();
  void follow_sessions();
  void start(const std::string& name, shard& which, uint64_t epoch);
  void stop(const std::string& name, shard& which);
  void read(const std::string& name, storage::v1::StorageRequest&& message,
            const std::shared_ptr<storage::reply_sink>& to);
  void tick();

  network& net_;
  disks& disks_;
  const rpc::peer self_;
  const std::function<bool()> lease_valid_;
  std::shared_ptr<storage::storage_metrics> storage_metrics_;
  std::shared_ptr<storage::delivery_hub> hub_ = std::make_shared<storage::delivery_hub>();
  placement::snapshot_ptr map_ = std::make_shared<const placement::snapshot>();
  std::map<std::string, shard> shards_;
  std::map<std::string, std::unique_ptr<rpc::link>> links_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace tern::sim
