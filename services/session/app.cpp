#include "services/session/app.hpp"

#include <atomic>
#include <thread>
#include <utility>

#include "libs/placement/membership.hpp"
#include "libs/shards/storage_client.hpp"
#include "services/session/actors/session_actor.hpp"
#include "services/session/actors/supervisor_actor.hpp"
#include "services/session/directory.hpp"
#include "services/session/links/attach_server.hpp"
#include "services/session/links/deliver_server.hpp"
#include "services/session/links/parked_streams.hpp"
#include "services/session/links/peer_client.hpp"
#include "services/session/links/peer_server.hpp"
#include "services/session/move_format.hpp"
#include "services/session/moves.hpp"
#include "services/session/presence/presence_outbox.hpp"
#include "services/session/relay/no_storage.hpp"
#include "services/session/relay/relay_accounts.hpp"
#include "services/session/rooms/hub.hpp"
#include "services/session/wheel.hpp"

namespace tern::session {
namespace {

constexpr const char* ready_map = "session.map";
constexpr const char* ready_open = "session.accepting";
constexpr std::chrono::milliseconds poll{5};
/// The supervisor ticks many times a second; actors that get no turn for so long are stuck.
constexpr std::chrono::seconds stuck_after{10};

placement::membership_options options_of(const app::context& with, const rpc::peer& self,
                                         std::function<void(const placement::move_order&)> on_move,
                                         std::function<uint64_t()> load) {
  placement::membership_options out;
  out.on_move = std::move(on_move);
  out.load = std::move(load);
  out.self = self;
  out.address = with.address;
  out.slots_wanted = true;
  out.routing_address = with.routing_address;
  return out;
}

class session_service final : public app::service {
 public:
  session_service(app::context& with, const session_config& options)
      : context_(with),
        config_(options),
        metrics_(with.metrics),
        self_{"session", with.node, with.incarnation},
        storage_(with.network, self_, with.time, {options.storage_deadline, options.storage_queue}, &with.actors),
        groups_(with.network, self_, with.time, options.group_deadline),
        peers_(with.network, self_, with.time, metrics_.presence, options.peer_queue_items, options.peer_queue_bytes),
        presence_(
            metrics_.presence, options.presence_recipients,
            [this] { caf::delayed_anon_send(supervisor_, config_.presence_window, presence_atom::value); },
            [this](const std::string& node, std::vector<v1::PeerItem>& items) { send_to(node, items); }),
        relay_(with.time, options.relay_token_life),
        wheel_(with.time),
        directory_([this](account_id account) { return context_.actors.spawn(session_behavior, &env_, account); }),
        membership_(with.network, with.time,
                    options_of(
                        with, self_, [this](const placement::move_order& what) { mover_.order(what); },
                        [this] { return static_cast<uint64_t>(metrics_.online.load()); })),
        env_{config_, with.time, metrics_, with.node} {
    env_.moves = &mover_;
    env_.parked = &parked_;
    env_.cluster = &membership_.cluster();
    env_.lease_valid = [this] { return membership_.lease_valid(); };
    env_.storage = config_.stores() ? static_cast<storage_port*>(&storage_) : &no_storage_;
    env_.actors = &with.actors;
    env_.peers = &peers_;
    env_.presence = &presence_;
    env_.relay = config_.stores() ? nullptr : &relay_;
    env_.groups = &groups_;
    env_.directory = &directory_;
    env_.wheel = &wheel_;
    env_.hub = &hub_;
    groups_.listen(hub_);
    env_.delivery.in_flight = config_.window_messages;
    env_.delivery.in_flight_bytes = config_.window_bytes;
  }

  ~session_service() override { stop(); }

  std::string name() const override { return "session"; }

  result<void> start() override {
    if (config_.identity_key.empty()) return error{errc::config, "identity.key is empty"};
    started_ = true;
    context_.health.set_ready(ready_map, false, "no map of the cluster yet");
    context_.metrics.on_collect([this, gone = gone_] {
      if (*gone) return;
      metrics_.refresh();
      metrics_.storage_waiting.set(static_cast<double>(storage_.waiting()));
    });
    supervised what;
    what.env = &env_;
    what.apply = [this](const placement::snapshot_ptr& current) {
      peers_.apply(current);
      if (!config_.stores()) return;
      storage_.apply(current);
      groups_.apply(current);
      hub_.apply(*current);
    };
    what.presence = [this](const placement::snapshot& current) { presence_.flush(current); };
    what.sweep = [this] {
      peers_.sweep();
      beat_->store(context_.time.now().time_since_epoch().count(), std::memory_order_relaxed);
      storage_.sweep();
      groups_.sweep();
      hub_.sweep();
      mover_.tick();
    };
    what.moves = [this] {
      mover_.tick();
      return mover_.busy();
    };
    what.busy = [this] { return storage_.waiting() > 0 || groups_.waiting() > 0 || hub_.rooms() > 0; };
    supervisor_ = context_.actors.spawn(supervisor_behavior, std::move(what));
    beat_->store(context_.time.now().time_since_epoch().count());
    context_.health.add_liveness("session.supervisor", [beat = beat_, gone = gone_, &time = context_.time] {
      const clock::time_point last{clock::time_point::duration{beat->load(std::memory_order_relaxed)}};
      return *gone || time.now() - last < stuck_after;
    });
    serve();
    join();
    context_.health.set_ready(ready_open, true);
    return {};
  }

