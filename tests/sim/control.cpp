#include "tests/sim/control.hpp"

#include <algorithm>
#include <utility>

#include "tests/sim/process.hpp"

namespace tern::sim {

using namespace std::chrono_literals;

namespace {

constexpr const char* self = "control";
constexpr duration tick_every = 200ms;
constexpr duration lease = 6s, lease_trusted = 4s, suspect = 2s;
constexpr duration map_late = 150ms;
constexpr duration order_life = 2s;

placement::range_map with(const placement::range_map& map,
                          const std::function<void(std::vector<placement::range>&)>& change) {
  auto ranges = map.ranges();
  change(ranges);
  return placement::range_map(std::move(ranges));
}

const placement::range_map& map_of(const placement::snapshot& all, placement::range_kind kind) {
  return kind == placement::range_kind::groups ? all.groups : all.sessions;
}

}  // namespace

void control::know(host& which, const std::string& service) {
  known_.push_back({&which, service, true, which.life, world_.now(), world_.now(), which.life});
}

std::vector<std::string> control::alive(const std::string& service) const {
  std::vector<std::string> out;
  for (const auto& each : known_) {
    if (each.alive && each.service == service) out.push_back(each.where->name);
  }
  return out;
}

placement::snapshot control::next() const {
  placement::snapshot out = *current_;
  ++out.version;
  out.nodes.clear();
  for (const auto& each : known_) {
    out.nodes.push_back({each.where->name, each.service, "sim:" + each.where->name,
                         each.where->incarnation_of(each.life), each.alive});
  }
  std::sort(out.nodes.begin(), out.nodes.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return out;
}

void control::change(placement::snapshot next) {
  current_ = std::make_shared<const placement::snapshot>(std::move(next));
  referee_.committed(*current_);
  world_.trace("maps of version %llu", static_cast<unsigned long long>(current_->version));
  for (const auto& one : current_->sessions.ranges()) {
    world_.trace("  sessions %u-%u %s epoch %llu", one.first, one.last, one.owner.c_str(),
                 static_cast<unsigned long long>(one.epoch));
  }
  for (const auto& one : current_->groups.ranges()) {
    world_.trace("  groups %u-%u %s epoch %llu", one.first, one.last, one.owner.c_str(),
                 static_cast<unsigned long long>(one.epoch));
  }
  for (const auto& one : current_->shards) {
    world_.trace("  shard %s %s epoch %llu", one.name.c_str(), one.owner.c_str(),
                 static_cast<unsigned long long>(one.epoch));
  }
}

void control::begin(const std::vector<std::string>& shards) {
  auto& random = world_.random();
  auto made = next();
  const auto spread = [&](const std::vector<std::string>& owners, size_t parts) {
    std::vector<placement::range> ranges;
    slot_type first = 0;
    for (size_t i = 0; i < parts; ++i) {
      const auto last = static_cast<slot_type>(i + 1 == parts ? slot_count - 1 : slot_count * (i + 1) / parts - 1);
      if (!owners.empty()) ranges.push_back({first, last, owners[i % owners.size()], 1});
      first = last + 1;
    }
    return placement::range_map(std::move(ranges));
  };
  made.sessions = spread(alive("session"), 2 + random.below(7));
  made.groups = spread(alive("group"), 2 + random.below(4));
  made.storage = spread(shards, shards.size());
  const auto storages = alive("storage");
  for (size_t i = 0; i < shards.size(); ++i) made.shards.push_back({shards[i], storages[i % storages.size()], 1});
  change(std::move(made));
  tick();
}

std::string control::shard_of(slot_type slot) const { return current_->storage.find(slot)->owner; }

bool control::reaches(const known& one) const {
  const auto& name = one.where->name;
  return one.where->up() && !one.where->paused() && !net_.blocked(name, self) && !net_.blocked(self, name);
}

bool control::lease_valid(const host& of) const {
  for (const auto& each : known_) {
    if (each.where == &of) return each.leased == of.life && world_.now() - each.renewed < lease_trusted;
  }
  return false;
}

void control::tick() {
  for (auto& each : known_) look_at(each);
  std::erase_if(orders_, [this](const ordered& each) { return world_.now() - each.at > order_life; });
  world_.after(tick_every, [this] { tick(); });
}

void control::look_at(known& one) {
  const duration now = world_.now();
  if (!reaches(one)) {
    if (one.alive && now - one.contact > (one.where->up() ? lease : suspect)) dead(one);
    return;
  }
  one.contact = now;
  if (one.life != one.where->life) {
    restarted(one);
  } else if (!one.alive) {
    one.alive = true;
    world_.trace("%s is back", one.where->name.c_str());
    change(next());
  }
  // The lease comes behind the maps, on one stream: who believes in it has the maps of that moment.
  world_.after(world_.random().between(500us, map_late), [this, &one, life = one.life, map = current_, now] {
    one.where->run(life, [this, &one, life, map, now] {
      one.where->running->take_map(map, referee_);
      one.renewed = std::max(one.renewed, now);
      one.leased = life;
    });
  });
}

/// It has lost what it knew: all it owns gets a new epoch.
void control::restarted(known& one) {
  one.life = one.where->life;
  one.alive = true;
  auto made = next();
  const auto raise = [&](std::vector<placement::range>& ranges) {
    for (auto& each : ranges) {
      if (each.owner == one.where->name) each.epoch = made.version;
    }
  };
  made.sessions = with(made.sessions, raise);
  made.groups = with(made.groups, raise);
  for (auto& each : made.shards) {
    if (each.owner == one.where->name) each.epoch = made.version;
  }
  world_.trace("%s has a new process", one.where->name.c_str());
  change(std::move(made));
}

void control::dead(known& one) {
  const auto left = alive(one.service);
  one.alive = false;
  auto made = next();
  world_.trace("%s is dead", one.where->name.c_str());
  const auto heir = [&]() -> std::string {
    std::vector<std::string> others;
    for (const auto& name : left) {
      if (name != one.where->name) others.push_back(name);
    }
    return others.empty() ? one.where->name : others[world_.random().below(others.size())];
  };
  const auto give = [&](std::vector<placement::range>& ranges) {
    for (auto& each : ranges) {
      if (each.owner != one.where->name) continue;
      each.owner = heir();
      if (each.owner != one.where->name) each.epoch = made.version;
    }
  };
  made.sessions = with(made.sessions, give);
  made.groups = with(made.groups, give);
  for (auto& each : made.shards) {
    if (each.owner != one.where->name) continue;
    each.owner = heir();
    if (each.owner != one.where->name) each.epoch = made.version;
  }
  change(std::move(made));
}

void control::move_some() {
  const bool rooms = !current_->groups.ranges().empty() && world_.random().chance(0.4);
  const auto owners = alive(rooms ? "group" : "session");
  if (owners.size() < 2) return;
  auto made = next();
  auto& random = world_.random();
  const auto shift = [&](std::vector<placement::range>& ranges) {
    const size_t index = random.below(ranges.size());
    auto& from = ranges[index];
    const std::string& to = owners[random.below(owners.size())];
    if (from.owner == to) return;
    placement::range moved = from;
    moved.owner = to;
    moved.epoch = made.version;
    if (ranges.size() < 16 && from.last - from.first > 1000 && random.chance(0.5)) {
      moved.first = from.first + (from.last - from.first) / 2;
      from.last = moved.first - 1;
      ranges.push_back(moved);
    } else {
      from = moved;
    }
  };
  auto& map = rooms ? made.groups : made.sessions;
  map = with(map, shift);
  change(std::move(made));
}

// ---- moves with a hand-over --------------------------------------------------------------------------------------

void control::order_some() {
  auto& random = world_.random();
  const bool rooms = !current_->groups.ranges().empty() && random.chance(0.4);
  const auto kind = rooms ? placement::range_kind::groups : placement::range_kind::sessions;
  const auto owners = alive(rooms ? "group" : "session");
  const auto& ranges = map_of(*current_, kind).ranges();
  const auto& from = ranges[random.below(ranges.size())];
  const std::string& to = owners.empty() ? from.owner : owners[random.below(owners.size())];
  host* source = world_.find(from.owner);
  if (to == from.owner || source == nullptr || !source->up()) return;
  for (const auto& each : orders_) {
    if (each.what.kind == kind && each.what.first <= from.last && from.first <= each.what.last)
      return;  // one move of a range at a time
  }
  ordered made;
  made.source = from.owner;
  made.at = world_.now();
  made.what = {++last_move_, kind, from.first, from.last, from.epoch, to, "sim:" + to};
  if (ranges.size() < 16 && random.chance(0.5)) made.what.first += (from.last - from.first) / 2;
  world_.trace("move %llu: %u-%u from %s to %s", static_cast<unsigned long long>(made.what.move), made.what.first,
               made.what.last, made.source.c_str(), to.c_str());
  orders_.push_back(made);
  if (net_.blocked(self, made.source)) return;  // the order is lost
  world_.after(random.between(100us, 20ms), [this, source, life = source->life, what = made.what] {
    source->run(life, [this, source, what] {
      net_.ordered(*source);
      source->running->on_order(what);
    });
  });
}

void control::on_result(host& of, const placement::move_result& result) {
  if (net_.blocked(of.name, self)) return;
  world_.after(world_.random().between(100us, 50ms), [this, result, name = of.name] {
    world_.trace("move %llu at %s: %s, %llu sessions", static_cast<unsigned long long>(result.move), name.c_str(),
                 std::string(to_string(result.code)).c_str(), static_cast<unsigned long long>(result.moved));
    const auto at = std::find_if(orders_.begin(), orders_.end(), [&](const ordered& each) {
      return each.what.move == result.move && each.source == name;
    });
    if (at == orders_.end()) return;
    const ordered done = *at;
    orders_.erase(at);
    if (result.code == errc::ok) commit(done);
  });
}

void control::commit(const ordered& done) {
  const auto* now = map_of(*current_, done.what.kind).find(done.what.first);
  if (now == nullptr || now->owner != done.source || now->epoch != done.what.epoch || now->last < done.what.last)
    return;
  ++handed_over_;
  auto made = next();
  auto& map = done.what.kind == placement::range_kind::groups ? made.groups : made.sessions;
  map = with(map, [&](std::vector<placement::range>& ranges) {
    std::vector<placement::range> rest;
    for (auto& each : ranges) {
      if (each.first > done.what.first || each.last < done.what.last) continue;
      if (each.first < done.what.first) rest.push_back({each.first, done.what.first - 1, each.owner, each.epoch});
      if (each.last > done.what.last) rest.push_back({done.what.last + 1, each.last, each.owner, each.epoch});
      each = {done.what.first, done.what.last, done.what.target, made.version};
    }
    ranges.insert(ranges.end(), rest.begin(), rest.end());
  });
  change(std::move(made));
}

}  // namespace tern::sim
