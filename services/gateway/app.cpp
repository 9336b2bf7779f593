#include "services/gateway/app.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

#include "libs/metrics/metrics.hpp"
#include "libs/metrics/pulled.hpp"
#include "libs/placement/membership.hpp"
#include "services/gateway/actors/supervisor_actor.hpp"
#include "services/gateway/client.hpp"
#include "services/gateway/http.hpp"
#include "services/gateway/live/hub.hpp"
#include "services/gateway/tls_watch.hpp"

namespace tern::gateway {

namespace {

/// Links come up within milliseconds of the first map; a gateway is ready when it has a map with owners.
constexpr const char* ready_map = "gateway.map";
constexpr const char* ready_open = "gateway.accepting";

websocket::server_options server_options_of(const gateway_config& config) {
  websocket::server_options out;
  split_address(config.listen_address, out.host, out.port);
  out.threads = config.threads;
  out.max_connections = config.max_connections;
  out.max_half_open_per_address = config.max_half_open_per_address;
  out.max_body_bytes = config.max_frame_bytes;
  out.max_message_bytes = config.max_frame_bytes;
  out.write_stall_timeout = config.write_stall_timeout;
  out.tls = !config.tls_certificate_file.empty();
  out.certificate_file = config.tls_certificate_file;
  out.private_key_file = config.tls_key_file;
  return out;
}

/// Each io thread must have run something within this time to count as alive.
constexpr std::chrono::seconds stuck_after{10};

class service_impl final : public gateway_service {
 public:
  service_impl(app::context& with, const gateway_config& options)
      : context_(with), core_(options, with.time, with.metrics, with.node, with.incarnation) {}

  ~service_impl() override { stop(); }

  std::string name() const override { return "gateway"; }
  uint16_t port() const override { return server_ ? server_->port() : 0; }

  result<void> start() override {
    const auto problems = complaints(core_.config);
    if (!problems.empty()) return error{errc::config, problems.front()};
    context_.health.set_ready(ready_map, false, "no map of the cluster yet");
    server_ = websocket::make_server(
        server_options_of(core_.config),
        [this](websocket::io_thread& on, const websocket::request& request) { return upgrade(on, request); },
        [this](websocket::io_thread& on, const websocket::request& request, websocket::reply_function reply) {
          handle_request(*lanes_[on.index()], request, std::move(reply));
        });
    if (auto listening = server_->listen(); !listening) return listening;
    make_lanes();
    const rpc::peer self{"gateway", context_.node, context_.incarnation};
    attach_rooms(self);
    watch_certificates();
    server_->start();
    export_gauges();
    supervisor_ = context_.actors.spawn(
        supervisor_behavior, &core_, &context_.network, self, lanes_, live_.get(),
        drainer::port{[this] { return size_t{server_->stats().websockets}; },
                      [this](bool on) { on ? server_->resume_accepting() : server_->stop_accepting(); }});
    join(self);
    context_.health.set_ready(ready_open, true);
    core_.log.info("listening", {{"address", core_.config.listen_address},
                                 {"port", server_->port()},
                                 {"tls", !core_.config.tls_certificate_file.empty()}});
    return {};
  }

  void drain(std::chrono::milliseconds limit) override {
    if (!server_) return;
    {
      const std::lock_guard lock(drain_mutex_);
      if (std::exchange(ending_, true)) return;
    }
    const auto progress = begin_drain(limit);
    if (!progress->wait()) {
      core_.log.warn("drain ended by its limit", {{"connections", server_->stats().websockets}});
    }
    membership_->leave();
  }

  void stop() override {
    if (stopped_ || !server_) return;
    stopped_ = true;
    if (membership_) membership_->stop();
    // The links go before the server: what they still post finds io threads that run.
    if (supervisor_) {
      caf::scoped_actor self{context_.actors};
      self->monitor(supervisor_);
      caf::anon_send(supervisor_, quit_atom::value);
      self->receive([](const caf::down_msg&) {});
      supervisor_ = nullptr;
    }
    server_->stop();
    *gone_ = true;
  }

 private:
  websocket::upgrade_decision upgrade(websocket::io_thread& on, const websocket::request& request) {
    websocket::response refusal = check_upgrade(core_, request);
    if (refusal.status != 0) return {nullptr, std::move(refusal)};
    return {std::make_unique<client>(*lanes_[on.index()]), {}};
  }

  /// Readiness goes first; the supervisor does the rest.
  std::shared_ptr<drain_progress> begin_drain(std::chrono::milliseconds limit) {
    context_.health.set_ready(ready_open, false, "draining");
    auto progress = std::make_shared<drain_progress>(limit);
    caf::anon_send(supervisor_, drain_atom::value, progress);
    return progress;
  }

  /// An operator's order.
  void on_drain_order(bool on) {
    const std::lock_guard lock(drain_mutex_);
    if (ending_ || std::exchange(ordered_, on) == on) return;
    if (on) {
      begin_drain(core_.config.drain_operator);
    } else {
      caf::anon_send(supervisor_, undrain_atom::value);
      context_.health.set_ready(ready_open, true);
    }
  }

