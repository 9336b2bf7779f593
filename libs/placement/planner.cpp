#include "libs/placement/planner.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

namespace tern::placement {
namespace {

/// The map as an array of units.
struct units {
  std::vector<int> owner = std::vector<int>(unit_count, nobody);  // index into the candidates
  std::vector<uint64_t> epoch = std::vector<uint64_t>(unit_count, 0);
};

units unfold(const range_map& now, const std::vector<candidate>& candidates) {
  std::map<std::string_view, int> index;
  for (size_t i = 0; i < candidates.size(); ++i) index.emplace(candidates[i].name, static_cast<int>(i));
  units all;
  for (const auto& each : now.ranges()) {
    const auto found = index.find(each.owner);
    for (size_t unit = each.first / unit_slots; unit <= each.last / unit_slots; ++unit) {
      all.owner[unit] = found == index.end() ? nobody : found->second;
      all.epoch[unit] = each.epoch;
    }
  }
  return all;
}

range_map fold(const units& all, const std::vector<candidate>& candidates) {
  std::vector<range> ranges;
  for (size_t unit = 0; unit < unit_count; ++unit) {
    const auto first = static_cast<slot_type>(unit * unit_slots);
    const bool same = unit > 0 && all.owner[unit] == all.owner[unit - 1] && all.epoch[unit] == all.epoch[unit - 1];
    if (!same) ranges.push_back({first, 0, candidates[static_cast<size_t>(all.owner[unit])].name, all.epoch[unit]});
    ranges.back().last = first + unit_slots - 1;
  }
  return range_map(std::move(ranges));
}

/// Units each candidate shall have, no fewer than are pinned to it: those that have most now get the odd ones, so
/// that nothing moves for them.
std::vector<size_t> quotas(const std::vector<size_t>& has, const std::vector<size_t>& pinned) {
  std::vector<size_t> open(has.size());
  std::iota(open.begin(), open.end(), 0U);
  std::vector<size_t> quota = pinned;
  size_t rest = unit_count;
  for (size_t before = 0; before != open.size() && !open.empty();) {
    before = open.size();
    const size_t share = rest / open.size();
    std::erase_if(open, [&](size_t i) {
      if (pinned[i] <= share) return false;
      rest -= pinned[i];
      return true;
    });
  }
  std::stable_sort(open.begin(), open.end(), [&](size_t a, size_t b) { return has[a] > has[b]; });
  for (size_t i = 0; i < open.size(); ++i) {
    quota[open[i]] = rest / open.size() + (i < rest % open.size() ? 1 : 0);
  }
  return quota;
}

/// Takes what is beyond the quotas from its owners: the last of their units, those that rest only for want of others.
void release(std::vector<int>& next, std::vector<size_t>& has, const std::vector<size_t>& quota,
             const unit_rules& rules) {
  for (const bool also_resting : {false, true}) {
    for (size_t unit = unit_count; unit-- > 0;) {
      if (next[unit] == nobody) continue;
      const auto owner = static_cast<size_t>(next[unit]);
      if (has[owner] <= quota[owner] || (!rules.pinned.empty() && rules.pinned[unit] != nobody)) continue;
      if (!also_resting && !rules.resting.empty() && rules.resting[unit]) continue;
      next[unit] = nobody;
      --has[owner];
    }
    if (rules.resting.empty()) return;
  }
}

}  // namespace

std::vector<int> assign_units(std::vector<int> now, size_t candidates, const unit_rules& rules) {
  if (candidates == 0) return now;
  std::vector<size_t> has(candidates, 0), pinned(candidates, 0);
  for (size_t unit = 0; unit < unit_count; ++unit) {
    if (!rules.pinned.empty() && rules.pinned[unit] != nobody) {
      now[unit] = rules.pinned[unit];
      ++pinned[static_cast<size_t>(now[unit])];
    }
    if (now[unit] != nobody) ++has[static_cast<size_t>(now[unit])];
  }
  const auto quota = quotas(has, pinned);
  release(now, has, quota, rules);
  std::vector<size_t> takers(candidates);
  std::iota(takers.begin(), takers.end(), 0U);
  const auto lacks = [&](size_t i) { return quota[i] - has[i]; };
  std::stable_sort(takers.begin(), takers.end(), [&](size_t a, size_t b) { return lacks(a) > lacks(b); });
  auto taker = takers.begin();
  for (int& owner : now) {
    if (owner != nobody) continue;
    while (lacks(*taker) == 0) ++taker;
    owner = static_cast<int>(*taker);
    ++has[*taker];
  }
  return now;
}

range_map spread(const range_map& now, const std::vector<candidate>& candidates, uint64_t new_epoch) {
  if (candidates.empty()) return now;
  units all = unfold(now, candidates);
  const auto before = std::exchange(all.owner, assign_units(all.owner, candidates.size(), {}));
  for (size_t unit = 0; unit < unit_count; ++unit) {
    const bool moved = all.owner[unit] != before[unit];
    if (moved || candidates[static_cast<size_t>(all.owner[unit])].restarted) all.epoch[unit] = new_epoch;
  }
  return fold(all, candidates);
}

std::vector<shard> assign_shards(const std::vector<shard>& now, const std::vector<candidate>& candidates,
                                 uint64_t new_epoch) {
  const auto rank = [](const candidate& of, const std::string& name) {
    return std::find(of.shards.begin(), of.shards.end(), name) - of.shards.begin();
  };
  const auto lists = [&](const candidate& of, const std::string& name) {
    return rank(of, name) < static_cast<std::ptrdiff_t>(of.shards.size());
  };
  std::map<std::string_view, size_t> load;
  auto next = now;
  std::vector<shard*> homeless;
  for (auto& each : next) {
    const auto owner = std::find_if(candidates.begin(), candidates.end(), [&](const candidate& of) {
      return of.name == each.owner && lists(of, each.name);
    });
    if (owner == candidates.end()) {
      homeless.push_back(&each);
      continue;
    }
    ++load[owner->name];
    if (owner->restarted) each.epoch = new_epoch;
  }
  for (auto* each : homeless) {
    const candidate* best = nullptr;
    for (const auto& of : candidates) {
      if (!lists(of, each->name)) continue;
      const auto better = [&] {
        return std::pair(load[of.name], rank(of, each->name)) < std::pair(load[best->name], rank(*best, each->name));
      };
      if (best == nullptr || better()) best = &of;
    }
    if (best == nullptr) continue;
    each->owner = best->name;
    each->epoch = new_epoch;
    ++load[best->name];
  }
  return next;
}

range_map first_storage_map(const std::vector<std::string>& shards, uint64_t epoch) {
  std::vector<range> ranges;
  const uint64_t count = shards.size();
  for (uint64_t i = 0; i < count; ++i) {
    const auto first = static_cast<slot_type>(i * slot_count / count);
    const auto last = static_cast<slot_type>((i + 1) * slot_count / count - 1);
    ranges.push_back({first, last, shards[i], epoch});
  }
  return range_map(std::move(ranges));
}

}  // namespace tern::placement
