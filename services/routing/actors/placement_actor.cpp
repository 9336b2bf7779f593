#include "services/routing/actors/placement_actor.hpp"

#include <utility>

#include "libs/log/log.hpp"
#include "libs/placement/convert.hpp"
#include "services/routing/metrics.hpp"

namespace tern::routing {
namespace {

const log::logger logger{"routing"};
constexpr auto retry_after = std::chrono::milliseconds(500);

double seconds(clock::time_point from, clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

void placement_state::begin(placement_setup setup) {
  setup_ = std::move(setup);
  cluster_ = std::make_unique<cluster>(*setup_.time, setup_.cluster);
  caf::anon_send(setup_.meta, load_request{caf::actor_cast<caf::actor>(self_)});
  self_->delayed_send(self_, setup_.tick, tick_message{});
}

void placement_state::opened(const opened_message& what) {
  streams_[what.stream] = {what.who, what.out, {}, false, {}};
  setup_.metrics->streams.set(static_cast<double>(streams_.size()));
}

void placement_state::items(items_message& what) {
  const auto at = streams_.find(what.stream);
  if (at == streams_.end()) return;
  for (const auto& item : *what.items) {
    if (item.has_hello()) {
      hello(what.stream, at->second, item.hello());
    } else if (item.has_heartbeat()) {
      heartbeat(at->second, item.heartbeat());
    } else if (item.has_leave() && at->second.introduced) {
      logger.info("node left", {{"node", at->second.who.node}});
      cluster_->members().leave(at->second.who.node, at->second.who.incarnation);
      at->second.introduced = false;
      consider();
    }
  }
}

void placement_state::hello(uint64_t id, stream& from, const v1::Hello& what) {
  if (what.service() != from.who.service || what.node() != from.who.node ||
      what.incarnation() != from.who.incarnation) {
    logger.warn("a node says it is another than its stream is of", {{"node", from.who.node}, {"says", what.node()}});
    from.out->close();
    return;
  }
  from.said.self = {what.node(), what.service(), what.address(), what.incarnation(), true};
  from.said.shards.assign(what.shards().begin(), what.shards().end());
  from.said.slots_wanted = what.slots_wanted();
  if (!from.introduced) {
    logger.info("node joined", {{"node", what.node()}, {"service", what.service()}, {"address", what.address()}});
  }
  from.introduced = true;
  drop_others_of(id, what.node());
  cluster_->members().join(from.said);
  send_maps(from);
  consider();
}

void placement_state::drop_others_of(uint64_t id, const std::string& node) {
  for (auto& [other, each] : streams_) {
    if (other == id || each.who.node != node || !each.introduced) continue;
    if (each.who.incarnation != streams_[id].who.incarnation) {
      logger.warn("another process took this node's name", {{"node", node}});  // usual once, after a restart
    }
    each.introduced = false;
    each.out->close();
  }
}

void placement_state::heartbeat(stream& from, const v1::Heartbeat& what) {
  if (!from.introduced) return;
  const auto now = setup_.time->now();
  if (!cluster_->members().renew(from.who.node, from.who.incarnation)) {
    cluster_->members().join(from.said);  // it was silent for longer than its lease, and is back
    consider();
  }
  if (from.renewed_at != clock::time_point{}) {
    setup_.metrics->lease_renewal_seconds.observe(seconds(from.renewed_at, now));
  }
  from.renewed_at = now;
  v1::RoutingItem answer;
  answer.mutable_lease()->set_sequence(what.sequence());
  answer.mutable_lease()->set_duration_ms(static_cast<uint32_t>(setup_.cluster.leases.lease.count()));
  from.out->send(std::move(answer));
}

void placement_state::closed(const closed_message& what) {
  const auto at = streams_.find(what.stream);
  if (at == streams_.end()) return;
  if (at->second.introduced) {
    logger.info("node disconnected", {{"node", at->second.who.node}});
    cluster_->members().disconnected(at->second.who.node, at->second.who.incarnation);
  }
  streams_.erase(at);
  setup_.metrics->streams.set(static_cast<double>(streams_.size()));
}

void placement_state::loaded(const loaded_message& what) {
  if (!loaded_) {
    loaded_ = true;
    cluster_->load(*what.state);
    logger.info("maps loaded", {{"version", what.state->version}});
    setup_.ready();
  } else {
    logger.error("the meta database was changed by another process", {{"version", what.state->version}});
    cluster_->adopt(*what.state);
    setup_.metrics->commits_failed.add();
  }
  committing_ = false;
  publish();
  consider();
}

void placement_state::consider() {
  if (!loaded_ || committing_ || setup_.time->now() < retry_at_) return;  // committed() and tick() come back here
  pending_ = false;
  auto next = cluster_->plan();
  if (!next) return;
  committing_ = true;
  commit_began_ = setup_.time->now();
  caf::anon_send(setup_.meta, commit_request{caf::actor_cast<caf::actor>(self_),
                                             std::make_shared<const meta_state>(cluster_->state()),
                                             std::make_shared<const meta_state>(*std::move(next))});
}

void placement_state::committed(const committed_message& what) {
  committing_ = false;
  if (!what.done) {  // nothing was written; a later tick tries again with what is true then
    setup_.metrics->commits_failed.add();
    retry_at_ = setup_.time->now() + retry_after;
    pending_ = true;
    return;
  }
  setup_.metrics->count_commit(cluster_->state(), *what.next, seconds(commit_began_, setup_.time->now()));
  cluster_->committed(*what.next);
  publish();
  consider();
}

void placement_state::publish() {
  const auto began = setup_.time->now();
  const auto& state = cluster_->state();
  setup_.metrics->show(state);
  if (state.version == 0) return;
  auto made = std::make_shared<v1::Snapshot>();
  placement::to_proto(state, *made);
  published_ = std::move(made);
  for (auto& [id, each] : streams_) {
    if (each.introduced) send_maps(each);
  }
  setup_.metrics->publish_seconds.observe(seconds(began, setup_.time->now()));
}

void placement_state::send_maps(stream& to) {
  if (!published_) return;
  v1::RoutingItem item;
  *item.mutable_snapshot() = *published_;
  if (!to.out->send(std::move(item))) to.out->close();  // it takes nothing any more: let it come back
}

void placement_state::tick() {
  if (cluster_->members().tick()) pending_ = true;
  if (pending_) consider();
  self_->delayed_send(self_, setup_.tick, tick_message{});
}

caf::behavior placement_behavior(actor::stateful<placement_state>* self, placement_setup setup) {
  actor::set_common_handlers(self);
  self->state.begin(std::move(setup));
  auto& state = self->state;
  return {
      [&state](const opened_message& what) { state.opened(what); },
      [&state](items_message& what) { state.items(what); },
      [&state](const closed_message& what) { state.closed(what); },
      [&state](const loaded_message& what) { state.loaded(what); },
      [&state](const committed_message& what) { state.committed(what); },
      [&state](const tick_message&) { state.tick(); },
  };
}

}  // namespace tern::routing
