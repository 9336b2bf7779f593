// What goes wrong in a simulated cluster, and what its operators do.
#include <algorithm>
#include <utility>

#include "tests/sim/cluster.hpp"

namespace tern::sim {

using namespace std::chrono_literals;

namespace {

/// A fault's consequences may last so long after its end: the range of who died has a new owner by then.
constexpr duration aftermath = 5s, aftermath_of_routing = 15s;

}  // namespace

duration cluster::after_faults() const { return routing_ ? aftermath_of_routing : aftermath; }

bool cluster::faulty(duration from, duration to) const {
  return std::any_of(faults_.begin(), faults_.end(),
                     [&](const fault& each) { return each.from <= to && from <= each.to + after_faults(); });
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
      const std::string other = random.chance(0.2) ? other_end(which) : any_host().name;
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
      if (routing_) return operate(what, length);
      faults_.push_back({world_.now(), world_.now() + 1s});
      control_.move_some();
      break;
    case kind::hand_over:
      if (routing_) return operate(what, length);
      control_.order_some();
      // A terminal that is bound later than the sender's misses the sender's receipt: see README.md.
      if (!how_.strict) faults_.push_back({world_.now(), world_.now() + 1s});
      break;
    case kind::commits:
      mark();
      world_.trace("commits fail");
      disks_.failures = meta_.failures = 0.3;
      later([this] { disks_.failures = meta_.failures = 0; });
      break;
  }
}

/// What it is cut off from besides its peers: where routing is played that is routing.
std::string cluster::other_end(const host& of) {
  if (!routing_) return "control";
  if (of.runs("routing")) return "meta";
  return "routing-" + std::to_string(world_.random().below(3));
}

}  // namespace tern::sim
