#include "libs/placement/view.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace tern::placement {

range_map::range_map(std::vector<range> ranges) : ranges_(std::move(ranges)) {
  std::sort(ranges_.begin(), ranges_.end(), [](const range& a, const range& b) { return a.first < b.first; });
  for (size_t i = 0; i < ranges_.size(); ++i) {
    if (ranges_[i].last < ranges_[i].first || ranges_[i].last >= slot_count) {
      throw std::invalid_argument("a range is reversed or beyond the last slot");
    }
    if (i > 0 && ranges_[i].first <= ranges_[i - 1].last) throw std::invalid_argument("ranges overlap");
  }
}

const range* range_map::find(slot_type slot) const noexcept {
  const auto after = std::upper_bound(ranges_.begin(), ranges_.end(), slot,
                                      [](slot_type wanted, const range& each) { return wanted < each.first; });
  if (after == ranges_.begin()) return nullptr;
  const auto& at = *std::prev(after);
  return slot <= at.last ? &at : nullptr;
}

const node* snapshot::find_node(std::string_view name) const noexcept {
  const auto at = std::find_if(nodes.begin(), nodes.end(), [&](const node& each) { return each.name == name; });
  return at == nodes.end() ? nullptr : &*at;
}

const shard* snapshot::find_shard(std::string_view name) const noexcept {
  const auto at = std::find_if(shards.begin(), shards.end(), [&](const shard& each) { return each.name == name; });
  return at == shards.end() ? nullptr : &*at;
}

snapshot_ptr view::get() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

void view::publish(snapshot_ptr next) {
  const std::lock_guard one_at_a_time(publishing_);
  snapshot_ptr previous;
  std::vector<subscriber> call;
  {
    const std::lock_guard lock(mutex_);
    if (next->version <= current_->version) return;
    previous = std::exchange(current_, next);
    call = subscribers_;
  }
  for (const auto& each : call) each(previous, next);
}

void view::subscribe(subscriber call) {
  const std::lock_guard one_at_a_time(publishing_);
  const auto now = get();
  call(now, now);
  const std::lock_guard lock(mutex_);
  subscribers_.push_back(std::move(call));
}

}  // namespace tern::placement
