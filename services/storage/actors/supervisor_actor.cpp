// Follows the cluster map: starts a writer and a dispatcher for each shard this node owns, with the map's epoch, and
// stops them when the shard moves on; keeps a stream to every session node.
#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "libs/log/log.hpp"
#include "services/storage/moves/move_side.hpp"
#include "services/storage/supervisor.hpp"

namespace tern::storage {
namespace {

using supervisor_self = actor::stateful<supervisor_state>;
const log::logger logger{"storage"};
constexpr std::chrono::milliseconds tick_every{200};
constexpr std::chrono::seconds sizes_every{60};

void send_refused(supervisor_state& state, shard_slot& slot, std::vector<answer>& refused) {
  if (refused.empty()) return;
  slot.service_metrics->operations.observe(refused, state.setup.time->now());
  send_answers(refused);
}

void report_readiness(supervisor_state& state) {
  std::string why;
  if (state.map->version == 0) why = "no map from routing yet";
  // Before that a node that owns nothing would say it is ready while it is about to be given shards.
  const auto& shards = state.map->shards;
  state.given_out = state.given_out ||
                    (!shards.empty() &&
                     std::all_of(shards.begin(), shards.end(), [](const auto& one) { return !one.owner.empty(); }));
  if (!state.given_out && why.empty()) why = "the shards have no owners yet";
  if (state.suspended && why.empty()) why = "lease not renewed";
  for (const auto& [name, shard] : state.running) {
    if (!shard.open && why.empty()) why = "shard " + name + " is not open";
  }
  if (state.setup.readiness) state.setup.readiness(why.empty(), why);
}

void stop_shard(supervisor_self* self, const std::string& name) {
  auto& state = self->state;
  const auto at = state.running.find(name);
  if (at == state.running.end()) return;
  auto& shard = at->second;
  auto& slot = *state.setup.shards->find(name);
  std::vector<answer> refused;
  slot.port->close(shard.epoch, refused);
  send_refused(state, slot, refused);
  self->send(shard.writer, stop_message{});
  state.setup.hub->leave(name, shard.dispatcher);
  self->send(shard.dispatcher, stop_message{});
  slot.metrics->up.set(0);
  logger.info("shard is no longer served", {{"shard", name}, {"epoch", shard.epoch}});
  state.running.erase(at);
}

/// How the shard is acquired. Before anything of it is served its database says which slots are, and the port and the
/// dispatcher know. Called on the writer's thread, again after each failure; from the first time on the doors are
/// changed by the movers alone.
writer_engine::open_function opening(supervisor_state& state, shard_slot& slot, uint64_t epoch,
                                     const caf::actor& dispatcher) {
  const auto told = std::make_shared<bool>(false);
  return [time = state.setup.time, store = slot.store, port = slot.port, metrics = slot.service_metrics, epoch,
          dispatcher, told]() -> result<std::unique_ptr<writer_store>> {
    auto writer = store->writer(epoch);
    if (!writer || *told) return writer;
    std::optional<slot_doors> found;
    if (!port->knows_doors(epoch)) {
      auto doors = doors_in(store->dsn(), epoch);
      if (!doors) return doors.error();
      found = std::move(*doors);
    }
    caf::anon_send(dispatcher, doors_message{found ? *found : port->doors()});
    *told = true;
    if (!found) return writer;
    std::vector<answer> refused;
    port->know_doors(epoch, std::move(*found), refused);
    metrics->operations.observe(refused, time->now());
    send_answers(refused);
    return writer;
  };
}

void start_shard(supervisor_self* self, const std::string& name, uint64_t epoch,
                 std::shared_ptr<shard_counters> counters) {
  auto& state = self->state;
  auto& slot = *state.setup.shards->find(name);
  auto& shard = state.running[name];
  shard.epoch = epoch;
  shard.counters = std::move(counters);
  shard.dispatcher =
      self->spawn(dispatcher_behavior,
                  dispatcher_setup{name, epoch, state.setup.time, state.setup.dispatch, slot.metrics, state.map});
  writer_setup setup;
  setup.options = state.setup.writer;
  setup.options.shard = name;
  setup.options.epoch = epoch;
  setup.time = state.setup.time;
  setup.open = opening(state, slot, epoch, shard.dispatcher);
  setup.port = slot.port;
  setup.metrics = slot.metrics;
  setup.service_metrics = slot.service_metrics;
  setup.dispatcher = shard.dispatcher;
  setup.supervisor = caf::actor_cast<caf::actor>(self);
  setup.counters = shard.counters;
  const auto setup_supervisor = setup.supervisor;
  shard.writer = self->spawn<caf::detached>(writer_behavior, std::move(setup));
  slot.readers->warm();
  for (const auto& child : {shard.writer, shard.dispatcher}) {
    self->monitor(child);
    state.children.push_back(child);
    ++*state.setup.at_work;
  }
  self->send(shard.dispatcher, writer_message{shard.writer});
  state.setup.hub->join(name, shard.dispatcher);
  slot.metrics->epoch.set(static_cast<double>(epoch));
  std::vector<answer> refused;
  slot.port->open(
      epoch,
      [writer = shard.writer, supervisor = setup_supervisor](std::vector<write_request>&& items) {
        caf::anon_send(writer, write_message{std::make_shared<write_parcel>(std::move(items), supervisor)});
      },
      refused,
      [writer = shard.writer](std::shared_ptr<writer_task> task) {
        caf::anon_send(writer, task_message{std::move(task)});
      },
      false);
  send_refused(state, slot, refused);
  logger.info("shard is taken over", {{"shard", name}, {"epoch", epoch}});
}

bool is_ending(const supervisor_state& state, const caf::actor& child) {
  return std::find(state.children.begin(), state.children.end(), child) != state.children.end();
}

/// A writer or dispatcher died, by an exception that is a mistake of ours. Requests it had are not answered: their
/// streams are ended, and what comes meanwhile likewise, so that their owners ask again, in order.
void break_shard(supervisor_self* self, const std::string& name, running_shard& shard) {
  auto& state = self->state;
  if (shard.broken) return;
  shard.broken = true;
  shard.open = false;
  auto& slot = *state.setup.shards->find(name);
  logger.error("an actor of the shard died, it is started again", {{"shard", name}, {"epoch", shard.epoch}});
  slot.metrics->restarts.add();
  slot.metrics->up.set(0);
  slot.port->interrupt(shard.epoch);
  state.setup.hub->leave(name, shard.dispatcher);
  for (const auto& child : {shard.writer, shard.dispatcher}) self->send(child, stop_message{});
  report_readiness(state);
}

void mend_shards(supervisor_self* self) {
  auto& state = self->state;
  std::vector<std::string> ended;
  for (const auto& [name, shard] : state.running) {
    if (shard.broken && !is_ending(state, shard.writer) && !is_ending(state, shard.dispatcher)) ended.push_back(name);
  }
  for (const auto& name : ended) {
    const auto before = std::move(state.running.at(name));
    state.running.erase(name);
    start_shard(self, name, before.epoch, before.counters);
  }
}

void child_gone(supervisor_self* self, const caf::actor_addr& gone) {
  auto& state = self->state;
  *state.setup.at_work -=
      std::erase_if(state.children, [&](const caf::actor& child) { return child.address() == gone; });
  for (auto& [name, shard] : state.running) {
    if (shard.writer.address() == gone || shard.dispatcher.address() == gone) break_shard(self, name, shard);
  }
}

void follow_shards(supervisor_self* self) {
  auto& state = self->state;
  // A map made before our restart gives shards to the process we were. Its epoch is used up: entry numbers start
  // again with each epoch, and what it left in the outbox has them already.
  const auto* me = state.map->find_node(state.setup.self.node);
  const bool former_life = me != nullptr && me->incarnation != state.setup.self.incarnation;
  const auto shards = state.setup.shards->all();
  for (const auto& [name, slot] : *shards) {
    const auto* known = state.map->find_shard(name);
    const auto at = state.running.find(name);
    const bool runs = at != state.running.end();
    const bool mine = known != nullptr && known->owner == state.setup.self.node && !former_life;
    if (runs && (!mine || at->second.epoch != known->epoch)) stop_shard(self, name);
    if (known == nullptr) continue;
    if (!mine) {
      std::vector<answer> refused;
      slot->port->close(known->epoch, refused);
      send_refused(state, *slot, refused);
    } else if (!state.running.contains(name) && slot->port->may_open(known->epoch)) {
      start_shard(self, name, known->epoch, std::make_shared<shard_counters>(known->epoch));
    }
  }
}

void follow_sessions(supervisor_self* self) {
  auto& state = self->state;
  for (auto at = state.links.begin(); at != state.links.end();) {
    const auto* node = state.map->find_node(at->first);
    if (node != nullptr && node->service == "session" && node->address == at->second.address) {
      ++at;
      continue;
    }
    at->second.link.reset();
    state.setup.hub->down(at->first);
    at = state.links.erase(at);
  }
  for (const auto& node : state.map->nodes) {
    if (node.service != "session" || !node.alive || state.links.contains(node.name)) continue;
    auto handler = std::make_shared<delivery_client>(state.setup.hub, node.name);
    auto& made = state.links[node.name];
    made.address = node.address;
    made.link = state.setup.network->connect<rpc::deliver_stream>(state.setup.self, node.address, std::move(handler));
  }
}

void follow_lease(supervisor_state& state) {
  const bool suspended = state.setup.lease_valid && !state.setup.lease_valid();
  if (suspended != state.suspended) {
    state.suspended = suspended;
    if (suspended && state.map->version != 0) logger.warn("lease not renewed: shards are paused");
    if (!suspended) logger.info("lease held: shards are served");
    report_readiness(state);
  }
  const auto shards = state.setup.shards->all();
  for (const auto& [name, slot] : *shards) {
    std::vector<answer> refused;
    slot->port->suspend(suspended, refused);
    slot->port->expire(refused);
    send_refused(state, *slot, refused);
  }
}

void follow_map(supervisor_self* self, const placement::snapshot_ptr& map) {
  auto& state = self->state;
  if (map->version < state.map->version) return;
  state.map = map;
  // Dispatchers learn the owners before they get the streams to them.
  for (const auto& [name, shard] : state.running) self->send(shard.dispatcher, map_message{map});
  follow_sessions(self);
  follow_lease(state);
  follow_shards(self);
  report_readiness(state);
}

void count_reads(supervisor_state& state, const std::string& name, shard_slot& slot) {
  auto& counted = state.read_statements[name];
  const uint64_t now = slot.readers->statements();
  slot.metrics->statements.add(static_cast<double>(now - counted));
  counted = now;
}

void measure(supervisor_state& state) {
  const auto now = state.setup.time->now();
  const auto shards = state.setup.shards->all();
  for (const auto& [name, slot] : *shards) {
    slot->metrics->writes_waiting.set(static_cast<double>(slot->port->waiting()));
    slot->metrics->reads_waiting.set(static_cast<double>(slot->readers->waiting()));
    const auto pool = slot->readers->connections();
    slot->metrics->connections_busy.set(static_cast<double>(pool.busy));
    slot->metrics->connections_idle.set(static_cast<double>(pool.idle));
    count_reads(state, name, *slot);
    const auto servers = slot->store->health();
    slot->metrics->term.set(static_cast<double>(servers.term));
    slot->metrics->copies.set(servers.copies);
    slot->metrics->degraded.set(servers.degraded ? 1 : 0);
    const auto at = state.running.find(name);
    if (at == state.running.end() || !at->second.open) {
      state.sized.erase(name);
      continue;
    }
    if (!state.sized.insert(name).second && now < state.sizes_at) continue;
    auto run = [of = slot](reader_store&) {
      if (auto bytes = of->store->size_bytes()) {
        of->metrics->bytes.set(static_cast<double>(*bytes));
        of->bytes = *bytes;
      }
      return errc::ok;
    };
    slot->readers->submit({now, now + sizes_every, std::move(run), [](errc) {}});
  }
  if (now >= state.sizes_at) state.sizes_at = now + sizes_every;
  for (const auto& [name, slot] : *shards) {
    slot->service_metrics->hashes_waiting.set(static_cast<double>(state.setup.logins->hashes_waiting()));
    slot->service_metrics->delivery_links.set(static_cast<double>(state.setup.hub->streams()));
    break;
  }
}

void tick(supervisor_self* self) {
  auto& state = self->state;
  state.setup.alive_at->store(std::chrono::nanoseconds(state.setup.time->now().time_since_epoch()).count());
  follow_lease(state);
  mend_shards(self);
  follow_shards(self);
  measure(state);
  self->delayed_send(self, tick_every, tick_message{});
}

void take_state(supervisor_self* self, const shard_state_message& m) {
  auto& state = self->state;
  const auto at = state.running.find(m.shard);
  if (at == state.running.end() || at->second.epoch != m.epoch) return;
  if (m.stale) {
    stop_shard(self, m.shard);
  } else {
    at->second.open = m.open;
  }
  report_readiness(state);
}

void stop_all(supervisor_self* self) {
  auto& state = self->state;
  while (!state.running.empty()) stop_shard(self, std::string(state.running.begin()->first));
  for (auto& [node, one] : state.links) {
    one.link.reset();
    state.setup.hub->down(node);
  }
  state.links.clear();
  // Their last answers lead into the service's parts: these must be there until then.
  caf::scoped_actor waiter{self->system()};
  for (const auto& child : state.children) waiter->wait_for(child);
  state.children.clear();
  self->quit();
}

}  // namespace

caf::behavior supervisor_behavior(actor::stateful<supervisor_state>* self, supervisor_setup setup) {
  actor::set_common_handlers(self);
  self->state.setup = std::move(setup);
  self->set_down_handler([self](const caf::down_msg& gone) { child_gone(self, gone.source); });
  self->send(self, tick_message{});
  return {
      [self](const map_message& m) { follow_map(self, m.map); },
      [self](const shard_state_message& m) { take_state(self, m); },
      [](const abandoned_message& m) {
        for (const auto& stream : m.streams) stream->close();
      },
      [self](const tick_message&) { tick(self); },
      [self](const stop_message&) { stop_all(self); },
  };
}

}  // namespace tern::storage
