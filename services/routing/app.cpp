#include "services/routing/app.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <condition_variable>
#include <future>
#include <mutex>
#include <utility>

#include "libs/log/log.hpp"
#include "libs/rpc/grpc_network.hpp"
#include "libs/sql/probe.hpp"
#include "services/routing/actors/placement_actor.hpp"
#include "services/routing/grpc/join_service.hpp"
#include "services/routing/metrics.hpp"

namespace tern::routing {
namespace {

const log::logger logger{"routing"};
constexpr auto patience = std::chrono::seconds(3);
constexpr auto goodbye = std::chrono::seconds(2);  // for giving the leader row back
constexpr const char* condition = "routing.maps";

/// As `ternctl doctor` tries it, on a connection of its own.
app::dependency meta_database(const std::string& dsn) {
  return {"meta database", "meta", sql::shown(dsn), [dsn]() -> app::dependency_state {
            const auto found = sql::probe(dsn, std::chrono::milliseconds(2000));
            if (!found) return {false, found.error().detail, -1, {}};
            return {true, {}, found->schema, found->directory};
          }};
}

result<void> import_from(const std::string& dsn, meta_store& into) {
  if (dsn.empty()) return {};
  const auto from = make_meta_store(dsn);
  const auto done = import_storage(*from, into);
  if (!done) return error{done.code(), "routing.meta.import_dsn: " + done.error().detail};
  if (*done) logger.info("shards were taken over from another meta database", {{"from", sql::shown(dsn)}});
  return {};
}

/// Set once, by the placement actor.
struct readiness {
  std::mutex mutex;
  std::condition_variable changed;
  bool flag = false;
};

class routing_service final : public app::service {
 public:
  routing_service(app::context& with, const routing_config& options) : with_(with), options_(options) {}
  ~routing_service() override { stop(); }

  std::string name() const override { return "routing"; }
  result<void> start() override;
  /// Other nodes go on with their last maps; stop() makes room for the next leader.
  void drain(std::chrono::milliseconds) override {}
  void stop() override;

 private:
  placement_setup setup() const;
  result<void> open_control_socket();

  app::context& with_;
  const routing_config options_;
  std::shared_ptr<readiness> ready_ = std::make_shared<readiness>();
  std::shared_ptr<routing_metrics> metrics_;
  caf::actor meta_;
  caf::actor placement_;
  std::unique_ptr<rpc::network> control_;
};

placement_setup routing_service::setup() const {
  auto made = placement_of(options_, with_.node, with_.address, with_.incarnation);
  made.time = &with_.time;
  made.meta = meta_;
  made.metrics = metrics_;
  made.ready = [ready = ready_, &health = with_.health](bool leads) {
    health.set_ready(condition, true, leads ? "leads" : "follows");
    const std::lock_guard lock(ready->mutex);
    ready->flag = true;
    ready->changed.notify_all();
  };
  return made;
}

result<void> routing_service::start() {
  if (const auto wrong = complaints(options_); !wrong.empty()) return error{errc::config, wrong.front()};
  metrics_ = std::make_shared<routing_metrics>(with_.metrics);
  with_.health.set_ready(condition, false, "the maps are not loaded");
  if (options_.meta_dsn != "memory:") with_.health.add_dependency(meta_database(options_.meta_dsn));
  std::shared_ptr<meta_store> store = make_meta_store(options_.meta_dsn);
  if (auto opened = store->open(); !opened && opened.code() == errc::config) return opened;
  if (auto taken = import_from(options_.import_dsn, *store); !taken) return taken;
  meta_ = with_.actors.spawn<caf::detached>(meta_behavior, std::move(store));
  placement_ = with_.actors.spawn(placement_behavior, setup());
  with_.network.serve<rpc::join_stream>(with_.address, make_join_acceptor(placement_));
  with_.network.serve<rpc::control_stream>(with_.address, make_control_acceptor(placement_));
  if (auto opened = open_control_socket(); !opened) return opened;
  std::unique_lock lock(ready_->mutex);
  ready_->changed.wait_for(lock, patience, [this] { return ready_->flag; });
  return {};
}

result<void> routing_service::open_control_socket() {
  if (options_.control_socket.empty()) return {};
  rpc::grpc_options how;
  how.self = {"routing", with_.node, with_.incarnation};
  how.listen_address = "unix:" + options_.control_socket;
  control_ = rpc::make_grpc_network(how);
  control_->serve<rpc::control_stream>(how.listen_address, make_control_acceptor(placement_));
  if (auto started = control_->start(); !started) return started;
  if (::chmod(options_.control_socket.c_str(), S_IRUSR | S_IWUSR) != 0) {
    return error{errc::config, "routing.control.socket: " + options_.control_socket + " cannot be made private"};
  }
  return {};
}

void routing_service::stop() {
  if (!placement_) return;
  auto done = std::make_shared<std::promise<void>>();
  auto resigned = done->get_future();
  caf::anon_send(placement_, resign_message{std::move(done)});
  resigned.wait_for(goodbye);
  if (control_) control_->stop();
  with_.network.withdraw<rpc::control_stream>(with_.address);
  with_.network.withdraw<rpc::join_stream>(with_.address);
  caf::scoped_actor waiting{with_.actors};
  for (auto* each : {&placement_, &meta_}) {
    waiting->send_exit(*each, caf::exit_reason::user_shutdown);
    waiting->wait_for(*each);
    *each = nullptr;
  }
  metrics_->leader.set(0);
}

}  // namespace

std::unique_ptr<app::service> make_routing_service(app::context& with, const routing_config& options) {
  return std::make_unique<routing_service>(with, options);
}

}  // namespace tern::routing
