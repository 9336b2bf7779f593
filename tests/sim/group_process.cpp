#include "tests/sim/group_process.hpp"

#include <utility>

#include "services/group/actors/room_actor.hpp"
#include "services/group/actors/supervisor_actor.hpp"
#include "services/group/links/exchange_server.hpp"
#include "services/group/live/live_actor.hpp"
#include "services/group/live/relay_server.hpp"

namespace tern::sim {

group_process::group_process(host& on, network& net, const group::group_config& config,
                             std::function<bool()> lease_valid,
                             std::function<void(const placement::move_result&)> moved)
    : process(on),
      net_(net),
      config_(config),
      self_{"group", on.name, on.incarnation()},
      address_("sim:" + on.name),
      group_metrics_(metrics_),
      storage_(net, self_, on.in().time(), {config.storage_deadline, config.storage_queue}),
      wheel_(on.in().time()),
      directory_(
          [this](room_id room, uint64_t epoch) { return actors().spawn(group::room_behavior, &env_, room, epoch); }),
      vrooms_([this](room_id vroom, uint64_t epoch) {
        return actors().spawn(group::live::vroom_behavior, &env_, vroom, epoch);
      }),
      pushes_(config.vroom_queue_bytes, config.vroom_node_queue_bytes),
      env_{config_, on.in().time(), group_metrics_, on.name},
      port_(env_, outlets(std::move(moved))),
      mover_(net, self_, address_, on.in().time(), port_,
             {.kind = placement::range_kind::groups, .format = group::state_format}) {
  env_.cluster = &view_;
  env_.lease_valid = std::move(lease_valid);
  env_.storage = &storage_;
  env_.directory = &directory_;
  env_.vrooms = &vrooms_;
  env_.range_ages = &range_ages_;
  env_.pushes = &pushes_;
  env_.wheel = &wheel_;
  env_.moves = &mover_;
  env_.parking = &parking_;
  supervise();
  serve();
}

/// The process is dead and the network knows: nothing of what follows is heard by anybody.
group_process::~group_process() {
  mover_.stop();
  caf::anon_send(supervisor_, group::stop_message{});
  settle();
  supervisor_ = nullptr;
  storage_.stop();
  directory_.end_if([](room_id) { return true; });
  vrooms_.end_if([](room_id) { return true; });
  settle();
}

group::room_moves::outlets group_process::outlets(std::function<void(const placement::move_result&)> moved) {
  group::room_moves::outlets out;
  out.answer = std::move(moved);
  out.willing = [] { return true; };
  out.wake = [this] { caf::anon_send(supervisor_, group::moving_message{}); };
  return out;
}

void group_process::supervise() {
  group::supervised what;
  what.env = &env_;
  what.apply = [this](const placement::snapshot_ptr& current) {
    storage_.apply(current);
    mover_.apply(*current);
  };
  what.move = [this] {
    mover_.tick();
    return mover_.busy();
  };
  what.sweep = [this] { storage_.sweep(); };
  what.busy = [this] { return storage_.waiting() > 0; };
  supervisor_ = actors().spawn(group::supervisor_behavior, std::move(what));
}

void group_process::serve() {
  net_.serve<rpc::group_stream>(address_, group::exchange_acceptor(env_, [this](const group::session_ptr& stream) {
                                  caf::anon_send(supervisor_, group::stream_gone_message{stream});
                                }));
  net_.serve<rpc::live_stream>(address_,
                               group::live::relay_acceptor(env_, [this](const group::live::gateway_ptr& stream) {
                                 caf::anon_send(supervisor_, group::gateway_gone_message{stream});
                               }));
  mover_.serve();
}

void group_process::on_map(const placement::snapshot_ptr& current) {
  const auto before = view_.get();
  if (current->version <= before->version) return;
  const clock::time_point now = on().in().time().now();
  if (before->groups != current->groups) {
    env_.ranges_changed_ns.store(now.time_since_epoch().count(), std::memory_order_relaxed);
    range_ages_.on_map(current->groups, self_.node, now);
  }
  view_.publish(current);
  caf::anon_send(supervisor_, group::map_message{view_.get()});
}

void group_process::check_bounds() {
  if (storage_.waiting() > config_.storage_queue) on().in().violation(self_.node + ": too much waits for storage");
}

}  // namespace tern::sim
