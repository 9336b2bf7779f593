#include "tests/sim/cluster.hpp"

#include <algorithm>
#include <utility>

#include "libs/crypto/identity.hpp"
#include "libs/placement/planner.hpp"
#include "tests/sim/group_process.hpp"
#include "tests/sim/membership_client.hpp"
#include "tests/sim/session_process.hpp"
#include "tests/sim/storage_process.hpp"

namespace tern::sim {

using namespace std::chrono_literals;

namespace {

constexpr const char* identity_key = "the key of the simulation";

weather weather_of(dice& random) {
  weather out;
  if (random.chance(0.3)) out.latency_most = 5ms;
  if (random.chance(0.2)) out.slow = 0.1;
  return out;
}

/// Some seeds do without rooms: what they find is short.
bool with_rooms(const run_options& how) { return how.rooms && dice(how.seed ^ 0x726f6f6dU).chance(0.85); }

}  // namespace

cluster::cluster(world& in, const run_options& how)
    : world_(in),
      how_(how),
      rooms_(with_rooms(how)),
      routing_(how.routing),
      referee_(in),
      net_(in, weather_of(in.random()), how.bug, referee_),
      disks_(in.random().next(), how_.bug, referee_),
      control_(in, net_, referee_) {
  session_config_.identity_key = gateway_config_.identity_key = identity_key;
  session_config_.linger = 3000ms;
  session_config_.auth_min_interval = 0ms;
  gateway_config_.trace_every = 0;
  if (in.random().chance(0.3)) session_config_.window_messages = 4;
  if (in.random().chance(0.3)) gateway_config_.window_frames = 3;
  if (in.random().chance(0.3)) session_config_.drain_messages = 3;
  if (rooms_) {
    group_config_.linger = in.random().chance(0.5) ? 500ms : 10'000ms;
    if (in.random().chance(0.3)) group_config_.gap_rows = 2;
  }
  build();
}

cluster::~cluster() {
  for (host* each : world_.hosts()) {
    if (each->up()) crash(*each);
  }
}

void cluster::build() {
  auto& random = world_.random();
  const auto add = [&](const std::string& service, size_t count) {
    for (size_t i = 0; i < count; ++i) {
      host& made = world_.add(service + "-" + std::to_string(i));
      start(made);
      if (!routing_) control_.know(made, service);
    }
  };
  for (size_t i = 0, count = 1 + random.below(2); i < count; ++i) {
    shards_.push_back("s" + std::to_string(i));
    disks_.add(shards_.back());
  }
  if (routing_) {
    storage_ = placement::first_storage_map(shards_, 1);
    make_people();  // accounts are there before the shards have owners
    begin_routing();
  }
  add("gateway", 1 + random.below(2));
  add("session", 2 + random.below(2));
  if (rooms_) add("group", 1 + random.below(3));
  add("storage", 1 + random.below(2));
  if (routing_) return wait_for_maps();
  control_.begin(shards_);
  make_people();
}

std::string cluster::shard_of(slot_type slot) const {
  return routing_ ? storage_.find(slot)->owner : control_.shard_of(slot);
}

void cluster::start(host& which) {
  ++which.life;
  world_.trace("%s starts", which.name.c_str());
  const bool real = routing_;
  auto lease = [this, real, &which, life = which.life] {
    if (which.life != life) return false;
    if (!real) return control_.lease_valid(which);
    return which.up() && which.running->member != nullptr && which.running->member->lease_valid();
  };
  auto moved = [this, real, &which](const placement::move_result& result) {
    if (!real) return control_.on_result(which, result);
    if (which.up() && which.running->member != nullptr) which.running->member->move_done(result);
  };
  const std::string service = which.name.substr(0, which.name.find('-'));
  if (service == "routing") {
    which.running = std::make_unique<routing_process>(which, net_, meta_, routing_config_);
    return;
  }
  if (service == "gateway") {
    which.running = std::make_unique<gateway_process>(which, net_, gateway_config_, referee_);
  } else if (service == "session") {
    which.running =
        std::make_unique<session_process>(which, net_, session_config_, std::move(lease), std::move(moved));
  } else if (service == "group") {
    which.running = std::make_unique<group_process>(which, net_, group_config_, std::move(lease), std::move(moved));
  } else {
    which.running = std::make_unique<storage_process>(which, net_, disks_, std::move(lease));
  }
  if (!routing_) return;
  auto shards = service == "storage" ? shards_ : std::vector<std::string>{};
  if (shards.size() > 1 && which.name.ends_with("1")) std::swap(shards[0], shards[1]);
  which.running->member =
      std::make_unique<membership_client>(*which.running, net_, referee_, service, replicas_, std::move(shards));
}

void cluster::crash(host& which) {
  if (!which.up()) return;
  world_.trace("%s is killed", which.name.c_str());
  net_.died(which);
  const auto dead = std::exchange(which.running, nullptr);
  which.resume();
}

void cluster::make_people() {
  auto& random = world_.random();
  crowd_.in = &world_;
  crowd_.seen = &seen_;
  crowd_.gateway = [this] { return any_gateway(); };
  crowd_.faulty = [this](duration from, duration to) { return faulty(from, to); };
  std::vector<std::pair<std::string, account_id>> all;
  for (size_t i = 0, count = 3 + random.below(3); i < count; ++i) {
    const std::string name(1, static_cast<char>('a' + i));
    all.emplace_back(name, crypto::account_of(crypto::name_key(identity_key, "", name)));
    crowd_.people.push_back(std::make_unique<person>(crowd_, name, all.back().second, 1 + random.below(2)));
  }
  disks_.befriend(all, identity_key, [this](slot_type slot) { return shard_of(slot); });
  if (rooms_) make_rooms(random);
}

/// Each with a founder, and of the others some that stay and some that come and go.
void cluster::make_rooms(dice& random) {
  for (size_t i = 0, count = 1 + random.below(2); i < count; ++i) {
    room made;
    made.name = "room" + std::to_string(i);
    made.open = random.chance(0.6);
    made.founder = crowd_.people[random.below(crowd_.people.size())].get();
    for (auto& each : crowd_.people) {
      if (each.get() == made.founder || random.chance(0.2)) continue;
      room::guest one;
      one.who = each.get();
      one.stays = random.chance(0.7);
      one.next = random.between(0ms, 3s);
      made.guests.push_back(one);
    }
    crowd_.rooms.push_back(std::move(made));
  }
}

gateway_process* cluster::any_gateway() {
  std::vector<gateway_process*> there;
  for (host* each : world_.hosts()) {
    if (each->up() && each->runs("gateway")) there.push_back(static_cast<gateway_process*>(each->running.get()));
  }
  return there.empty() ? nullptr : there[world_.random().below(there.size())];
}

// ---- the run -----------------------------------------------------------------------------------------------------

void cluster::live(duration length) {
  faults_end_ = world_.now() + length;
  for (auto& each : crowd_.people) each->begin();
  begin_faults();
  world_.run_for(length);
}

// ---- the end -----------------------------------------------------------------------------------------------------

bool cluster::quiet() {
  for (auto& each : crowd_.people) {
    if (each->open() > 0 || !each->drained()) return false;
  }
  return std::all_of(shards_.begin(), shards_.end(),
                     [this](const auto& shard) { return disks_.outbox(shard).empty(); });
}

std::vector<std::string> cluster::unfinished() {
  std::vector<std::string> out;
  for (auto& each : crowd_.people) {
    for (auto& what : each->waits_for()) out.push_back(std::move(what));
    for (auto& one : each->terminals()) {
      if (!one->online()) {
        out.push_back(one->label() + " is not on line");
      } else if (!one->drained()) {
        out.push_back(one->label() + " waits for the end of its backlog");
      }
    }
  }
  for (const auto& shard : shards_) {
    for (const auto& each : disks_.outbox(shard)) out.push_back("outbox of " + shard + " has " + each);
  }
  return out;
}

void cluster::heal_and_drain() {
  over_ = true;
  crowd_.writing = crowd_.restless = false;
  world_.trace("---- the faults end");
  disks_.failures = meta_.failures = 0;
  net_.unblock_all();
  for (host* each : world_.hosts()) {
    each->resume();
    if (!each->up()) start(*each);
  }
  const duration began = world_.now();
  // A session node may hold what it has for a terminal that was lost in silence; that ends with the keepalive.
  while (!quiet() && world_.now() - began < 90s && world_.violations().empty()) {
    for (const auto& each : drained_) {
      routing::v1::ControlRequest request;
      request.mutable_drain()->set_node(each);
      ask_routing(request);
    }
    world_.run_for(500ms);
  }
  for (const auto& each : unfinished()) world_.violation("after healing, " + each);
  for (auto& each : crowd_.people) {
    for (auto& one : each->terminals()) one->ask_offline();
  }
  const duration asked = world_.now();
  while (!quiet() && world_.now() - asked < 20s && world_.violations().empty()) world_.run_for(500ms);
  for (const auto& each : unfinished()) world_.violation("at the end, " + each);
  world_.run_for(1s);
  for (auto& each : crowd_.people) {
    for (auto& one : each->terminals()) one->leave();
  }
  read_histories();
}

void cluster::read_histories() {
  for (auto& one : crowd_.people) {
    for (auto& other : crowd_.people) {
      if (one == other) continue;
      const auto pair = crypto::pair_conversation(identity_key, one->id, other->id);
      auto rows = disks_.history(shard_of(slot_of(pair)), pair);
      if (!rows.empty()) seen_.finals.push_back({one->node, other->node, std::move(rows), ""});
    }
  }
  for (const auto& each : crowd_.rooms) {
    const auto id = from_node(node_kind::room, each.node);
    if (!id) continue;
    const conversation_id all{*id, 0};
    auto rows = disks_.history(shard_of(slot_of(*id)), all);
    if (!rows.empty()) seen_.finals.push_back({each.founder->node, "", std::move(rows), each.node});
  }
  for (const auto& each : faults_) seen_.faults.emplace_back(each.from.count(), (each.to + after_faults()).count());
}

}  // namespace tern::sim
