#include "services/routing/testing/cluster_sim.hpp"

#include <tern/routing/v1/routing.pb.h>

#include <algorithm>

#include "libs/placement/convert.hpp"

namespace tern::routing::testing {
namespace {

using placement::unit_count;
using placement::unit_slots;

constexpr auto step_time = std::chrono::milliseconds(10);
constexpr auto tick_every = 10;  // steps
constexpr size_t most_violations = 20;

std::vector<const placement::range*> by_unit(const placement::range_map& map) {
  std::vector<const placement::range*> units(unit_count, nullptr);
  for (const auto& each : map.ranges()) {
    for (size_t unit = each.first / unit_slots; unit <= each.last / unit_slots; ++unit) units[unit] = &each;
  }
  return units;
}

}  // namespace

cluster_sim::cluster_sim(sim_options how)
    : how_(std::move(how)),
      start_(time_.now()),
      routing_(time_, how_.cluster, 1),
      random_(how_.seed),
      moved_at_(unit_count) {}

void cluster_sim::violation(std::string what) {
  if (stats_.violations.size() < most_violations) stats_.violations.push_back(std::move(what));
}

std::chrono::milliseconds cluster_sim::now() const {
  return std::chrono::duration_cast<milliseconds>(time_.now() - start_);
}

// ---- nodes --------------------------------------------------------------------------------------------------------

void cluster_sim::hello(const std::string& name) {
  const auto& node = nodes_.at(name);
  placement::announcement says;
  says.self = {name, "session", "addr-" + name, node.incarnation, true};
  says.slots_wanted = !node.draining;
  says.moves = true;
  routing_.members().join(says);
  dirty_ = true;
}

void cluster_sim::join(const std::string& name) {
  auto& node = nodes_[name];
  node.running = true;
  node.draining = false;
  ++node.incarnation;
  hello(name);
}

void cluster_sim::drain(const std::string& name) {
  nodes_.at(name).draining = true;
  hello(name);
}

void cluster_sim::kill(const std::string& name) {
  auto& node = nodes_.at(name);
  node.running = false;
  routing_.members().disconnected(name, node.incarnation);
}

void cluster_sim::restart(const std::string& name) {
  kill(name);
  join(name);
}

void cluster_sim::beat() {
  std::map<std::string, uint64_t> slots;
  for (const auto& each : routing_.state().sessions.ranges()) slots[each.owner] += each.last - each.first + 1;
  std::vector<std::string> gone;
  for (const auto& [name, node] : nodes_) {
    if (!node.running) continue;
    if (node.draining && slots[name] == 0) {
      gone.push_back(name);
      continue;
    }
    if (!routing_.members().renew(name, node.incarnation)) hello(name);
    const auto load = static_cast<double>(slots[name]) * how_.sessions_per_slot;
    routing_.members().report(name, node.incarnation, static_cast<uint64_t>(load), routing_.state().version);
  }
  for (const auto& name : gone) {
    routing_.members().leave(name, nodes_.at(name).incarnation);
    nodes_.at(name).running = false;
    dirty_ = true;
  }
}

std::vector<std::string> cluster_sim::living() const {
  std::vector<std::string> names;
  for (const auto& [name, node] : nodes_) {
    if (node.running && !node.draining) names.push_back(name);
  }
  return names;
}

// ---- orders -------------------------------------------------------------------------------------------------------

void cluster_sim::check_order(const outgoing_order& each) {
  const auto& order = each.order;
  const auto name = "order " + std::to_string(order.move & 0xffffffffU) + ": ";
  size_t from = 0, to = 0;
  for (const auto& other : orders_) {
    if (other.order.first <= order.last && order.first <= other.order.last) violation(name + "overlaps another");
    from += other.node == each.node || other.order.target == each.node ? 1 : 0;
    to += other.node == order.target || other.order.target == order.target ? 1 : 0;
  }
  if (from >= how_.cluster.moves.per_node) violation(name + "too many from " + each.node);
  if (to >= how_.cluster.moves.per_node) violation(name + "too many to " + order.target);
  const auto* range = routing_.state().sessions.find(order.first);
  if (range == nullptr || range->owner != each.node || range->last < order.last || range->epoch != order.epoch) {
    violation(name + "not as the maps say");
  }
  if (each.node == order.target) violation(name + "to itself");
  const auto target = nodes_.find(order.target);
  if (target == nodes_.end() || target->second.draining) violation(name + "to a node that takes none");
  if (nodes_.at(each.node).draining) return;
  for (size_t unit = order.first / unit_slots; unit <= order.last / unit_slots; ++unit) {
    const bool rests =
        moved_at_[unit] != clock::time_point{} && moved_at_[unit] + how_.cluster.moves.rest > time_.now();
    if (rests) violation(name + "of a range that rests");
  }
}

/// Orders that routing has given up are no longer waited for by anybody.
void cluster_sim::forget_orders() {
  const auto& active = routing_.moves().active();
  std::erase_if(orders_, [&](const order_at_node& each) {
    return std::none_of(active.begin(), active.end(), [&](const auto& one) {
      return one.order.move == each.order.move && one.now == move_record::phase::ordered;
    });
  });
}

void cluster_sim::take_orders() {
  forget_orders();
  for (const auto& each : routing_.orders()) {
    if (!known_orders_.insert(each.order.move).second) continue;  // asked again: it is silent
    check_order(each);
    ++stats_.orders;
    order_at_node made{each.node, nodes_.at(each.node).incarnation, each.order, {}, errc::ok};
    const double slots = each.order.last - each.order.first + 1;
    made.due =
        time_.now() + how_.order_time +
        std::chrono::duration_cast<clock::time_point::duration>(how_.session_time * slots * how_.sessions_per_slot);
    if (chance(how_.refuse)) made.code = errc::overload;
    if (chance(how_.silent)) made.due = clock::time_point::max();
    orders_.push_back(std::move(made));
  }
}

void cluster_sim::answer_orders() {
  std::vector<order_at_node> due;
  forget_orders();
  std::erase_if(orders_, [&](const order_at_node& each) {
    const auto& node = nodes_.at(each.node);
    if (!node.running || node.incarnation != each.incarnation) return true;
    if (each.due > time_.now()) return false;
    due.push_back(each);
    return true;
  });
  for (auto& each : due) {
    const auto target = nodes_.find(each.order.target);
    if (!target->second.running) each.code = errc::not_found;
    placement::move_result result;
    result.move = each.order.move;
    result.code = each.code;
    const double slots = each.order.last - each.order.first + 1;
    if (each.code == errc::ok) result.moved = static_cast<uint64_t>(slots * how_.sessions_per_slot);
    if (!routing_.on_result(each.node, result)) continue;
    dirty_ = true;
    if (each.code == errc::ok) ok_.push_back(each.order);
    if (each.code != errc::ok) ++stats_.failed;
  }
}

// ---- maps ---------------------------------------------------------------------------------------------------------

void cluster_sim::plan() {
  if (committing_ || !dirty_) return;
  dirty_ = false;
  const auto began = std::chrono::steady_clock::now();
  auto next = routing_.plan();
  const auto took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  ++stats_.plans;
  stats_.plan_seconds += took;
  stats_.plan_worst = std::max(stats_.plan_worst, took);
  take_orders();
  if (!next) return;
  committing_ = std::move(next);
  commit_due_ = time_.now() + how_.commit_time;
}

bool cluster_sim::alive(const std::string& name, const meta_state& in) const {
  const auto* node = in.find_node(name);
  return node != nullptr && node->alive;
}

void cluster_sim::check_commit(const meta_state& before, const meta_state& after) {
  const auto was = by_unit(before.sessions);
  const auto is = by_unit(after.sessions);
  for (size_t unit = 0; unit < unit_count; ++unit) {
    if (was[unit] == nullptr) continue;
    if (is[unit] == nullptr) {
      violation("a unit is nobody's");
      continue;
    }
    if (is[unit]->epoch < was[unit]->epoch) violation("an epoch falls");
    if (is[unit]->owner == was[unit]->owner) continue;
    if (is[unit]->epoch != after.version) violation("a new owner in an old epoch");
    ++changed_[unit];
    moved_at_[unit] = time_.now();
    const auto slot = static_cast<slot_type>(unit * unit_slots);
    const bool ordered = std::any_of(ok_.begin(), ok_.end(), [&](const placement::move_order& each) {
      return each.first <= slot && slot <= each.last && each.target == is[unit]->owner &&
             each.epoch == was[unit]->epoch;
    });
    ++(ordered ? stats_.ordered_units : stats_.taken_units);
    const auto* old = after.find_node(was[unit]->owner);
    const auto* same = before.find_node(was[unit]->owner);
    const bool lives = old != nullptr && old->alive && same != nullptr && same->incarnation == old->incarnation;
    const bool deaf = how_.silent > 0 || how_.refuse > 0;  // then a draining node's go at once in the end
    if (!ordered && lives && !(deaf && nodes_.at(was[unit]->owner).draining)) {
      violation("taken from " + was[unit]->owner + ", which lives, without an order");
    }
  }
}

void cluster_sim::commit(meta_state next) {
  if (chance(how_.commit_fails)) {
    routing_.uncommitted();
    dirty_ = true;
    return;
  }
  if (how_.slow_checks) check_commit(routing_.state(), next);
  if (const auto change = placement::diff(routing_.state(), next)) {
    routing::v1::Delta proto;
    placement::to_proto(*change, proto);
    stats_.delta_bytes += proto.ByteSizeLong();
    stats_.delta_worst = std::max(stats_.delta_worst, proto.ByteSizeLong());
  }
  ++stats_.commits;
  routing_.committed(std::move(next));
  std::erase_if(ok_, [&](const placement::move_order& each) {
    const auto* range = routing_.state().sessions.find(each.first);
    return range == nullptr || range->epoch != each.epoch;
  });
  dirty_ = true;
}

void cluster_sim::step() {
  time_.advance(step_time);
  if (time_.now() >= beat_due_) {
    beat();
    beat_due_ = time_.now() + std::chrono::seconds(2);
  }
  answer_orders();
  if ((time_.now() - start_) / step_time % tick_every == 0 && routing_.tick()) dirty_ = true;
  take_orders();
  if (committing_ && time_.now() >= commit_due_) commit(*std::exchange(committing_, std::nullopt));
  plan();
}

void cluster_sim::run(milliseconds time) {
  for (const auto until = now() + time; now() < until;) step();
}

bool cluster_sim::settle(milliseconds limit) {
  for (const auto until = now() + limit; now() < until;) {
    run(milliseconds(100));
    const bool busy = committing_ || dirty_ || !routing_.moves().active().empty();
    if (busy) continue;
    bool same = true;
    for (const auto& [name, node] : nodes_) {
      const auto* known = routing_.members().find(name);
      if (node.running && (node.draining || known == nullptr || !known->admitted)) same = false;
      if (!node.running && known != nullptr && known->info.alive) same = false;
    }
    if (same && routing_.preview(routing_.wanted()).empty()) return true;
  }
  return false;
}

size_t cluster_sim::imbalance() const {
  std::map<std::string, size_t> has;
  for (const auto& name : living()) has[name] = 0;
  for (const auto& each : routing_.state().sessions.ranges()) {
    has[each.owner] += (each.last - each.first + 1) / unit_slots;
  }
  size_t least = unit_count, most = 0;
  for (const auto& [name, units] : has) {
    least = std::min(least, units);
    most = std::max(most, units);
  }
  return most - least;
}

size_t cluster_sim::most_changes() const {
  size_t most = 0;
  for (const auto& [unit, times] : changed_) most = std::max(most, times);
  return most;
}

}  // namespace tern::routing::testing