  void make_lanes() {
    const auto threads = server_->threads();
    lanes_.resize(threads.size());
    for (websocket::io_thread* thread : threads) {
      auto made = std::make_shared<lane>(core_, *thread);
      auto beat = std::make_shared<std::atomic<int64_t>>(core_.time.now().time_since_epoch().count());
      lanes_[thread->index()] = made;
      thread->every(tick_length, [this, made, beat] {
        beat->store(core_.time.now().time_since_epoch().count(), std::memory_order_relaxed);
        made->on_tick();
        if (made->thread().index() == 0) live_->on_tick(made->tick());
      });
      watch_lag(*thread);
      context_.health.add_liveness(
          "gateway.io-" + std::to_string(thread->index()), [beat, &time = core_.time, gone = gone_] {
            const clock::time_point last{clock::time_point::duration{beat->load(std::memory_order_relaxed)}};
            return gone->load() || time.now() - last < stuck_after;
          });
    }
  }

  /// A timer that comes late says how long the thread was busy with something else.
  void watch_lag(websocket::io_thread& thread) {
    using steady = std::chrono::steady_clock;
    static constexpr std::chrono::milliseconds period{200};
    auto due = std::make_shared<steady::time_point>();
    thread.every(period, [due, lag = core_.metrics.event_loop_lag_seconds] {
      const auto now = steady::now();
      if (*due != steady::time_point{}) {
        lag.observe(std::max(0.0, std::chrono::duration<double>(now - *due).count()));
      }
      *due = now + period;
    });
  }

  /// The io threads get what happens to virtual rooms as batches of events.
  void attach_rooms(const rpc::peer& self) {
    live_ = std::make_unique<live::hub>(
        core_, context_.network, self, lanes_.size(),
        [lanes = lanes_](size_t thread, std::vector<live::event> events) {
          auto batch =
              std::make_shared<std::vector<live::event>>(std::move(events));  // std::function wants to be copied
          lanes[thread]->post([to = lanes[thread], batch] { to->on_live(*batch); });
        },
        [on = lanes_.front()](std::chrono::milliseconds delay, std::function<void()> work) {
          on->post([on, delay, work = std::move(work)] { on->thread().after(delay, work); });
        });
    for (const auto& each : lanes_) each->attach(*live_);
  }

  void watch_certificates() {
    const auto& config = core_.config;
    if (config.tls_certificate_file.empty()) return;
    auto watch = std::make_shared<tls_watch>(*server_, config.tls_certificate_file, config.tls_key_file);
    server_->threads().front()->every(config.tls_check, [this, watch] {
      const auto changed = watch->look();
      if (!changed) {
        core_.log.warn("new TLS files cannot be used, the old ones stay", {{"why", changed.error().detail}});
      } else if (*changed) {
        core_.log.info("new TLS files are in use");
      }
    });
  }

  void export_gauges() {
    struct totals {
      metrics::pulled_counter received, sent, refused, bad_heads;
    };
    auto all = std::make_shared<totals>(totals{metrics::pulled_counter(core_.metrics.received_bytes),
                                               metrics::pulled_counter(core_.metrics.sent_bytes),
                                               metrics::pulled_counter(core_.metrics.refused_connections),
                                               metrics::pulled_counter(core_.metrics.refused_heads)});
    context_.metrics.on_collect([this, gone = gone_, all] {
      if (*gone) return;
      const websocket::server_stats now = server_->stats();
      core_.metrics.connections.set(static_cast<double>(now.websockets));
      core_.metrics.connections_limit.set(static_cast<double>(core_.config.max_connections));
      core_.metrics.half_open.set(static_cast<double>(now.half_open));
      core_.big_data.refresh();
      core_.metrics.send_queue_bytes.set(static_cast<double>(now.queued_bytes));
      all->received.reach(static_cast<double>(now.received_bytes));
      all->refused.reach(static_cast<double>(now.refused_limit));
      all->bad_heads.reach(static_cast<double>(now.refused_protocol));
      all->sent.reach(static_cast<double>(now.sent_bytes));
    });
  }

  void join(const rpc::peer& self) {
    placement::membership_options options;
    options.self = self;
    options.address = context_.address;
    options.routing_address = context_.routing_address;
    options.on_drain = [this](bool on) { on_drain_order(on); };
    options.load = [this] { return uint64_t{server_->stats().websockets}; };
    membership_ = std::make_unique<placement::membership>(context_.network, context_.time, options);
    membership_->cluster().subscribe(
        [supervisor = supervisor_, health = &context_.health](const auto&, const placement::snapshot_ptr& current) {
          if (current->version == 0) return;
          if (!current->sessions.ranges().empty()) health->set_ready(ready_map, true);
          caf::anon_send(supervisor, map_atom::value, current);
        });
    membership_->start();
  }

  app::context& context_;
  core core_;
  std::shared_ptr<std::atomic<bool>> gone_ = std::make_shared<std::atomic<bool>>(false);
  std::unique_ptr<live::hub> live_;  // before the server, whose connections use it
  std::unique_ptr<websocket::server> server_;
  lane_list lanes_;
  std::unique_ptr<placement::membership> membership_;
  caf::actor supervisor_;
  bool stopped_ = false;
  std::mutex drain_mutex_;
  bool ordered_ = false, ending_ = false;  // guarded by drain_mutex_
};

}  // namespace

std::unique_ptr<gateway_service> make_gateway_service(app::context& with, const gateway_config& options) {
  return std::make_unique<service_impl>(with, options);
}

}  // namespace tern::gateway
