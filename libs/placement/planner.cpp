#include "libs/placement/planner.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

namespace tern::placement {
namespace {

constexpr size_t unit_count = slot_count / unit_slots;
constexpr int nobody = -1;  // no owner, or one that is no candidate

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

/// Units each candidate shall have: those that have most now get the odd ones, so that nothing moves for them.
std::vector<size_t> quotas(const units& all, size_t count) {
  std::vector<size_t> has(count, 0);
  for (const int owner : all.owner) {
    if (owner != nobody) ++has[static_cast<size_t>(owner)];
  }
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return has[a] > has[b]; });
  std::vector<size_t> quota(count, unit_count / count);
  for (size_t i = 0; i < unit_count % count; ++i) ++quota[order[i]];
  return quota;
}

/// Who still lacks units, most first.
size_t neediest(const std::vector<size_t>& lacks) {
  return static_cast<size_t>(std::max_element(lacks.begin(), lacks.end()) - lacks.begin());
}

}  // namespace

range_map spread(const range_map& now, const std::vector<candidate>& candidates, uint64_t new_epoch) {
  if (candidates.empty()) return now;
  units all = unfold(now, candidates);
  const auto before = all.owner;
  auto lacks = quotas(all, candidates.size());
  for (int& owner : all.owner) {
    if (owner == nobody) continue;
    auto& left = lacks[static_cast<size_t>(owner)];
    if (left == 0) {
      owner = nobody;  // beyond its quota
    } else {
      --left;
    }
  }
  size_t taker = neediest(lacks);
  for (int& owner : all.owner) {
    if (owner != nobody) continue;
    if (lacks[taker] == 0) taker = neediest(lacks);
    owner = static_cast<int>(taker);
    --lacks[taker];
  }
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
