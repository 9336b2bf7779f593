#include "tests/sim/session_process.hpp"

#include <utility>

#include "services/session/actors/session_actor.hpp"
#include "services/session/actors/supervisor_actor.hpp"
#include "services/session/links/attach_server.hpp"
#include "services/session/links/deliver_server.hpp"
#include "services/session/links/peer_server.hpp"

namespace tern::sim {

session_process::session_process(host& on, network& net, const session::session_config& config,
                                 std::function<bool()> lease_valid,
                                 std::function<void(const placement::move_result&)> moved)
    : process(on),
      net_(net),
      config_(config),
      self_{"session", on.name, on.incarnation()},
      address_("sim:" + on.name),
      session_metrics_(metrics_),
      storage_(net, self_, on.in().time(), {config.storage_deadline, config.storage_queue}),
      groups_(net, self_, on.in().time(), config.group_deadline),
      peers_(net, self_, on.in().time(), session_metrics_.presence, config.peer_queue_items, config.peer_queue_bytes),
      presence_(
          session_metrics_.presence, config.presence_recipients,
          [this] { caf::delayed_anon_send(supervisor_, config_.presence_window, session::presence_atom::value); },
          [this](const std::string& node, std::vector<session::v1::PeerItem>& items) {
            if (node == self_.node) {
              session::deliver_here(env_, items);
            } else {
              peers_.send(node, items);
            }
          }),
      wheel_(on.in().time()),
      directory_([this](account_id account) { return actors().spawn(session::session_behavior, &env_, account); }),
      env_{config_, on.in().time(), session_metrics_, on.name},
      hub_(env_),
      moves_(env_, std::move(moved), [this] { caf::anon_send(supervisor_, session::moves_atom::value); }),
      mover_(net, self_, address_, on.in().time(), moves_,
             {.kind = placement::range_kind::sessions, .format = session::move_format}) {
  env_.moves = &mover_;
  env_.parked = &parked_;
  env_.cluster = &view_;
  env_.lease_valid = std::move(lease_valid);
  env_.storage = &storage_;
  env_.peers = &peers_;
  env_.presence = &presence_;
  env_.groups = &groups_;
  env_.directory = &directory_;
  env_.wheel = &wheel_;
  env_.hub = &hub_;
  env_.delivery.in_flight = config_.window_messages;
  env_.delivery.in_flight_bytes = config_.window_bytes;
  groups_.listen(hub_);
  supervise();
  serve();
}

/// The process is dead and the network knows: nothing of what follows is heard by anybody.
session_process::~session_process() {
  mover_.stop();
  caf::anon_send(supervisor_, session::stop_atom::value);
  settle();
  supervisor_ = nullptr;
  storage_.stop();
  groups_.stop();
  peers_.stop();
  directory_.end_if([](account_id) { return true; });
  settle();
}

void session_process::supervise() {
  session::supervised what;
  what.env = &env_;
  what.apply = [this](const placement::snapshot_ptr& current) {
    peers_.apply(current);
    storage_.apply(current);
    groups_.apply(current);
    hub_.apply(*current);
  };
  what.presence = [this](const placement::snapshot& current) { presence_.flush(current); };
  what.sweep = [this] {
    peers_.sweep();
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
  supervisor_ = actors().spawn(session::supervisor_behavior, std::move(what));
}

void session_process::serve() {
  auto watch = [this](const session::gateway_ptr& stream, bool up) {
    caf::anon_send(supervisor_, session::gateway_atom::value, stream, up);
  };
  net_.serve<rpc::attach_stream>(address_, session::attach_acceptor(env_, std::move(watch)));
  net_.serve<rpc::deliver_stream>(address_, session::deliver_acceptor(env_));
  net_.serve<rpc::peer_stream>(address_, session::peer_acceptor(env_));
  mover_.serve();
}

void session_process::on_map(const placement::snapshot_ptr& current) {
  if (current->version <= view_.get()->version) return;
  view_.publish(current);
  mover_.apply(*current);
  caf::anon_send(supervisor_, session::map_atom::value, view_.get());
}

void session_process::check_bounds() {
  if (storage_.waiting() > config_.storage_queue) on().in().violation(self_.node + ": too much waits for storage");
}

}  // namespace tern::sim