  void drain(std::chrono::milliseconds limit) override {
    if (!started_ || stopped_) return;
    context_.health.set_ready(ready_open, false, "draining");
    moves_.refuse();
    membership_.leave();
    const auto end = context_.time.now() + limit;
    while (context_.time.now() < end && !drained()) std::this_thread::sleep_for(poll);
    if (metrics_.terminals > 0) {
      env_.log.warn("drain ended with terminals", {{"terminals", metrics_.terminals.load()}});
    }
  }

  void stop() override {
    if (!started_ || std::exchange(stopped_, true)) return;
    membership_.stop();
    mover_.stop();
    context_.network.withdraw<rpc::attach_stream>(context_.address);
    context_.network.withdraw<rpc::deliver_stream>(context_.address);
    context_.network.withdraw<rpc::peer_stream>(context_.address);
    caf::anon_send(supervisor_, stop_atom::value);
    wait_for(supervisor_);
    storage_.stop();
    groups_.stop();
    peers_.stop();
    directory_.end_if([](account_id) { return true; });
    // Their states refer to env_; they end with the mail they were just sent.
    while (metrics_.online + metrics_.lingering > 0) std::this_thread::sleep_for(poll);
    *gone_ = true;
  }

 private:
  void wait_for(caf::actor& who) {
    caf::scoped_actor self{context_.actors};
    self->monitor(who);
    self->receive([](const caf::down_msg&) {});
    who = nullptr;
  }

  void send_to(const std::string& node, std::vector<v1::PeerItem>& items) {
    if (node == context_.node) {
      deliver_here(env_, items);
    } else {
      peers_.send(node, items);
    }
  }

  void serve() {
    auto watch = [supervisor = supervisor_](const gateway_ptr& stream, bool up) {
      caf::anon_send(supervisor, gateway_atom::value, stream, up);
    };
    context_.network.serve<rpc::attach_stream>(context_.address, attach_acceptor(env_, std::move(watch)));
    context_.network.serve<rpc::deliver_stream>(context_.address, deliver_acceptor(env_));
    context_.network.serve<rpc::peer_stream>(context_.address, peer_acceptor(env_));
    mover_.serve();
  }

  void join() {
    membership_.cluster().subscribe(
        [this, supervisor = supervisor_](const auto&, const placement::snapshot_ptr& current) {
          if (current->version == 0) return;
          context_.health.set_ready(ready_map, true);
          mover_.apply(*current);
          caf::anon_send(supervisor, map_atom::value, current);
        });
    membership_.start();
  }

  /// Nothing left to hand over: our ranges are others', or there is nobody to hand them to and nothing to do.
  bool drained() {
    const auto map = membership_.cluster().get();
    bool ours = false;
    for (const placement::range& one : map->sessions.ranges()) ours = ours || one.owner == context_.node;
    bool others = false;
    for (const placement::node& one : map->nodes) {
      others = others || (one.service == "session" && one.alive && one.name != context_.node);
    }
    hub_.store_all();
    const bool quiet = metrics_.unacked == 0 && storage_.waiting() == 0;
    // Nobody is on line here: there is nothing to hand over, whoever gets the slots (all nodes may be stopping).
    if (quiet && metrics_.terminals == 0 && !mover_.wanted()) return true;
    return others ? !ours && !mover_.wanted() : quiet;
  }

  app::context& context_;
  const session_config config_;
  session_metrics metrics_;
  const rpc::peer self_;
  shards::storage_client storage_;
  group_client groups_;
  no_storage no_storage_;
  peer_client peers_;
  presence_outbox presence_;
  relay_accounts relay_;
  session::wheel wheel_;
  session::directory directory_;
  placement::membership membership_;
  environment env_;
  session::hub hub_{env_};
  parked_streams parked_;
  range_moves moves_{env_, [this](const placement::move_result& result) { membership_.move_done(result); },
                     [this] { caf::anon_send(supervisor_, moves_atom::value); }};
  handover::links<rpc::session_handover_stream> mover_{
      context_.network, self_,  context_.address,
      context_.time,    moves_, {.kind = placement::range_kind::sessions, .format = move_format}};
  std::shared_ptr<std::atomic<bool>> gone_ = std::make_shared<std::atomic<bool>>(false);
  std::shared_ptr<std::atomic<int64_t>> beat_ = std::make_shared<std::atomic<int64_t>>(0);
  caf::actor supervisor_;
  bool started_ = false;
  bool stopped_ = false;
};

}  // namespace

std::unique_ptr<app::service> make_session_service(app::context& with, const session_config& options) {
  return std::make_unique<session_service>(with, options);
}

}  // namespace tern::session
