#include "services/routing/shard_plan.hpp"

#include <algorithm>
#include <optional>

namespace tern::routing {
namespace {

using placement::range;

error complaint(errc code, std::string text) { return {code, std::move(text)}; }

uint64_t length(slot_span of) { return uint64_t{of.second} - of.first + 1; }

bool overlap(slot_span a, slot_span b) { return a.first <= b.second && b.first <= a.second; }

/// `spans` without `hole`.
std::vector<slot_span> without(const std::vector<slot_span>& spans, slot_span hole) {
  std::vector<slot_span> out;
  for (const auto& one : spans) {
    if (!overlap(one, hole)) {
      out.push_back(one);
      continue;
    }
    if (one.first < hole.first) out.emplace_back(one.first, hole.first - 1);
    if (one.second > hole.second) out.emplace_back(hole.second + 1, one.second);
  }
  return out;
}

/// What the shard has and no move is about, by slot; never across two ranges of the map.
std::vector<slot_span> free_slots(const meta_state& state, const intents& wanted, const std::string& shard) {
  std::vector<slot_span> all;
  for (const auto& each : state.storage.ranges()) {
    if (each.owner == shard) all.emplace_back(each.first, each.last);
  }
  for (const auto& one : wanted.shard_moves) all = without(all, {one.first, one.last});
  return all;
}

/// The last `count` slots of `from`, taken out of it.
std::vector<slot_span> take_last(std::vector<slot_span>& from, uint64_t count) {
  std::vector<slot_span> out;
  while (count > 0 && !from.empty()) {
    auto& last = from.back();
    const auto take = std::min(count, length(last));
    const auto begin = static_cast<slot_type>(last.second - take + 1);
    out.emplace_back(begin, last.second);
    count -= take;
    if (begin == last.first) {
      from.pop_back();
    } else {
      last.second = begin - 1;
    }
  }
  return out;
}

shard_move move_of(const std::string& source, const std::string& target, slot_span slots) {
  shard_move made;
  made.first = slots.first;
  made.last = slots.second;
  made.source = source;
  made.target = target;
  return made;
}

std::string text(slot_span of) { return std::to_string(of.first) + "-" + std::to_string(of.second); }

result<void> known(const meta_state& state, const std::string& shard) {
  if (state.find_shard(shard) != nullptr) return {};
  return complaint(errc::not_found, "no shard '" + shard + "' is known");
}

result<void> may_go(const meta_state& state, const intents& wanted, const std::string& source,
                    const std::string& target) {
  for (const auto& name : {source, target}) {
    if (const auto there = known(state, name); !there) return there;
  }
  if (source == target) return complaint(errc::bad_parameter, "source and target are the same shard");
  if (wanted.is_draining(target)) return complaint(errc::unavailable, "shard " + target + " is being drained");
  if (state.find_shard(target)->owner.empty())
    return complaint(errc::unavailable, "no storage node serves shard " + target);
  return {};
}

/// Who takes slots, by what they will have.
std::vector<std::pair<std::string, uint64_t>> takers(const meta_state& state, const intents& wanted,
                                                     const std::string& without = {}) {
  std::vector<std::pair<std::string, uint64_t>> out;
  for (const auto& each : state.shards) {
    if (each.name == without || each.owner.empty() || wanted.is_draining(each.name)) continue;
    out.emplace_back(each.name, slots_then(state, wanted, each.name));
  }
  return out;
}

}  // namespace

uint64_t slots_now(const meta_state& state, const std::string& shard) {
  uint64_t sum = 0;
  for (const auto& each : state.storage.ranges()) {
    if (each.owner == shard) sum += length({each.first, each.last});
  }
  return sum;
}

uint64_t slots_then(const meta_state& state, const intents& wanted, const std::string& shard) {
  auto sum = slots_now(state, shard);
  for (const auto& one : wanted.shard_moves) {
    if (one.what != shard_move::wish::go || one.kept_since != 0) continue;
    const auto* now = state.storage.find(one.first);
    if (now == nullptr || now->owner != one.source) continue;
    if (one.source == shard) sum -= length({one.first, one.last});
    if (one.target == shard) sum += length({one.first, one.last});
  }
  return sum;
}

placement::range_map given(const placement::range_map& map, const std::string& source, const std::string& target,
                           slot_span slots, uint64_t epoch) {
  std::vector<range> next;
  for (const auto& each : map.ranges()) {
    const slot_span here{each.first, each.last};
    if (!overlap(here, slots) || each.owner != source) {
      next.push_back(each);
      continue;
    }
    for (const auto& rest : without({here}, slots)) next.push_back({rest.first, rest.second, each.owner, each.epoch});
    next.push_back({std::max(each.first, slots.first), std::min(each.last, slots.second), target, epoch});
  }
  return placement::range_map(std::move(next));
}

result<std::vector<shard_move>> plan_move(const meta_state& state, const intents& wanted, const std::string& source,
                                          const std::string& target, slot_span slots) {
  if (const auto may = may_go(state, wanted, source, target); !may) return may.error();
  if (slots.first > slots.second || slots.second >= slot_count) {
    return complaint(errc::bad_parameter,
                     "slots are 0 to " + std::to_string(slot_count - 1) + ", the first not after the last");
  }
  const bool all = slots == slot_span{0, slot_count - 1};
  for (const auto& one : wanted.shard_moves) {
    if (!overlap({one.first, one.last}, slots)) continue;
    if (all && state.storage.find(one.first)->owner != source) continue;
    return complaint(errc::unavailable, "slots " + text({one.first, one.last}) + " are part of move " +
                                            std::to_string(one.move) +
                                            (one.kept_since != 0 ? ": finish it or roll it back first" : ""));
  }
  std::vector<shard_move> out;
  for (const auto& each : state.storage.ranges()) {
    if (!overlap({each.first, each.last}, slots)) continue;
    const slot_span part{std::max(each.first, slots.first), std::min(each.last, slots.second)};
    if (each.owner != source && all) continue;
    if (each.owner != source) {
      return complaint(errc::bad_parameter, "slots " + text(part) + " are on shard " + each.owner);
    }
    out.push_back(move_of(source, target, part));
  }
  if (out.empty()) return complaint(errc::unavailable, "shard " + source + " has no slots");
  return out;
}

result<std::vector<shard_move>> plan_split(const meta_state& state, const intents& wanted, const std::string& source,
                                           const std::string& target) {
  if (const auto may = may_go(state, wanted, source, target); !may) return may.error();
  auto left = free_slots(state, wanted, source);
  uint64_t all = 0;
  for (const auto& each : left) all += length(each);
  if (all < 2)
    return complaint(errc::unavailable, "shard " + source + " has nothing to split that is not on the move");
  std::vector<shard_move> out;
  for (const auto& each : take_last(left, all / 2)) out.push_back(move_of(source, target, each));
  return out;
}

result<std::vector<shard_move>> plan_drain(const meta_state& state, const intents& wanted, const std::string& shard) {
  if (const auto there = known(state, shard); !there) return there.error();
  auto into = takers(state, wanted, shard);
  if (into.empty()) return complaint(errc::unavailable, "there is no other shard to drain " + shard + " to");
  for (const auto& one : wanted.shard_moves) {
    const bool kept_here = one.kept_since != 0 && one.target == shard;
    const bool comes = one.kept_since == 0 && one.target == shard && one.what == shard_move::wish::go;
    if (kept_here || comes) {
      return complaint(errc::unavailable, "slots " + text({one.first, one.last}) + " came with move " +
                                              std::to_string(one.move) + ": finish it or roll it back first");
    }
  }
  auto left = free_slots(state, wanted, shard);
  uint64_t all = 0;
  for (const auto& each : left) all += length(each);
  uint64_t total = all;
  for (const auto& each : into) total += each.second;
  // Up to the same level; who has more already gets nothing.
  std::sort(into.begin(), into.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  std::vector<shard_move> out;
  for (size_t i = 0; i < into.size(); ++i) {
    const auto level = total / (into.size() - i);
    const auto take = into[i].second >= level ? 0 : std::min(level - into[i].second, all);
    for (const auto& each : take_last(left, take)) out.push_back(move_of(shard, into[i].first, each));
    all -= take;
    total -= into[i].second + take;
  }
  return out;
}

std::vector<shard_move> plan_rebalance(const meta_state& state, const intents& wanted) {
  auto all = takers(state, wanted);
  uint64_t total = 0;
  for (const auto& each : all) total += each.second;
  std::vector<shard_move> out;
  if (all.empty()) return out;
  // The larger shares go to who has most: nothing moves only to round.
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  struct need {
    std::string name;
    uint64_t count;
  };
  std::vector<need> over, under;
  for (size_t i = 0; i < all.size(); ++i) {
    const auto share = total / all.size() + (i < total % all.size() ? 1 : 0);
    if (all[i].second > share) over.push_back({all[i].first, all[i].second - share});
    if (all[i].second < share) under.push_back({all[i].first, share - all[i].second});
  }
  auto to = under.begin();
  for (auto& from : over) {
    auto left = free_slots(state, wanted, from.name);
    while (from.count > 0 && to != under.end() && !left.empty()) {
      const auto some = std::min(from.count, to->count);
      uint64_t taken = 0;
      for (const auto& each : take_last(left, some)) {
        out.push_back(move_of(from.name, to->name, each));
        taken += length(each);
      }
      from.count -= taken;
      to->count -= taken;
      if (to->count == 0) ++to;
    }
  }
  return out;
}

shard_move way_back(const shard_move& kept) {
  auto made = move_of(kept.target, kept.source, {kept.first, kept.last});
  made.back_of = kept.move;
  made.bytes_per_second = kept.bytes_per_second;
  return made;
}

}  // namespace tern::routing
