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

placement::range_map with(const placement::range_map& map,
                          const std::function<void(std::vector<placement::range>&)>& change) {
  auto ranges = map.ranges();
  change(ranges);
  return placement::range_map(std::move(ranges));
}

}  // namespace

void control::know(host& which, const std::string& service) {
  known_.push_back({&which, service, true, which.life, world_.now(), world_.now()});
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
  world_.trace("maps of version %llu", static_cast<unsigned long long>(current_->version));
  for (const auto& one : current_->sessions.ranges()) {
    world_.trace("  sessions %u-%u %s epoch %llu", one.first, one.last, one.owner.c_str(),
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
    if (each.where == &of) return world_.now() - each.renewed < lease_trusted;
  }
  return false;
}

void control::tick() {
  for (auto& each : known_) look_at(each);
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
  world_.after(world_.random().between(500us, map_late), [&one, life = one.life, map = current_, now] {
    one.where->run(life, [&one, map, now] {
      one.where->running->on_map(map);
      one.renewed = std::max(one.renewed, now);
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

}  // namespace tern::sim
