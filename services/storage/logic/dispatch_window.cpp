#include "services/storage/logic/dispatch_window.hpp"

#include <algorithm>
#include <utility>

namespace tern::storage {

// ---- taking ------------------------------------------------------------------------------------------------------

void dispatch_window::offer(std::vector<delivery>& entries) {
  if (behind_) return;
  for (auto& entry : entries) {
    if (size() >= how_.entries_most) {
      fall_behind();
      return;
    }
    take(std::move(entry));
  }
}

void dispatch_window::page(std::vector<delivery>& entries, bool last) {
  page_asked_ = false;
  if (std::exchange(page_late_, false) || !behind_) return;
  for (auto& entry : entries) take(std::move(entry));
  if (last && !overtaken_) behind_ = false;
}

bool dispatch_window::wants_page() const noexcept {
  return behind_ && !page_asked_ && size() <= how_.entries_most / 2;
}

void dispatch_window::take(delivery&& entry) {
  const uint64_t number = entry.entry();
  if (number <= position_) return;
  position_ = number;
  if (!doors_.empty() && doors_.at(slot_of(entry.conversation().hi())) != slot_door::open) {
    left_out_ = true;
    return;
  }
  if (entry.has_message() && entry.message().target() != 0) forget_recalled(entry);
  auto [node, epoch] = owner_of(entry);
  auto& to = lanes_[node];
  const bool held = to.held.contains(entry.account());
  lane_of_.emplace(number, &to);
  to.items.emplace(number, item{std::move(entry), epoch});
  if (held) {
    to.held_entries.push_back(number);
  } else {
    to.unsent.push_back(number);
  }
}

void dispatch_window::forget_recalled(const delivery& recall) {
  for (auto& [node, one] : lanes_) {
    for (auto& [entry, held] : one.items) {
      const delivery& what = held.what;
      if (what.has_message() && what.message().mid() == recall.message().target() &&
          what.conversation().hi() == recall.conversation().hi() &&
          what.conversation().lo() == recall.conversation().lo()) {
        held.what.clear_what();
      }
    }
  }
}

std::pair<std::string, uint64_t> dispatch_window::owner_of(const delivery& entry) const {
  const auto* range = map_->sessions.find(slot_of(entry.account()));
  return range == nullptr ? std::pair{std::string{}, uint64_t{0}} : std::pair{range->owner, range->epoch};
}

// ---- changes -----------------------------------------------------------------------------------------------------

void dispatch_window::map_changed(placement::snapshot_ptr map) {
  map_ = std::move(map);
  std::map<lane*, std::vector<uint64_t>> again;
  for (auto& [entry, at] : lane_of_) {
    const auto found = at->items.find(entry);
    auto [node, epoch] = owner_of(found->second.what);
    auto& to = lanes_[node];
    if (&to == at && found->second.range_epoch == epoch) continue;
    found->second.range_epoch = epoch;
    if (&to != at) to.items.insert(at->items.extract(found));
    at = &to;
    again[&to].push_back(entry);
  }
  for (auto& [to, entries] : again) resend(*to, std::move(entries));
  for (auto& [node, one] : lanes_) release_held(one, clock::time_point::max());  // the new map may have healed it
}

void dispatch_window::set_door(slot_door_range change) {
  doors_ = doors_.with(change);
  if (change.door == slot_door::open) {
    if (std::exchange(left_out_, false)) restart();
    return;
  }
  left_out_ = true;
  std::vector<uint64_t> closed;
  for (const auto& [entry, at] : lane_of_) {
    const slot_type slot = slot_of(at->items.at(entry).what.conversation().hi());
    if (slot >= change.first && slot <= change.last) closed.push_back(entry);
  }
  for (const uint64_t entry : closed) drop(entry);
}

void dispatch_window::restart() {
  for (auto& [node, one] : lanes_) {
    one.items.clear();
    one.unsent.clear();
    one.held_entries.clear();
  }
  lane_of_.clear();
  position_ = 0;
  behind_ = true;
  overtaken_ = false;
  page_late_ = page_asked_;
}

void dispatch_window::resend(lane& to, std::vector<uint64_t> entries) {
  entries.insert(entries.end(), to.unsent.begin(), to.unsent.end());
  std::sort(entries.begin(), entries.end());
  entries.erase(std::unique(entries.begin(), entries.end()), entries.end());
  to.unsent.assign(entries.begin(), entries.end());
}

void dispatch_window::link_up(const std::string& node, std::shared_ptr<delivery_sink> out) {
  auto& to = lanes_[node];
  to.out = std::move(out);
  to.held.clear();
  to.held_entries.clear();
  to.unsent.clear();
  for (const auto& [entry, unused] : to.items) to.unsent.push_back(entry);
}

void dispatch_window::link_down(const std::string& node) {
  const auto at = lanes_.find(node);
  if (at != lanes_.end()) at->second.out.reset();
}

void dispatch_window::drop(uint64_t entry) {
  const auto at = lane_of_.find(entry);
  at->second->items.erase(entry);
  lane_of_.erase(at);
}

bool dispatch_window::is_with(uint64_t entry, const std::string& node) const {
  const auto at = lane_of_.find(entry);
  const auto of = lanes_.find(node);
  return at != lane_of_.end() && of != lanes_.end() && at->second == &of->second;
}

void dispatch_window::done(const std::string& node, const std::vector<uint64_t>& entries,
                           std::vector<uint64_t>& deletable) {
  for (const uint64_t entry : entries) {
    if (!is_with(entry, node)) continue;
    drop(entry);
    deletable.push_back(entry);
  }
}

void dispatch_window::wrong_owner(const std::string& node, const std::vector<uint64_t>& entries,
                                  clock::time_point now) {
  std::map<lane*, std::unordered_set<uint64_t>> accounts;
  for (const uint64_t entry : entries) {
    if (!is_with(entry, node)) continue;
    lane* of = lane_of_.at(entry);
    accounts[of].insert(of->items.at(entry).what.account());
  }
  for (auto& [of, refused] : accounts) {
    for (const uint64_t account : refused) of->held[account] = now + how_.hold;
    of->held_entries.clear();
    for (const auto& [entry, one] : of->items) {
      if (of->held.contains(one.what.account())) of->held_entries.push_back(entry);
    }
    std::erase_if(of->unsent, [&, held = of](uint64_t entry) {
      const auto at = held->items.find(entry);
      return at == held->items.end() || held->held.contains(at->second.what.account());
    });
  }
}

void dispatch_window::release_held(lane& of, clock::time_point now) {
  if (of.held.empty()) return;
  std::erase_if(of.held, [&](const auto& one) { return one.second <= now; });
  std::vector<uint64_t> free;
  std::erase_if(of.held_entries, [&](uint64_t entry) {
    const auto at = of.items.find(entry);
    if (at == of.items.end()) return true;
    if (of.held.contains(at->second.what.account())) return false;
    free.push_back(entry);
    return true;
  });
  if (!free.empty()) resend(of, std::move(free));
}

// ---- sending -----------------------------------------------------------------------------------------------------

bool dispatch_window::pump(clock::time_point now, std::vector<uint64_t>& deletable,
                           const std::function<void(const delivery&)>& sent) {
  bool waiting = false;
  for (auto& [node, to] : lanes_) {
    release_held(to, now);
    waiting = !to.held.empty() || waiting;
    if (to.out && !pump_lane(to, deletable, sent)) waiting = true;
  }
  return waiting;
}

bool dispatch_window::pump_lane(lane& to, std::vector<uint64_t>& deletable,
                                const std::function<void(const delivery&)>& sent) {
  std::vector<uint64_t> chunk;
  std::vector<delivery> batch;
  while (!to.unsent.empty()) {
    chunk.clear();
    batch.clear();
    collect(to, chunk, batch, deletable);
    if (batch.empty()) continue;
    if (!to.out->send_all(batch)) {
      to.unsent.insert(to.unsent.begin(), chunk.begin(), chunk.end());
      return false;
    }
    for (const uint64_t entry : chunk) {
      // A handler of a local stream may have answered from within the call.
      if (const auto at = to.items.find(entry); at != to.items.end()) sent(at->second.what);
    }
  }
  return true;
}

void dispatch_window::collect(lane& from, std::vector<uint64_t>& chunk, std::vector<delivery>& batch,
                              std::vector<uint64_t>& deletable) {
  constexpr size_t bytes_most = 512 * 1024;
  size_t bytes = 0;
  while (!from.unsent.empty() && batch.size() < how_.send_items && bytes < bytes_most) {
    const uint64_t entry = from.unsent.front();
    from.unsent.pop_front();
    const auto at = from.items.find(entry);
    if (at == from.items.end()) continue;
    if (at->second.what.what_case() == delivery::WHAT_NOT_SET) {
      drop(entry);
      deletable.push_back(entry);
      continue;
    }
    bytes += at->second.what.message().body().size() + 64;
    batch.push_back(at->second.what);
    chunk.push_back(entry);
  }
}

int64_t dispatch_window::oldest_accepted_ns() const {
  if (lane_of_.empty()) return 0;
  const auto& [entry, at] = *lane_of_.begin();
  return at->items.at(entry).what.accepted_ns();
}

}  // namespace tern::storage
