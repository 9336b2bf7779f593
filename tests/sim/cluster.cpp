#include "tests/sim/cluster.hpp"

#include <algorithm>
#include <utility>

#include "libs/crypto/identity.hpp"
#include "tests/sim/group_process.hpp"
#include "tests/sim/session_process.hpp"
#include "tests/sim/storage_process.hpp"

namespace tern::sim {

using namespace std::chrono_literals;

namespace {

constexpr const char* identity_key = "the key of the simulation";
/// A fault's consequences may last so long after its end.
constexpr duration aftermath = 5s;

weather weather_of(dice& random) {
  weather out;
  if (random.chance(0.3)) out.latency_most = 5ms;
  if (random.chance(0.2)) out.slow = 0.1;
  return out;
}

/// Some seeds do without rooms: what they find is short.
bool with_rooms(const run_options& how) { return how.rooms && dice(how.seed ^ 0x726f6f6dU).chance(0.85); }

bool starts_with(const host& which, const char* service) { return which.name.starts_with(service); }

}  // namespace

cluster::cluster(world& in, const run_options& how)
    : world_(in),
      how_(how),
      net_(in, weather_of(in.random()), how.bug),
      disks_(in.random().next(), how_.bug),
      control_(in, net_),
      rooms_(with_rooms(how)) {
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
      control_.know(made, service);
    }
  };
  for (size_t i = 0, count = 1 + random.below(2); i < count; ++i) {
    shards_.push_back("s" + std::to_string(i));
    disks_.add(shards_.back());
  }
  add("gateway", 1 + random.below(2));
  add("session", 2 + random.below(2));
  if (rooms_) add("group", 1 + random.below(3));
  add("storage", 1 + random.below(2));
  control_.begin(shards_);
  make_people();
}

void cluster::start(host& which) {
  ++which.life;
  world_.trace("%s starts", which.name.c_str());
  auto lease = [this, &which, life = which.life] { return which.life == life && control_.lease_valid(which); };
  if (starts_with(which, "gateway")) {
    which.running = std::make_unique<gateway_process>(which, net_, gateway_config_);
  } else if (starts_with(which, "session")) {
    which.running = std::make_unique<session_process>(
        which, net_, session_config_, std::move(lease),
        [this, &which](const placement::move_result& result) { control_.on_result(which, result); });
  } else if (starts_with(which, "group")) {
    which.running = std::make_unique<group_process>(
        which, net_, group_config_, std::move(lease),
        [this, &which](const placement::move_result& result) { control_.on_result(which, result); });
  } else {
    which.running = std::make_unique<storage_process>(which, net_, disks_, std::move(lease));
  }
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
  disks_.befriend(all, identity_key, [this](slot_type slot) { return control_.shard_of(slot); });
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
    if (each->up() && starts_with(*each, "gateway"))
      there.push_back(static_cast<gateway_process*>(each->running.get()));
  }
  return there.empty() ? nullptr : there[world_.random().below(there.size())];
}

// ---- faults ------------------------------------------------------------------------------------------------------

bool cluster::faulty(duration from, duration to) const {
  return std::any_of(faults_.begin(), faults_.end(),
                     [&](const fault& each) { return each.from <= to && from <= each.to + aftermath; });
}

host& cluster::any_host() {
  const auto all = world_.hosts();
  return *all[world_.random().below(all.size())];
}

void cluster::begin_faults() {
  auto& random = world_.random();
  for (const kind each : {kind::crash, kind::stop, kind::cut, kind::cut_one_way, kind::reset, kind::move,
                          kind::hand_over, kind::hand_over, kind::commits}) {
    if (random.chance(0.45)) kinds_.push_back(each);
  }
  gap_ = random.between(100ms, 4s);
  if (!kinds_.empty()) world_.after(random.between(0ms, gap_), [this] { next_fault(); });
}

void cluster::next_fault() {
  auto& random = world_.random();
  if (over_ || world_.now() > faults_end_) return;
  const duration length = random.chance(0.3) ? random.between(1s, 12s) : random.between(1ms, 1s);
  strike(kinds_[random.below(kinds_.size())], length);
  world_.after(random.between(0ms, 2 * gap_), [this] { next_fault(); });
}

void cluster::strike(kind what, duration length) {
  auto& random = world_.random();
  host& which = any_host();
  const auto mark = [&] { faults_.push_back({world_.now(), world_.now() + length}); };
  const auto later = [&](std::function<void()> end) {
    world_.after(length, [this, end = std::move(end)] {
      if (!over_) end();
    });
  };
  switch (what) {
    case kind::crash: {
      if (!which.up()) return;
      mark();
      crash(which);
      later([this, &which] {
        if (!which.up()) start(which);
      });
      break;
    }
    case kind::stop:
      if (!which.up() || which.paused()) return;
      mark();
      which.pause();
      net_.stopped(which);
      later([&which] { which.resume(); });
      break;
    case kind::cut:
    case kind::cut_one_way: {
      const std::string one = which.name;
      const std::string other = random.chance(0.2) ? "control" : any_host().name;
      if (one == other) return;
      mark();
      net_.block(one, other);
      if (what == kind::cut) net_.block(other, one);
      later([this, one, other] {
        net_.unblock(one, other);
        net_.unblock(other, one);
      });
      break;
    }
    case kind::reset: {
      const host& other = any_host();
      faults_.push_back({world_.now(), world_.now()});
      world_.trace("streams of %s and %s are reset", which.name.c_str(), other.name.c_str());
      net_.break_streams(which.name, other.name);
      break;
    }
    case kind::move:
      faults_.push_back({world_.now(), world_.now() + 1s});
      control_.move_some();
      break;
    case kind::hand_over:
      control_.order_some();
      // A terminal that is bound later than the sender's misses the sender's receipt: see README.md.
      if (!how_.strict) faults_.push_back({world_.now(), world_.now() + 1s});
      break;
    case kind::commits:
      mark();
      world_.trace("commits fail");
      disks_.failures = 0.3;
      later([this] { disks_.failures = 0; });
      break;
  }
}

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
  disks_.failures = 0;
  net_.unblock_all();
  for (host* each : world_.hosts()) {
    each->resume();
    if (!each->up()) start(*each);
  }
  const duration began = world_.now();
  // A session node may hold what it has for a terminal that was lost in silence; that ends with the keepalive.
  while (!quiet() && world_.now() - began < 90s && world_.violations().empty()) world_.run_for(500ms);
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
      auto rows = disks_.history(control_.shard_of(slot_of(pair)), pair);
      if (!rows.empty()) seen_.finals.push_back({one->node, other->node, std::move(rows), ""});
    }
  }
  for (const auto& each : crowd_.rooms) {
    const auto id = from_node(node_kind::room, each.node);
    if (!id) continue;
    const conversation_id all{*id, 0};
    auto rows = disks_.history(control_.shard_of(slot_of(*id)), all);
    if (!rows.empty()) seen_.finals.push_back({each.founder->node, "", std::move(rows), each.node});
  }
  for (const auto& each : faults_) seen_.faults.emplace_back(each.from.count(), (each.to + aftermath).count());
}

}  // namespace tern::sim
