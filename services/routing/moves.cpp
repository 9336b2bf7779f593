#include "services/routing/moves.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>

namespace tern::routing {
namespace {

using placement::nobody;
using placement::unit_count;
using placement::unit_slots;
using phase = move_record::phase;

constexpr auto first_pause = std::chrono::milliseconds(200);  // after a failure; doubled with each further one
constexpr int most_doublings = 6;
constexpr int drain_failures = 3;  // a draining node's ranges that cannot be handed over go as in a takeover
constexpr auto newcomer = std::chrono::seconds(60);
constexpr size_t history = 32;

size_t unit_of(slot_type slot) { return slot / unit_slots; }

}  // namespace

std::string_view to_string(move_reason reason) noexcept {
  constexpr std::array<std::string_view, move_reasons> names{"first",   "join",    "death",   "drain",
                                                             "restart", "balance", "operator"};
  return names[static_cast<size_t>(reason)];
}

/// A map unfolded into units, with everybody who owns some or may.
struct mover::board {
  std::vector<std::string> names;         // candidates first
  std::vector<const table::member*> who;  // as names; null: not known
  std::vector<bool> restarted;            // as names
  std::vector<bool> leaves;               // as names: alive, and its ranges are to go elsewhere
  size_t candidates = 0;
  std::vector<int> owner = std::vector<int>(unit_count, nobody);  // index into names
  std::vector<uint64_t> epoch = std::vector<uint64_t>(unit_count, 0);
  std::vector<int> move = std::vector<int>(unit_count, -1);  // index into active_
  std::vector<int> target_of;                                // of moves of active_: index into names
  std::vector<int> want;                                     // who shall have it
  placement::unit_rules rules;
  std::vector<size_t> owned;  // units, as names

