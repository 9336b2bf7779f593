#include "services/group/app.hpp"

#include <atomic>
#include <thread>
#include <utility>

#include "libs/actor/wheel.hpp"
#include "libs/handover/mover.hpp"
#include "libs/placement/membership.hpp"
#include "libs/shards/storage_client.hpp"
#include "services/group/actors/room_actor.hpp"
#include "services/group/actors/supervisor_actor.hpp"
#include "services/group/directory.hpp"
#include "services/group/links/exchange_server.hpp"
#include "services/group/links/parking.hpp"
#include "services/group/live/directory.hpp"
#include "services/group/live/live_actor.hpp"
#include "services/group/live/range_ages.hpp"
#include "services/group/live/relay_server.hpp"
#include "services/group/moves.hpp"

namespace tern::group {
namespace {

constexpr const char* ready_map = "group.map";
constexpr const char* ready_open = "group.accepting";
constexpr std::chrono::milliseconds poll{5};
/// The supervisor ticks many times a second; actors that get no turn for so long are stuck.
constexpr std::chrono::seconds stuck_after{10};

/// A range that was claimed here is asked about so much later at most.
constexpr std::chrono::milliseconds claims_come{150};

using move_links = handover::links<rpc::group_handover_stream>;

handover::mover_options moving() {
  handover::mover_options out;
  out.kind = placement::range_kind::groups;
  out.format = state_format;
  return out;
}

placement::membership_options options_of(const app::context& with, const rpc::peer& self) {
  placement::membership_options out;
  out.self = self;
  out.address = with.address;
  out.slots_wanted = true;
  out.routing_address = with.routing_address;
  return out;
}

int64_t now_ns(const clock& time) { return time.now().time_since_epoch().count(); }

class group_service final : public app::service {
 public:
  group_service(app::context& with, const group_config& options)
      : context_(with),
        config_(options),
        metrics_(with.metrics),
        self_{"group", with.node, with.incarnation},
        storage_(with.network, self_, with.time, {options.storage_deadline, options.storage_queue}),
        wheel_(with.time),
        directory_([this](room_id room, uint64_t epoch) {
          return context_.actors.spawn(room_behavior, &env_, room, epoch);
        }),
        vrooms_([this](room_id vroom, uint64_t epoch) {
          return context_.actors.spawn(live::vroom_behavior, &env_, vroom, epoch);
        }),
        pushes_(options.vroom_queue_bytes, options.vroom_node_queue_bytes),
        membership_(with.network, with.time, membership_options_of(with)),
        env_{config_, with.time, metrics_, with.node},
        port_(env_, outlets()),
        moves_(with.network, self_, with.address, with.time, port_, moving()) {
    env_.cluster = &membership_.cluster();
    env_.lease_valid = [this] { return membership_.lease_valid(); };
    env_.storage = &storage_;
    env_.directory = &directory_;
    env_.vrooms = &vrooms_;
    env_.range_ages = &range_ages_;
    env_.pushes = &pushes_;
    env_.wheel = &wheel_;
    env_.actors = &with.actors;
    env_.moves = &moves_;
    env_.parking = &parking_;
  }
  ~group_service() override { stop(); }

  std::string name() const override { return "group"; }

  result<void> start() override {
    started_ = true;
    context_.health.set_ready(ready_map, false, "no map of the cluster yet");
    context_.metrics.on_collect([this, gone = gone_] {
      if (*gone) return;
      metrics_.refresh();
      metrics_.live.refresh(pushes_.bytes());
      metrics_.storage_waiting.set(static_cast<double>(storage_.waiting()));
    });
    supervise();
    context_.network.serve<rpc::group_stream>(
        context_.address, exchange_acceptor(env_, [supervisor = supervisor_](const session_ptr& stream) {
          caf::anon_send(supervisor, stream_gone_message{stream});
        }));
    context_.network.serve<rpc::live_stream>(
        context_.address, live::relay_acceptor(env_, [supervisor = supervisor_](const live::gateway_ptr& stream) {
          caf::anon_send(supervisor, gateway_gone_message{stream});
        }));
    moves_.serve();
    join();
    context_.health.set_ready(ready_open, true);
    return {};
  }

  void drain(std::chrono::milliseconds limit) override {
    if (!started_ || stopped_) return;
    stay_out(true);
    leaving_ = true;
    membership_.leave();
    const auto end = context_.time.now() + limit;
    while (context_.time.now() < end && !drained()) std::this_thread::sleep_for(poll);
    if (metrics_.open > 0) env_.log.warn("drain ended with requests", {{"requests", metrics_.open.load()}});
  }

  void stop() override {
    if (!started_ || std::exchange(stopped_, true)) return;
    membership_.stop();
    moves_.stop();
    context_.network.withdraw<rpc::group_stream>(context_.address);
    context_.network.withdraw<rpc::live_stream>(context_.address);
    caf::anon_send(supervisor_, stop_message{});
    wait_for(supervisor_);
    storage_.stop();
    directory_.end_if([](room_id) { return true; });
    vrooms_.end_if([](room_id) { return true; });
    // Their states refer to env_; they end with the mail they were just sent.
    while (metrics_.rooms > 0 || metrics_.live.actors > 0) std::this_thread::sleep_for(poll);
    *gone_ = true;
  }

