#include "services/routing/actors/placement_actor.hpp"

#include <algorithm>
#include <utility>

#include "libs/log/log.hpp"
#include "libs/placement/convert.hpp"
#include "services/routing/config.hpp"
#include "services/routing/metrics.hpp"

namespace tern::routing {
namespace {

const log::logger logger{"routing"};
constexpr auto retry_after = std::chrono::milliseconds(500);
constexpr auto least_grace = std::chrono::milliseconds(4000);  // beyond a lease
constexpr auto maps_again = std::chrono::seconds(4);           // to a node whose heartbeats still name older ones

double seconds(clock::time_point from, clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

void placement_state::begin(placement_setup setup) {
  setup_ = std::move(setup);
  election_ = std::make_unique<election>(*setup_.time, setup_.leader, setup_.self);
  elect();
  self_->delayed_send(self_, setup_.tick, tick_message{});
}

// ---- who leads ---------------------------------------------------------------------------------------------------

bool placement_state::leads() {
  if (!term_ || !cluster_) return false;
  if (election_->leads() == term_) return true;
  stand_down("the lease was not renewed in time");
  return false;
}

void placement_state::elect() {
  if (term_ && election_->leads() != term_) stand_down("the lease was not renewed in time");
  if (asking_) return;
  const auto step = election_->next();
  if (step == election::step::none) return;
  asking_ = true;
  leader_request ask;
  ask.answer_to = caf::actor_cast<caf::actor>(self_);
  ask.step = step;
  ask.row = election_->seen();
  ask.self = setup_.self;
  ask.term = term_.value_or(0);
  ask.sent = setup_.time->now();
  caf::anon_send(setup_.meta, std::move(ask));
}

void placement_state::led(const leader_message& what) {
  asking_ = false;
  const bool took_over = what.step == election::step::take_over && what.code == errc::ok;
  if (retired_) {
    if (took_over) caf::anon_send(setup_.meta, resign_request{what.row.term + 1, nullptr});
    return;
  }
  if (took_over) {
    election_->took_over(what.row.term + 1, what.sent);
    begin_term(what.row.term + 1);
  } else if (what.code == errc::ok && what.step == election::step::look) {
    election_->looked(what.row);
    if (!election_->leader().node.empty()) setup_.ready(false);
  } else if (what.code == errc::ok) {
    election_->renewed(what.term, what.sent);
  } else {
    // Also after an unknown outcome of a take-over: the row tells.
    if (what.code == errc::stale_epoch || what.step == election::step::take_over) election_->refused();
    if (what.code != errc::stale_epoch) election_->failed();
  }
  setup_.metrics->term.set(static_cast<double>(election_->term()));
  elect();
}

void placement_state::begin_term(uint64_t term) {
  term_ = term;
  logger.info("this replica leads", {{"term", term}});
  caf::anon_send(setup_.meta, load_request{caf::actor_cast<caf::actor>(self_), term});
}

void placement_state::stand_down(const std::string& why) {
  if (!term_) return;
  logger.warn("this replica leads no more", {{"term", *term_}, {"why", why}});
  term_.reset();
  cluster_.reset();
  published_.reset();
  published_item_.reset();
  committing_ = pending_ = storing_ = false;
  told_to_drain_.clear();
  shards_item_.Clear();
  desk_.lost(standing().leader);
  auto streams = std::exchange(streams_, {});
  for (auto& [id, each] : streams) turn_away(*each.out);
  setup_.metrics->streams.set(0);
  setup_.metrics->leader.set(0);
  for (const auto& each : setup_.metrics->shard_moves) each.set(0);
}

void placement_state::turn_away(join_sink& out) {
  v1::RoutingItem item;
  const auto leader = election_->leader();
  const bool other = leader.incarnation != setup_.self.incarnation || leader.node != setup_.self.node;
  item.mutable_not_leader()->set_address(other ? leader.address : std::string());
  out.send(std::move(item));
  out.close();
}

void placement_state::resign(const resign_message& what) {
  retired_ = true;
  election_->retire();
  const auto term = term_;
  stand_down("it stops");  // before the row says so: whoever leads next grants leases from then on
  if (term) {
    caf::anon_send(setup_.meta, resign_request{*term, what.done});
  } else {
    what.done->set_value();
  }
}

// ---- nodes -------------------------------------------------------------------------------------------------------

void placement_state::opened(const opened_message& what) {
  if (!leads()) {
    turn_away(*what.out);
    return;
  }
  auto& made = streams_[what.stream];
  made.who = what.who;
  made.out = what.out;
  setup_.metrics->streams.set(static_cast<double>(streams_.size()));
}

void placement_state::items(items_message& what) {
  for (const auto& item : *what.items) {
    const auto at = streams_.find(what.stream);
    if (at == streams_.end() || !leads()) return;
    if (item.has_hello()) {
      hello(what.stream, at->second, item.hello());
    } else if (item.has_heartbeat()) {
      heartbeat(at->second, item.heartbeat());
    } else if (item.has_move_result()) {
      move_ended(at->second, item.move_result());
    } else if (item.has_shard_move()) {
      shard_told(at->second, item.shard_move());
    } else if (item.has_shards_served()) {
      shards_served(at->second, item.shards_served());
    } else if (item.has_map_wanted()) {
      send_maps(at->second);
    } else if (item.has_leave() && at->second.introduced) {
      logger.info("node left", {{"member", at->second.who.node}});
      cluster_->members().leave(at->second.who.node, at->second.who.incarnation);
      at->second.introduced = false;
      consider();
    }
  }
}

void placement_state::hello(uint64_t id, stream& from, const v1::Hello& what) {
  if (what.service() != from.who.service || what.node() != from.who.node ||
      what.incarnation() != from.who.incarnation) {
    logger.warn("a node says it is another than its stream is of",
                {{"member", from.who.node}, {"says", what.node()}});
    from.out->close();
    return;
  }
  from.said.self = {what.node(), what.service(), what.address(), what.incarnation(), true};
  from.said.shards.assign(what.shards().begin(), what.shards().end());
  from.said.slots_wanted = what.slots_wanted();
  from.said.moves = what.moves();
  if (!from.introduced) {
    logger.info("node joined", {{"member", what.node()}, {"kind", what.service()}, {"address", what.address()}});
  }
  from.introduced = true;
  drop_others_of(id, what.node());
  cluster_->members().join(from.said);
  send_maps(from);
  if (what.service() == "gateway") send_drain(what.node(), cluster_->drained(what.node()));
  if (what.service() == "storage") from.out->send(shards_item_);
  consider();
}

void placement_state::drop_others_of(uint64_t id, const std::string& node) {
  for (auto& [other, each] : streams_) {
    if (other == id || each.who.node != node || !each.introduced) continue;
    if (each.who.incarnation != streams_[id].who.incarnation) {
      logger.warn("another process took this node's name", {{"member", node}});  // usual once, after a restart
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
  cluster_->members().report(from.who.node, from.who.incarnation, what.load(), what.map_version());
  if (from.renewed_at != clock::time_point{}) {
    setup_.metrics->lease_renewal_seconds.observe(seconds(from.renewed_at, now));
  }
  from.renewed_at = now;
  v1::RoutingItem answer;
  answer.mutable_lease()->set_sequence(what.sequence());
  answer.mutable_lease()->set_duration_ms(static_cast<uint32_t>(setup_.cluster.leases.lease.count()));
  from.out->send(std::move(answer));
  if (published_ && what.map_version() < published_->version && now - from.maps_at >= maps_again) send_maps(from);
}

void placement_state::closed(const closed_message& what) {
  const auto at = streams_.find(what.stream);
  if (at == streams_.end()) return;
  if (at->second.introduced) {
    logger.info("node disconnected", {{"member", at->second.who.node}});
    cluster_->members().disconnected(at->second.who.node, at->second.who.incarnation);
  }
  streams_.erase(at);
  setup_.metrics->streams.set(static_cast<double>(streams_.size()));
}

// ---- moves -------------------------------------------------------------------------------------------------------

void placement_state::move_ended(stream& from, const v1::MoveResult& what) {
  if (!from.introduced) return;
  placement::move_result result;
  result.move = what.move();
  result.code = static_cast<errc>(what.code());
  result.moved = what.moved();
  result.frozen = std::chrono::microseconds(what.frozen_us());
  if (!cluster_->on_result(from.who.node, result)) return;
  if (result.code != errc::ok) {
    logger.info("a range was not handed over",
                {{"member", from.who.node}, {"move", result.move}, {"why", to_string(result.code)}});
  }
  pending_ = true;  // it goes into the next commit
  consider();
}

void placement_state::send_orders() {
  send_shard_orders();
  setup_.metrics->count_orders(cluster_->take_ended());
  setup_.metrics->moves_open.set(static_cast<double>(cluster_->moves().active().size()));
  const auto orders = cluster_->orders();
  if (orders.empty()) return;
  for (const auto& each : orders) {
    v1::RoutingItem item;
    auto& order = *item.mutable_move();
    order.set_move(each.order.move);
    order.set_kind(each.order.kind == range_kind::sessions ? v1::MoveOrder::SESSIONS : v1::MoveOrder::GROUPS);
    order.set_first(each.order.first);
    order.set_last(each.order.last);
    order.set_epoch(each.order.epoch);
    order.set_target(each.order.target);
    order.set_address(each.order.address);
    send_item(each.node, item);  // lost: it is sent again
  }
}

void placement_state::send_item(const std::string& node, const v1::RoutingItem& what) {
  for (auto& [id, to] : streams_) {
    if (to.introduced && to.who.node == node) to.out->send(what);
  }
}

// ---- shards ------------------------------------------------------------------------------------------------------

void placement_state::send_shards() {
  v1::RoutingItem item;
  auto& list = *item.mutable_shards();
  for (const auto& [shard, place] : cluster_->known_shards()) {
    auto& one = *list.add_shards();
    one.set_name(shard);
    one.set_dsn(place.dsn);
    one.set_term(place.term);
  }
  if (item.SerializeAsString() == shards_item_.SerializeAsString()) return;
  shards_item_ = std::move(item);
  for (auto& [id, to] : streams_) {
    if (to.introduced && to.who.service == "storage") to.out->send(shards_item_);
  }
}

void placement_state::shards_served(stream& from, const v1::ShardsServed& what) {
  if (!from.introduced || from.who.service != "storage") return;
  std::map<std::string, shard_health> all;
  std::vector<std::string> names;
  for (const auto& each : what.shards()) {
    all[each.name()] = {each.bytes(), each.term(), each.copies(), each.problem()};
    names.push_back(each.name());
  }
  cluster_->on_shards_served(from.who.node, std::move(all));
  if (names != from.said.shards) {
    from.said.shards = std::move(names);
    cluster_->members().join(from.said);
    pending_ = true;
  }
  store_intents();
  if (desk_.tick(*setup_.time, standing())) store_intents();
  if (pending_) consider();
}

void placement_state::shard_told(stream& from, const v1::ShardMoveProgress& what) {
  if (!from.introduced || from.who.service != "storage") return;
  shard_progress told;
  told.move = what.move();
  told.told = static_cast<tern::routing::shard_told>(what.state());
  told.rows = what.rows();
  told.rows_all = what.rows_all();
  told.bytes = what.bytes();
  told.behind = what.behind();
  told.rows_per_second = what.rows_per_second();
  told.stalled = std::chrono::microseconds(what.stalled_us());
  told.error = what.error();
  if (!cluster_->on_shard_progress(from.who.node, told)) return;
  pending_ = true;
  store_intents();
  consider();
}

void placement_state::send_shard_orders() {
  setup_.metrics->show_shard_moves(*cluster_);
  for (const auto& each : cluster_->shard_orders()) {
    v1::RoutingItem item;
    auto& order = *item.mutable_shard_move();
    order.set_move(each.what.move);
    order.set_step(static_cast<v1::ShardMoveOrder::Step>(each.step));
    order.set_first(each.what.first);
    order.set_last(each.what.last);
    order.set_source(each.what.source);
    order.set_target(each.what.target);
    order.set_source_dsn(each.source_dsn);
    order.set_target_dsn(each.target_dsn);
    order.set_epoch(each.epoch);
    order.set_back_of(each.what.back_of);
    order.set_bytes_per_second(each.what.bytes_per_second);
    send_item(each.node, item);
  }
}

// ---- operators ---------------------------------------------------------------------------------------------------

control_desk::standing placement_state::standing() {
  if (term_ && cluster_) return {cluster_.get(), *term_, setup_.self.address};
  const auto leader = election_->leader();
  const bool self = leader.incarnation == setup_.self.incarnation && leader.node == setup_.self.node;
  return {nullptr, 0, self ? std::string() : leader.address};
}

void placement_state::control_items(const control_items_message& what) {
  const bool leader = leads();
  bool changed = false;
  for (const auto& item : *what.items) changed = desk_.asked(what.stream, item, *setup_.time, standing()) || changed;
  if (!leader) return;
  if (changed) {
    store_intents();
    pending_ = true;
    consider();
  }
  desk_.tick(*setup_.time, standing());
}

void placement_state::store_intents() {
  const auto& wanted = cluster_->wanted();
  for (const auto& [id, each] : streams_) {
    const auto& node = each.who.node;
    if (!each.introduced || each.who.service != "gateway") continue;
    if (wanted.drains.contains(node) != told_to_drain_.contains(node)) send_drain(node, wanted.drains.contains(node));
  }
  send_shards();
  if (storing_ || wanted == stored_) return;
  storing_ = true;
  desk_.storing();
  caf::anon_send(setup_.meta, intents_request{caf::actor_cast<caf::actor>(self_), wanted, *term_});
}

void placement_state::stored(const stored_message& what) {
  if (what.term != term_ || !cluster_) return;
  storing_ = false;
  if (what.code == errc::ok) {
    stored_ = what.what;
    cluster_->stored(stored_);
    pending_ = true;  // what waited for it may begin
  }
  desk_.stored(what.code);  // a tick tries again
  if (pending_) consider();
}

void placement_state::send_drain(const std::string& node, bool on) {
  if (on) {
    told_to_drain_.insert(node);
  } else {
    told_to_drain_.erase(node);
  }
  v1::RoutingItem item;
  item.mutable_drain()->set_on(on);
  send_item(node, item);
}

// ---- maps --------------------------------------------------------------------------------------------------------

void placement_state::loaded(const loaded_message& what) {
  if (what.term != term_) return;
  if (cluster_) {
    // Only a leader commits. Whoever did has taken over; the row will tell.
    setup_.metrics->commits_failed.add();
    election_->refused();
    stand_down("another process has committed maps");
    elect();
    return;
  }
  cluster_ = std::make_unique<cluster>(*setup_.time, setup_.cluster, *term_);
  cluster_->load(*what.state);
  cluster_->want(what.wanted);
  cluster_->stored(what.wanted);
  stored_ = what.wanted;
  logger.info("maps loaded", {{"version", what.state->version}});
  setup_.metrics->leader.set(1);
  publish();
  consider();
  setup_.ready(true);
}

void placement_state::consider() {
  if (!cluster_ || committing_ || setup_.time->now() < retry_at_) return;  // committed() and tick() come back here
  pending_ = false;
  auto next = cluster_->plan();
  send_orders();
  if (!next) return;
  committing_ = true;
  changes_ = cluster_->count_changes(*next);
  commit_began_ = setup_.time->now();
  caf::anon_send(setup_.meta, commit_request{caf::actor_cast<caf::actor>(self_),
                                             std::make_shared<const meta_state>(cluster_->state()),
                                             std::make_shared<const meta_state>(*std::move(next)), *term_});
}

void placement_state::committed(const committed_message& what) {
  if (what.term != term_ || !cluster_) return;
  committing_ = false;
  if (what.code == errc::stale_epoch) {
    setup_.metrics->commits_failed.add();
    election_->refused();
    stand_down("another replica leads");
    elect();
    return;
  }
  if (what.code != errc::ok) {  // nothing was written; a later tick tries again with what is true then
    setup_.metrics->commits_failed.add();
    cluster_->uncommitted();
    retry_at_ = setup_.time->now() + retry_after;
    pending_ = true;
    return;
  }
  election_->renewed(what.term, commit_began_);
  setup_.metrics->count_commit(changes_, seconds(commit_began_, setup_.time->now()));
  cluster_->committed(*what.next);
  publish();
  consider();
}

void placement_state::publish() {
  const auto began = setup_.time->now();
  const auto& state = cluster_->state();
  setup_.metrics->show(state);
  if (state.version == 0) return;
  const auto before = std::exchange(published_, std::make_shared<const placement::snapshot>(state));
  published_item_.reset();
  v1::RoutingItem change;
  if (before) {
    if (const auto made = placement::diff(*before, *published_)) placement::to_proto(*made, *change.mutable_delta());
  }
  for (auto& [id, each] : streams_) {
    if (each.introduced) send_change(each, change, before ? before->version : 0);
  }
  setup_.metrics->publish_seconds.observe(seconds(began, setup_.time->now()));
}

void placement_state::send_change(stream& to, const v1::RoutingItem& change, uint64_t from) {
  if (!change.has_delta() || to.maps != from) {
    send_maps(to);
    return;
  }
  to.maps = published_->version;
  to.maps_at = setup_.time->now();
  if (!to.out->send(change)) to.out->close();  // it takes nothing any more: let it come back
}

void placement_state::send_maps(stream& to) {
  if (!published_) return;
  if (!published_item_) {
    auto made = std::make_shared<v1::Snapshot>();
    placement::to_proto(*published_, *made);
    published_item_ = std::move(made);
  }
  to.maps = published_->version;
  to.maps_at = setup_.time->now();
  v1::RoutingItem item;
  *item.mutable_snapshot() = *published_item_;
  if (!to.out->send(std::move(item))) to.out->close();
}

void placement_state::tick() {
  elect();
  if (leads()) {
    if (cluster_->tick()) pending_ = true;
    if (pending_) consider();
    send_orders();
    store_intents();
    if (desk_.tick(*setup_.time, standing())) store_intents();
  }
  self_->delayed_send(self_, setup_.tick, tick_message{});
}

placement_setup placement_of(const routing_config& options, const std::string& node, const std::string& address,
                             uint64_t incarnation) {
  placement_setup made;
  // A node may trust its maps for some time after its leader has gone: docs/flows/placement.md.
  made.cluster.leases = {options.lease, options.suspect, options.settle,
                         options.lease + std::max(options.leader_lease, least_grace)};
  made.cluster.shards = options.shards;
  made.cluster.self = {node, "routing", address, incarnation, true};
  made.cluster.moves.sessions = options.move_sessions;
  made.cluster.moves.per_node = options.moves_per_node;
  made.cluster.moves.rest = options.move_rest;
  made.cluster.moves.timeout = options.move_timeout;
  made.cluster.shard_moves.keep = std::chrono::duration_cast<std::chrono::seconds>(options.shard_keep);
  made.cluster.embedded = options.embedded;
  made.leader.lease = options.leader_lease;
  made.self.node = node;
  made.self.incarnation = incarnation;
  made.self.address = address;
  return made;
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
      [&state](const leader_message& what) { state.led(what); },
      [&state](const resign_message& what) { state.resign(what); },
      [&state](const control_opened_message& what) { state.control_opened(what); },
      [&state](const control_items_message& what) { state.control_items(what); },
      [&state](const control_closed_message& what) { state.control_closed(what); },
      [&state](const stored_message& what) { state.stored(what); },
      [&state](const tick_message&) { state.tick(); },
  };
}

}  // namespace tern::routing
