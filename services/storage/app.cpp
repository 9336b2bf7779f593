#include "services/storage/app.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <caf/all.hpp>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <future>
#include <mutex>
#include <utility>

#include "libs/log/log.hpp"
#include "libs/placement/membership.hpp"
#include "services/storage/dependencies.hpp"
#include "services/storage/erasure/erasure_service.hpp"
#include "services/storage/grpc/storage_service.hpp"
#include "services/storage/login/redis_soft_store.hpp"
#include "services/storage/moves/shard_mover.hpp"
#include "services/storage/redis_metrics.hpp"
#include "services/storage/refusals.hpp"
#include "services/storage/repositories/sealing/key_ring.hpp"
#include "services/storage/shard_reports.hpp"
#include "services/storage/supervisor.hpp"
#include "services/storage/upkeep.hpp"

namespace tern::storage {
namespace {

const log::logger logger{"storage"};

login_options to_login(const storage_config& from) {
  login_options to;
  to.threads = from.login_threads;
  to.queue_most = from.login_queue;
  to.token_life = from.token_ttl;
  to.proof_life = from.proof_ttl;
  to.cost.memory_kib = static_cast<uint32_t>(from.hash_memory_kib);
  to.cost.passes = static_cast<uint32_t>(from.hash_passes);
  to.proofs_most = from.proof_entries;
  to.throttling.account_failures = from.account_failures;
  to.throttling.address_failures = from.address_failures;
  return to;
}

/// The process dies before a step of a move, as if the power had gone: what tests of crashes need.
mover_options mortal(mover_options how) {
  const char* step = std::getenv("TERN_MOVE_DIES_AT");
  if (step == nullptr || how.at_step) return how;
  how.at_step = [deadly = std::string(step)](const std::string& next) {
    if (next == deadly) ::kill(::getpid(), SIGKILL);
  };
  return how;
}

class storage_service final : public app::service {
 public:
  using open_function = std::function<result<std::unique_ptr<store>>(const std::string&)>;
  storage_service(app::context& with, storage_config options, open_function open, mover_options moves)
      : with_(with), options_(std::move(options)), open_(std::move(open)), moves_(std::move(moves)) {}
  ~storage_service() override { stop(); }

  std::string name() const override { return "storage"; }
  result<void> start() override;
  void drain(std::chrono::milliseconds limit) override;
  void stop() override;

 private:
  result<void> check_shard_keys();
  open_function opener(const std::string& shard) const;
  slot_options slot_how() const;
  result<void> make_shards();
  void add_shards(const routing::v1::ShardList& list);
  void make_membership();
  void start_upkeep(retention_rules kept);
  supervisor_setup supervision();
  bool has_moved_out() const;
  bool others_could_take() const;
  size_t waiting() const;
  bool drained() const;