 private:
  placement::membership_options membership_options_of(const app::context& with) {
    placement::membership_options out = options_of(with, self_);
    out.on_move = [this](const placement::move_order& what) { moves_.order(what); };
    out.on_drain = [this](bool on) { stay_out(on); };
    out.load = [this] { return static_cast<uint64_t>(metrics_.rooms + metrics_.live.rooms); };
    return out;
  }

  room_moves::outlets outlets() {
    room_moves::outlets out;
    out.answer = [this](const placement::move_result& result) { membership_.move_done(result); };
    out.willing = [this] { return !drains_; };
    out.wake = [this] { caf::anon_send(waker_, moving_message{}); };
    return out;
  }

  /// An operator drains the node, or the process is to end: it takes no more ranges.
  void stay_out(bool on) {
    drains_ = on || leaving_;
    context_.health.set_ready(ready_open, !drains_, drains_ ? "draining" : "");
  }

  void supervise() {
    supervised what;
    what.env = &env_;
    what.apply = [this](const placement::snapshot_ptr& current) {
      storage_.apply(current);
      moves_.apply(*current);
    };
    what.move = [this] {
      moves_.tick();
      return moves_.busy();
    };
    what.sweep = [this] {
      beat_->store(now_ns(context_.time), std::memory_order_relaxed);
      storage_.sweep();
    };
    what.busy = [this] { return storage_.waiting() > 0; };
    beat_->store(now_ns(context_.time));
    supervisor_ = context_.actors.spawn(supervisor_behavior, std::move(what));
    waker_ = supervisor_;
    context_.health.add_liveness("group.supervisor", [beat = beat_, gone = gone_, &time = context_.time] {
      const clock::time_point last{clock::time_point::duration{beat->load(std::memory_order_relaxed)}};
      return *gone || time.now() - last < stuck_after;
    });
  }

  void join() {
    membership_.cluster().subscribe(
        [this, supervisor = supervisor_](const auto& previous, const placement::snapshot_ptr& current) {
          if (current->version == 0) return;
          if (previous->groups != current->groups) {
            env_.ranges_changed_ns.store(now_ns(context_.time), std::memory_order_relaxed);
            range_ages_.on_map(current->groups, context_.node, context_.time.now());
          }
          context_.health.set_ready(ready_map, true);
          caf::anon_send(supervisor, map_message{current});
        });
    membership_.start();
  }

  void wait_for(caf::actor& who) {
    caf::scoped_actor self{context_.actors};
    self->monitor(who);
    self->receive([](const caf::down_msg&) {});
    who = nullptr;
  }

  /// Our slots are others' and what was on its way is answered; or there is nobody to hand over to and nothing to do.
  bool drained() {
    const auto map = membership_.cluster().get();
    bool ours = false;
    for (const placement::range& one : map->groups.ranges()) ours = ours || one.owner == context_.node;
    bool others = false;
    for (const placement::node& one : map->nodes) {
      others = others || (one.service == "group" && one.alive && one.name != context_.node);
    }
    const bool quiet = metrics_.open == 0 && storage_.waiting() == 0 && pushes_.bytes() == 0;
    const bool wanted = metrics_.interests > 0 || metrics_.live.interests > 0;
    // Nobody has anything to do with rooms here: there is nothing to hand over, whoever gets the slots (all may be
    // stopping).
    if (quiet && (!others || !wanted)) return true;
    if (!others || ours || !quiet || metrics_.rooms != 0 || metrics_.live.actors != 0) {
      empty_since_ = {};
      return false;
    }
    // Who has our ranges now asks whether the states it was given count.
    const auto now = context_.time.now();
    if (empty_since_ == clock::time_point{}) empty_since_ = now;
    return now - empty_since_ >= claims_come;
  }

  app::context& context_;
  const group_config config_;
  group_metrics metrics_;
  const rpc::peer self_;
  shards::storage_client storage_;
  actor::wheel wheel_;
  group::directory directory_;
  live::directory vrooms_;
  live::range_ages range_ages_;
  live::push_queue pushes_;
  group::parking parking_;
  placement::membership membership_;
  environment env_;
  room_moves port_;
  move_links moves_;
  std::shared_ptr<std::atomic<bool>> gone_ = std::make_shared<std::atomic<bool>>(false);
  std::shared_ptr<std::atomic<int64_t>> beat_ = std::make_shared<std::atomic<int64_t>>(0);
  caf::actor supervisor_;
  caf::actor waker_;  // the same, for the mover: stop() does not let it go
  std::atomic<bool> drains_{false};
  std::atomic<bool> leaving_{false};
  clock::time_point empty_since_{};  // while it drains
  bool started_ = false;
  bool stopped_ = false;
};

}  // namespace

std::unique_ptr<app::service> make_group_service(app::context& with, const group_config& options) {
  return std::make_unique<group_service>(with, options);
}

}  // namespace tern::group