  bool pinned(size_t unit) const { return !rules.pinned.empty() && rules.pinned[unit] != nobody; }
  /// Its owner is to be rid of it, or an operator says so: no rest.
  bool urgent(size_t unit) const { return pinned(unit) || leaves[static_cast<size_t>(owner[unit])]; }
  placement::range_map fold() const;
};

/// Units in a row that go the same way.
struct mover::run {
  size_t first = 0;
  size_t count = 0;
  int from = nobody;
  int to = nobody;
  bool urgent = false;
};

placement::range_map mover::board::fold() const {
  std::vector<placement::range> ranges;
  for (size_t unit = 0; unit < unit_count; ++unit) {
    if (owner[unit] == nobody) continue;
    const auto first = static_cast<slot_type>(unit * unit_slots);
    const bool same = unit > 0 && owner[unit] == owner[unit - 1] && epoch[unit] == epoch[unit - 1];
    if (!same) ranges.push_back({first, 0, names[static_cast<size_t>(owner[unit])], epoch[unit]});
    ranges.back().last = first + unit_slots - 1;
  }
  return placement::range_map(std::move(ranges));
}

// ---- what is ------------------------------------------------------------------------------------------------------

void mover::read(const situation& at, board& on) const {
  std::unordered_map<std::string_view, int> index;
  const auto add = [&](const std::string& name, bool restarted) {
    const auto [found, fresh] = index.try_emplace(name, static_cast<int>(on.names.size()));
    if (!fresh) return found->second;
    const auto* who = at.members->find(name);  // stays: nobody changes the table meanwhile
    const bool candidate = on.names.size() < at.candidates->size();
    on.names.push_back(name);
    on.who.push_back(who);
    on.restarted.push_back(restarted);
    on.leaves.push_back(!candidate && who != nullptr && who->info.alive &&
                        (!who->slots_wanted || at.drained->contains(name)));
    return found->second;
  };
  for (const auto& each : *at.candidates) add(each.name, each.restarted);
  on.candidates = on.names.size();
  for (const auto& each : at.now->ranges()) {
    const int owner = add(each.owner, false);
    for (size_t unit = unit_of(each.first); unit <= unit_of(each.last); ++unit) {
      on.owner[unit] = owner;
      on.epoch[unit] = each.epoch;
    }
  }
  on.owned.assign(on.names.size(), 0);
  for (const int owner : on.owner) {
    if (owner != nobody) ++on.owned[static_cast<size_t>(owner)];
  }
}

void mover::read_moves(const situation& at, board& on) const {
  std::unordered_map<std::string_view, int> index;
  for (size_t i = 0; i < on.candidates; ++i) index.emplace(on.names[i], static_cast<int>(i));
  on.target_of.assign(active_.size(), nobody);
  for (size_t i = 0; i < active_.size(); ++i) {
    if (active_[i].order.kind != at.kind) continue;
    if (const auto target = index.find(active_[i].order.target); target != index.end()) {
      on.target_of[i] = target->second;
    }
    for (size_t unit = unit_of(active_[i].order.first); unit <= unit_of(active_[i].order.last); ++unit) {
      on.move[unit] = static_cast<int>(i);
    }
  }
}

void mover::read_pins(const situation& at, board& on) const {
  for (const auto& each : *at.pins) {
    if (each.kind != at.kind) continue;
    const auto last = on.names.begin() + static_cast<std::ptrdiff_t>(on.candidates);
    const auto found = std::find(on.names.begin(), last, each.target);
    if (found == last) continue;  // it drains: the pin counts again when it does not
    if (on.rules.pinned.empty()) on.rules.pinned.assign(unit_count, nobody);
    for (size_t unit = unit_of(each.first); unit <= unit_of(each.last); ++unit) {
      on.rules.pinned[unit] = static_cast<int>(found - on.names.begin());
    }
  }
}

/// What is, and what shall be: moves under way count as done.
mover::board mover::survey(const situation& at) const {
  board on;
  read(at, on);
  read_moves(at, on);
  read_pins(at, on);
  on.rules.resting.resize(unit_count);
  if (const auto found = rest_.find(at.kind); found != rest_.end()) {
    const auto now = time_.now();
    for (size_t unit = 0; unit < unit_count; ++unit) on.rules.resting[unit] = found->second[unit] > now;
  }
  on.want = on.owner;
  if (on.candidates == 0) return on;
  std::vector<int> soon(unit_count, nobody);
  for (size_t unit = 0; unit < unit_count; ++unit) {
    if (on.move[unit] >= 0) {
      soon[unit] = on.target_of[static_cast<size_t>(on.move[unit])];
      on.rules.resting[unit] = true;
    } else if (on.owner[unit] < static_cast<int>(on.candidates)) {
      soon[unit] = on.owner[unit];
    }
  }
  on.want = placement::assign_units(std::move(soon), on.candidates, on.rules);
  return on;
}

// ---- what is to be ------------------------------------------------------------------------------------------------

bool mover::at_once(const board& on, size_t unit) const {
  const int owner = on.owner[unit];
  if (owner == nobody) return true;
  const auto* from = on.who[static_cast<size_t>(owner)];
  const auto* to = on.who[static_cast<size_t>(on.want[unit])];
  if (from == nullptr || !from->info.alive || from->restarted) return true;
  if (!from->moves || to == nullptr || !to->moves) return true;
  if (!on.leaves[static_cast<size_t>(owner)]) return false;
  const auto known = troubles_.find(from->info.name);
  return known != troubles_.end() && (known->second.deaf || known->second.is_forced(unit * unit_slots));
}

void mover::settle(const situation& at, board& on) {
  for (size_t unit = 0; unit < unit_count; ++unit) {
    const int owner = on.owner[unit];
    if (on.move[unit] >= 0) {
      auto& under_way = active_[static_cast<size_t>(on.move[unit])];
      if (under_way.now == phase::ordered) {
        on.want[unit] = owner;
        continue;
      }
      under_way.now = phase::committing;
      on.want[unit] = on.target_of[static_cast<size_t>(on.move[unit])];
    } else if (on.want[unit] == owner) {
      if (owner != nobody && on.restarted[static_cast<size_t>(owner)]) on.epoch[unit] = at.new_epoch;
      continue;
    } else if (owner != nobody) {
      const auto* who = on.who[static_cast<size_t>(owner)];
      const bool alive = who != nullptr && who->info.alive;
      const bool soon = owner >= static_cast<int>(on.candidates) && alive && !on.leaves[static_cast<size_t>(owner)];
      const bool rests = alive && !on.urgent(unit) && on.rules.resting[unit];
      if (rests) look_at(rest_[at.kind][unit]);
      if (soon || rests) {  // soon: it is back, and a candidate in a moment
        on.want[unit] = owner;
        continue;
      }
      if (!at_once(on, unit)) continue;
    }
    on.owner[unit] = on.want[unit];
    on.epoch[unit] = at.new_epoch;
  }
}

placement::range_map mover::plan(const situation& at, bool order) {
  auto on = survey(at);
  if (on.candidates == 0) return *at.now;
  settle(at, on);
  if (order) issue(at, on);
  return on.fold();
}

// ---- orders -------------------------------------------------------------------------------------------------------

std::vector<mover::run> mover::runs(const board& on) {
  std::vector<run> found;
  for (size_t unit = 0; unit < unit_count; ++unit) {
    const int owner = on.owner[unit];
    if (owner == nobody || on.want[unit] == owner) continue;
    const bool urgent = on.urgent(unit);
    const bool same = !found.empty() && found.back().first + found.back().count == unit &&
                      found.back().from == owner && found.back().to == on.want[unit] &&
                      on.epoch[unit] == on.epoch[unit - 1] && found.back().urgent == urgent;
    if (same) {
      ++found.back().count;
    } else {
      found.push_back({unit, 1, owner, on.want[unit], urgent});
    }
  }
  return found;
}

/// Units that hold about as many sessions as one order shall carry.
size_t mover::piece(const board& on, const run& one) const {
  const auto load = on.who[static_cast<size_t>(one.from)]->load;
  const auto owned = on.owned[static_cast<size_t>(one.from)];
  if (load <= how_.sessions) return one.count;
  return std::clamp<size_t>(how_.sessions * owned / load, 1, one.count);
}

bool mover::blocked(const std::string& node) {
  const auto known = troubles_.find(node);
  if (known == troubles_.end() || known->second.not_before <= time_.now()) return false;
  look_at(known->second.not_before);
  return true;
}

void mover::issue(const situation& at, const board& on) {
  auto all = runs(on);
  std::stable_sort(all.begin(), all.end(), [](const run& a, const run& b) { return a.urgent && !b.urgent; });
  for (auto& each : all) {
    while (each.count > 0) {
      const size_t sent = issue(at, on, each);
      if (sent == 0) break;
      each.first += sent;
      each.count -= sent;
    }
  }
}

/// One order for the beginning of the run; how many units it is about: none, when it would be too many at once.
size_t mover::issue(const situation& at, const board& on, const run& one) {
  const auto* from = on.who[static_cast<size_t>(one.from)];
  const auto* to = on.who[static_cast<size_t>(one.to)];
  if (!from->connected || !to->connected) return 0;  // back soon, or dead soon
  const auto& source = from->info.name;
  const auto& target = to->info.name;
  if (busy(source) >= how_.per_node || busy(target) >= how_.per_node || blocked(source) || blocked(target)) return 0;
  const size_t units = piece(on, one);
  move_record made;
  made.order.move = term_ << 32U | ++counter_;
  made.order.kind = at.kind;
  made.order.first = static_cast<slot_type>(one.first * unit_slots);
  made.order.last = static_cast<slot_type>((one.first + units) * unit_slots - 1);
  made.order.epoch = on.epoch[one.first];
  made.order.target = target;
  made.order.address = to->info.address;
  made.source = source;
  made.source_incarnation = from->info.incarnation;
  made.target_incarnation = to->info.incarnation;
  made.reason = reason_of(on, one);
  made.sent = 1;
  made.began = made.sent_at = time_.now();
  ++busy_[source];
  ++busy_[target];
  outbox_.push_back({source, made.order});
  active_.push_back(std::move(made));
  return units;
}

move_reason mover::reason_of(const board& on, const run& one) const {
  if (on.pinned(one.first)) return move_reason::by_hand;
  if (on.leaves[static_cast<size_t>(one.from)]) return move_reason::drain;
  return is_new(on.who[static_cast<size_t>(one.to)]) ? move_reason::join : move_reason::balance;
}

bool mover::is_new(const table::member* who) const {
  return who != nullptr && who->admitted_at != time_point{} && who->admitted_at + newcomer > time_.now();
}

size_t mover::busy(const std::string& node) const {
  const auto found = busy_.find(node);
  return found == busy_.end() ? 0 : found->second;
}

// ---- what becomes of them -----------------------------------------------------------------------------------------

bool mover::on_result(const std::string& node, const placement::move_result& result) {
  const auto found = std::find_if(active_.begin(), active_.end(), [&](const move_record& each) {
    return each.order.move == result.move && each.source == node && each.now == phase::ordered;
  });
  if (const auto known = troubles_.find(node); known != troubles_.end()) known->second.deaf = false;
  if (found == active_.end()) return false;
  found->moved = result.moved;
  found->frozen = result.frozen;
  if (result.code == errc::ok) {
    troubles_.erase(found->source);
    troubles_.erase(found->order.target);
    found->now = phase::ready;
    found->ready_at = time_.now();
  } else {
    fail(*found, result.code, false);
    sweep();
  }
  return true;
}

/// Who is to blame gets a pause: the target when it refused or was not there, else the source.
void mover::fail(move_record& one, errc code, bool silent) {
  // A source that says `deadline` has waited for the target in vain.
  const bool refused = !silent && (code == errc::overload || code == errc::not_found || code == errc::unavailable ||
                                   code == errc::deadline);
  auto& blamed = troubles_[refused ? one.order.target : one.source];
  const auto pause = first_pause * (1 << std::min(blamed.failures, most_doublings));
  // repeated: the source is still busy with an order that was given up. Nobody's fault.
  if (code != errc::repeated) ++blamed.failures;
  blamed.not_before = time_.now() + pause;
  look_at(blamed.not_before);
  auto& source = troubles_[one.source];
  if (refused) ++source.failures;
  if (silent) source.deaf = true;
  if (source.failures >= drain_failures) source.forced.emplace_back(one.order.first, one.order.last);
  end(one, phase::failed, code);
}

void mover::end(move_record& one, phase how, errc code) {
  one.now = how;
  one.code = code;
  one.ended = time_.now();
  for (const auto& node : {one.source, one.order.target}) {
    const auto found = busy_.find(node);
    if (found != busy_.end() && --found->second == 0) busy_.erase(found);
  }
  ++(how == phase::done ? done_ : failed_);
  fresh_.push_back(one);
  ended_.push_front(one);
  if (ended_.size() > history) ended_.pop_back();
}

void mover::sweep() {
  std::erase_if(active_, [](const move_record& each) { return each.now >= phase::done; });
}

bool mover::tick() {
  const auto now = time_.now();
  const size_t before = active_.size();
  for (auto& each : active_) {
    if (each.now == phase::ready && each.ready_at + how_.keep <= now) {
      end(each, phase::failed, errc::cancelled);  // it was not committed in time, and is not still any more
    } else if (each.now == phase::ordered && each.sent_at + how_.timeout <= now) {
      if (each.sent >= how_.attempts) {
        fail(each, errc::deadline, true);
      } else {
        ++each.sent;
        each.sent_at = now;
        outbox_.push_back({each.source, each.order});
      }
    }
  }
  sweep();
  const bool look = look_at_ <= now;
  if (look) look_at_ = time_point::max();
  return look || active_.size() != before;
}

void mover::review(const table& members, const std::function<bool(const std::string&)>& takes) {
  for (auto& each : active_) {
    const auto same = [&](const std::string& name, uint64_t incarnation) {
      const auto* who = members.find(name);
      return who != nullptr && who->info.alive && who->info.incarnation == incarnation;
    };
    if (!same(each.source, each.source_incarnation) || !same(each.order.target, each.target_incarnation) ||
        !takes(each.order.target)) {
      end(each, phase::failed, errc::cancelled);
    }
  }
  sweep();
  std::erase_if(troubles_, [&](const auto& each) {
    const auto* who = members.find(each.first);
    return who == nullptr || !who->info.alive || who->restarted;
  });
}

void mover::committed(range_kind kind, const placement::range_map& before, const placement::range_map& after) {
  const auto now = time_.now();
  for (auto& each : active_) {
    if (each.order.kind != kind || each.now != phase::committing) continue;
    const auto* range = after.find(each.order.first);
    const bool there = range != nullptr && range->owner == each.order.target;
    end(each, there ? phase::done : phase::failed, there ? errc::ok : errc::cancelled);
  }
  sweep();
  auto& rest = rest_[kind];
  rest.resize(unit_count);
  const placement::range* was = nullptr;
  for (const auto& each : after.ranges()) {
    for (size_t unit = unit_of(each.first); unit <= unit_of(each.last); ++unit) {
      const auto slot = static_cast<slot_type>(unit * unit_slots);
      if (was == nullptr || slot < was->first || slot > was->last) was = before.find(slot);
      if (was != nullptr && was->owner != each.owner) rest[unit] = now + how_.rest;
    }
  }
}

void mover::uncommitted() {
  for (auto& each : active_) {
    if (each.now == phase::committing) each.now = phase::ready;
  }
}

void mover::wake() {
  rest_.clear();
  for (auto& [node, each] : troubles_) each.not_before = {};
  look_at_ = time_.now();
}

std::vector<move_record> mover::preview(const situation& at) const {
  auto on = survey(at);
  for (size_t unit = 0; unit < unit_count; ++unit) {
    if (on.move[unit] >= 0) on.want[unit] = on.owner[unit];
  }
  std::vector<move_record> found;
  for (const auto& each : runs(on)) {
    move_record made;
    made.now = phase::planned;
    made.order.kind = at.kind;
    made.order.first = static_cast<slot_type>(each.first * unit_slots);
    made.order.last = static_cast<slot_type>((each.first + each.count) * unit_slots - 1);
    made.order.epoch = on.epoch[each.first];
    made.order.target = on.names[static_cast<size_t>(each.to)];
    made.source = on.names[static_cast<size_t>(each.from)];
    made.reason = reason_of(on, each);
    found.push_back(std::move(made));
  }
  return found;
}

}  // namespace tern::routing