  app::context& with_;
  const storage_config options_;
  const open_function open_;
  const mover_options moves_;
  sealing sealing_;
  std::shared_ptr<storage_metrics> metrics_;
  std::shared_ptr<login_desk> logins_;
  const std::shared_ptr<shard_slots> shards_ = std::make_shared<shard_slots>();
  std::shared_ptr<delivery_hub> hub_ = std::make_shared<delivery_hub>();
  std::shared_ptr<std::atomic<int64_t>> alive_at_ = std::make_shared<std::atomic<int64_t>>(0);
  std::shared_ptr<std::atomic<size_t>> at_work_ = std::make_shared<std::atomic<size_t>>(0);
  std::unique_ptr<placement::membership> membership_;
  std::unique_ptr<shard_movers> movers_;
  std::unique_ptr<shard_reports> reports_;
  std::unique_ptr<upkeep> upkeep_;
  caf::actor supervisor_;
};

/// How a shard's database is opened: its rows are sealed as configured, what does not open is counted.
storage_service::open_function storage_service::opener(const std::string& shard) const {
  if (open_) return open_;
  auto how = sealing_;
  how.refused = watch_refusals(with_.metrics, shard);
  const sync_rule rule{static_cast<uint32_t>(options_.sync_copies), options_.sync_lost == "degrade"};
  return [how, rule](const std::string& dsn) { return open_sealed_store(dsn, how, rule); };
}

/// The keys of shards whose databases answer; the others are looked at when they are opened.
result<void> storage_service::check_shard_keys() {
  std::string checked_before;
  const auto settings = parse_shards(options_.shards, checked_before);
  std::vector<std::future<result<void>>> checks;
  for (const auto& one : settings) {
    checks.push_back(std::async(std::launch::async, [this, &one] { return check_keys(one.dsn, sealing_); }));
  }
  result<void> all;
  for (size_t i = 0; i < checks.size(); ++i) {
    if (auto done = checks[i].get(); !done) {
      all = error{done.code(), "shard " + settings[i].name + ": " + done.error().detail};
    }
  }
  return all;
}

slot_options storage_service::slot_how() const {
  slot_options how;
  how.port.writes_most = how.port.parked_most = options_.queue_requests;
  how.port.request_timeout = options_.request_timeout;
  how.readers = {options_.reader_threads, options_.reader_queue};
  return how;
}

result<void> storage_service::make_shards() {
  std::string problem;
  const auto settings = parse_shards(options_.shards, problem);
  if (settings.empty()) return error{errc::config, problem};
  for (const auto& setting : settings) {
    auto holder = std::make_shared<store_holder>(setting.dsn, opener(setting.name));
    shards_->add(
        std::make_shared<shard_slot>(setting.name, std::move(holder), slot_how(), with_.time, logins_, metrics_));
  }
  return {};
}

/// Shards that were added to the cluster since this node was configured. What is configured here counts.
void storage_service::add_shards(const routing::v1::ShardList& list) {
  for (const auto& place : list.shards()) {
    auto slot = shards_->find(place.name());
    std::string problem;
    if (!slot && parse_shards({place.name() + "=" + place.dsn()}, problem).empty()) {
      logger.error("routing told of a shard that makes no sense", {{"shard", place.name()}, {"why", problem}});
      continue;
    }
    if (!slot) {
      auto holder = std::make_shared<store_holder>(place.dsn(), opener(place.name()));
      slot = std::make_shared<shard_slot>(place.name(), std::move(holder), slot_how(), with_.time, logins_, metrics_);
      shards_->add(slot);
      for (auto& each : dependencies_of({{place.name(), place.dsn()}}, {}))
        with_.health.add_dependency(std::move(each));
      logger.info("shard is known", {{"shard", place.name()}});
    }
    slot->store->require_term(place.term());
  }
}

/// What comes from routing leads to parts that are made before it is joined and ended after it was left.
void storage_service::make_membership() {
  placement::membership_options about;
  about.self = {"storage", with_.node, with_.incarnation};
  about.address = with_.address;
  for (const auto& slot : shards_->preferred()) about.shards.push_back(slot->name());
  about.slots_wanted = true;
  about.routing_address = with_.routing_address;
  about.on_shards = [this](const routing::v1::ShardList& list) { add_shards(list); };
  about.on_shard_move = [this](const routing::v1::ShardMoveOrder& order) { movers_->order(order); };
  membership_ = std::make_unique<placement::membership>(with_.network, with_.time, about);
  movers_ = std::make_unique<shard_movers>(
      shards_, with_.time,
      [this](const routing::v1::ShardMoveProgress& progress) { membership_->shard_moved(progress); }, mortal(moves_));
  reports_ = std::make_unique<shard_reports>(
      shards_, [this](const routing::v1::ShardsServed& served) { membership_->shards_served(served); });
}

void storage_service::start_upkeep(retention_rules kept) {
  upkeep_options how;
  how.key_life = std::chrono::hours(24 * options_.data_key_days);
  how.rotate_before_ns = utc_time(options_.rotate_before).value_or(0);
  how.rows_per_second = options_.reseal_rows;
  how.kept = std::move(kept);
  how.expire_per_second = options_.retention_rows;
  upkeep_ = std::make_unique<upkeep>(how, with_.time, [shards = shards_] {
    std::vector<std::shared_ptr<shard_slot>> all;
    const auto known = shards->all();
    for (const auto& [name, slot] : *known) all.push_back(slot);
    return all;
  });
  upkeep_->start();
}

supervisor_setup storage_service::supervision() {
  supervisor_setup setup;
  setup.self = {"storage", with_.node, with_.incarnation};
  setup.network = &with_.network;
  setup.time = &with_.time;
  setup.lease_valid = [this] { return membership_->lease_valid(); };
  setup.readiness = [this](bool ready, const std::string& why) {
    with_.health.set_ready("storage.shards", ready, why);
  };
  setup.shards = shards_;
  setup.hub = hub_;
  setup.logins = logins_;
  setup.writer.batch_requests = options_.batch_requests;
  setup.writer.batch_bytes = options_.batch_bytes;
  setup.writer.split_requests = options_.batch_split;
  setup.dispatch.entries_most = options_.dispatch_entries;
  setup.alive_at = alive_at_;
  setup.at_work = at_work_;
  return setup;
}

result<void> storage_service::start() {
  auto kept = retention_of(options_);
  if (!kept) return kept.error();
  if (!open_) {
    auto how = sealing_of(options_);
    if (!how) return how.error();
    sealing_ = std::move(*how);
    if (auto checked = check_shard_keys(); !checked) return checked;
  }
  metrics_ = std::make_shared<storage_metrics>(with_.metrics);
  add_redis_metrics(with_.metrics);
  std::shared_ptr<soft_store> shared;
  if (!options_.redis_url.empty()) {
    auto made = make_redis_soft_store(options_.redis_url, options_.redis_password);
    if (!made) return made.error();
    shared = std::move(*made);
  }
  logins_ = std::make_shared<login_desk>(to_login(options_), with_.time, std::move(shared));
  if (auto made = make_shards(); !made) return made;
  with_.health.set_ready("storage.shards", false, "starting");
  std::string checked_before;
  for (auto& each : dependencies_of(parse_shards(options_.shards, checked_before), options_)) {
    with_.health.add_dependency(std::move(each));
  }

  make_membership();
  with_.network.serve<rpc::storage_stream>(
      with_.address, make_storage_acceptor(shards_, metrics_, membership_->cluster(), with_.time));
  with_.network.serve<rpc::erasure_stream>(with_.address, make_erasure_acceptor(shards_, with_.time));

  supervisor_ = with_.actors.spawn<caf::detached>(supervisor_behavior, supervision());
  alive_at_->store(std::chrono::nanoseconds(with_.time.now().time_since_epoch()).count());
  with_.health.add_liveness("storage.supervisor", [time = &with_.time, at = alive_at_] {
    const auto now = std::chrono::nanoseconds(time->now().time_since_epoch()).count();
    return now - at->load() < std::chrono::nanoseconds(std::chrono::seconds{30}).count();
  });
  membership_->cluster().subscribe([supervisor = supervisor_, movers = movers_.get()](
                                       const placement::snapshot_ptr&, const placement::snapshot_ptr& current) {
    caf::anon_send(supervisor, map_message{current});
    movers->map_changed(current);
  });
  reports_->start();
  membership_->start();
  start_upkeep(std::move(*kept));
  return {};
}

bool storage_service::has_moved_out() const {
  const auto map = membership_->cluster().get();
  return std::none_of(map->shards.begin(), map->shards.end(),
                      [&](const placement::shard& one) { return one.owner == with_.node; });
}

bool storage_service::others_could_take() const {
  const auto map = membership_->cluster().get();
  return std::any_of(map->nodes.begin(), map->nodes.end(), [&](const placement::node& one) {
    return one.service == "storage" && one.alive && one.name != with_.node;
  });
}

size_t storage_service::waiting() const {
  size_t sum = 0;
  const auto all = shards_->all();
  for (const auto& [name, slot] : *all) sum += slot->port->waiting() + slot->readers->waiting();
  return sum;
}

/// The next owner has the shards, and what was accepted before is answered. Without another storage node nobody can
/// take them: then only the latter.
bool storage_service::drained() const {
  if (waiting() > 0) return false;
  return !others_could_take() || (has_moved_out() && *at_work_ == 0);
}

void storage_service::drain(std::chrono::milliseconds limit) {
  if (!membership_) return;
  with_.health.set_ready("storage.accepting", false, "draining");
  membership_->leave();
  const auto end = std::chrono::steady_clock::now() + limit;
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock guard(mutex);
  while (std::chrono::steady_clock::now() < end && !drained()) never.wait_for(guard, std::chrono::milliseconds{5});
  logger.info("drained", {{"moved_out", has_moved_out()}, {"waiting", waiting()}});
}

void storage_service::stop() {
  if (!supervisor_) return;
  upkeep_->stop();
  movers_->stop();
  reports_->stop();
  membership_->stop();
  // Its writers answer what they have before the streams go.
  caf::anon_send(supervisor_, stop_message{});
  caf::scoped_actor self{with_.actors};
  self->wait_for(supervisor_);
  supervisor_ = nullptr;
  with_.network.withdraw<rpc::storage_stream>(with_.address);
  with_.network.withdraw<rpc::erasure_stream>(with_.address);
  logins_->stop();
  const auto all = shards_->all();
  for (const auto& [name, slot] : *all) slot->readers->stop();
}

}  // namespace

std::unique_ptr<app::service> make_storage_service(
    app::context& with, const storage_config& options,
    std::function<result<std::unique_ptr<store>>(const std::string&)> open, mover_options moves) {
  return std::make_unique<storage_service>(with, options, std::move(open), std::move(moves));
}

}  // namespace tern::storage
