#include "services/group/app.hpp"

#include <thread>
#include <utility>

#include "libs/log/log.hpp"
#include "libs/placement/membership.hpp"
#include "services/group/grpc/group_service.hpp"

namespace tern::group {
namespace {

constexpr const char* ready_map = "group.map";
constexpr std::chrono::milliseconds poll{5};

placement::membership_options options_of(const app::context& with) {
  placement::membership_options out;
  out.self = {"group", with.node, with.incarnation};
  out.address = with.address;
  out.slots_wanted = true;
  out.routing_address = with.routing_address;
  return out;
}

uint64_t slots_of(const placement::snapshot& map, const std::string& node) {
  uint64_t slots = 0;
  for (const placement::range& one : map.groups.ranges()) {
    if (one.owner == node) slots += one.last - one.first + 1;
  }
  return slots;
}

class group_service final : public app::service {
 public:
  group_service(app::context& with, const group_config& options)
      : context_(with),
        config_(options),
        metrics_(with.metrics),
        membership_(with.network, with.time, options_of(with)),
        around_{config_, metrics_, with.node} {
    around_.cluster = &membership_.cluster();
    around_.lease_valid = [this] { return membership_.lease_valid(); };
  }
  ~group_service() override { stop(); }

  std::string name() const override { return "group"; }

  result<void> start() override {
    started_ = true;
    context_.health.set_ready(ready_map, false, "no map of the cluster yet");
    context_.network.serve<rpc::group_stream>(context_.address, exchange_acceptor(around_));
    membership_.cluster().subscribe([this](const auto&, const placement::snapshot_ptr& current) {
      if (current->version == 0) return;
      const uint64_t slots = slots_of(*current, context_.node);
      metrics_.slots_owned.set(static_cast<double>(slots));
      log_.info("map", {{"version", current->version}, {"slots", slots}});
      context_.health.set_ready(ready_map, true);
    });
    membership_.start();
    return {};
  }

  void drain(std::chrono::milliseconds limit) override {
    if (!started_ || stopped_) return;
    context_.health.set_ready(ready_map, false, "draining");
    membership_.leave();
    const auto end = context_.time.now() + limit;
    while (context_.time.now() < end && !handed_over()) std::this_thread::sleep_for(poll);
  }

  void stop() override {
    if (!started_ || std::exchange(stopped_, true)) return;
    membership_.stop();
    context_.network.withdraw<rpc::group_stream>(context_.address);
  }

 private:
  /// Our slots are others', or there are no others.
  bool handed_over() {
    const auto map = membership_.cluster().get();
    for (const placement::node& one : map->nodes) {
      if (one.service == "group" && one.alive && one.name != context_.node) return slots_of(*map, context_.node) == 0;
    }
    return true;
  }

  app::context& context_;
  const group_config config_;
  const group_metrics metrics_;
  placement::membership membership_;
  surroundings around_;
  log::logger log_{"group"};
  bool started_ = false;
  bool stopped_ = false;
};

}  // namespace

std::unique_ptr<app::service> make_group_service(app::context& with, const group_config& options) {
  return std::make_unique<group_service>(with, options);
}

}  // namespace tern::group
