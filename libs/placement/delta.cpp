#include "libs/placement/delta.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace tern::placement {
namespace {

template <class Row>
auto position(std::vector<Row>& in, const std::string& name) {
  return std::lower_bound(in.begin(), in.end(), name,
                          [](const Row& each, const std::string& wanted) { return each.name < wanted; });
}

/// Rows of `after` that `before` does not have like this; both sorted by name.
template <class Row>
std::vector<Row> changed(const std::vector<Row>& before, const std::vector<Row>& after) {
  std::vector<Row> out;
  auto old = before.begin();
  for (const auto& each : after) {
    while (old != before.end() && old->name < each.name) ++old;
    if (old == before.end() || !(*old == each)) out.push_back(each);
  }
  return out;
}

template <class Row>
std::vector<std::string> missing(const std::vector<Row>& before, const std::vector<Row>& after) {
  std::vector<std::string> out;
  auto now = after.begin();
  for (const auto& each : before) {
    while (now != after.end() && now->name < each.name) ++now;
    if (now == after.end() || now->name != each.name) out.push_back(each.name);
  }
  return out;
}

template <class Row>
void put(std::vector<Row>& into, const std::vector<Row>& rows) {
  for (const auto& each : rows) {
    const auto at = position(into, each.name);
    if (at != into.end() && at->name == each.name) {
      *at = each;
    } else {
      into.insert(at, each);
    }
  }
}

/// The slots of `gone` that are in no range of `after` (sorted): nobody's.
void give_up(const range& gone, const std::vector<range>& after, std::vector<range>& out) {
  slot_type next = gone.first;
  auto at = std::lower_bound(after.begin(), after.end(), gone.first,
                             [](const range& each, slot_type slot) { return each.last < slot; });
  for (; at != after.end() && at->first <= gone.last; ++at) {
    if (at->first > next) out.push_back({next, at->first - 1, {}, 0});
    next = at->last + 1;
  }
  if (next <= gone.last) out.push_back({next, gone.last, {}, 0});
}

/// The ranges of `after` that `before` has not exactly so, and what is nobody's any more, by slot. Together they
/// cover every range of `before` that is not one of `after`.
std::vector<range> changed(const range_map& before, const range_map& after) {
  std::vector<range> out;
  const auto& was = before.ranges();
  const auto& is = after.ranges();
  const auto in = [](const std::vector<range>& all, const range& wanted) {
    const auto at = std::lower_bound(all.begin(), all.end(), wanted.first,
                                     [](const range& each, slot_type first) { return each.first < first; });
    return at != all.end() && *at == wanted;
  };
  for (const auto& each : is) {
    if (!in(was, each)) out.push_back(each);
  }
  for (const auto& each : was) {
    if (!in(is, each)) give_up(each, is, out);
  }
  return range_map(std::move(out)).ranges();
}

/// `over` laid over `below`: what it covers of a range of `below` is gone from that. Both sorted. Throws
/// std::invalid_argument when `over` overlaps itself.
range_map overlay(const range_map& below, const std::vector<range>& over) {
  const auto sorted = range_map(over).ranges();
  std::vector<range> out;
  out.reserve(below.ranges().size() + sorted.size());
  for (const auto& each : sorted) {
    if (!each.owner.empty()) out.push_back(each);
  }
  auto top = sorted.begin();
  for (const auto& each : below.ranges()) {
    while (top != sorted.end() && top->last < each.first) ++top;
    slot_type next = each.first;
    bool covered = false;
    for (auto at = top; at != sorted.end() && at->first <= each.last; ++at) {
      if (at->first > next) out.push_back({next, at->first - 1, each.owner, each.epoch});
      next = at->last + 1;
      covered = at->last >= each.last;
    }
    if (!covered) out.push_back({next, each.last, each.owner, each.epoch});
  }
  return range_map(std::move(out));
}

}  // namespace

std::optional<delta> diff(const snapshot& before, const snapshot& after) {
  if (!missing(before.shards, after.shards).empty()) return std::nullopt;
  delta out;
  out.from = before.version;
  out.version = after.version;
  out.nodes = changed(before.nodes, after.nodes);
  out.gone = missing(before.nodes, after.nodes);
  out.sessions = changed(before.sessions, after.sessions);
  out.groups = changed(before.groups, after.groups);
  out.storage = changed(before.storage, after.storage);
  out.shards = changed(before.shards, after.shards);
  return out;
}

result<snapshot_ptr> apply(const snapshot& to, const delta& what) {
  if (to.version != what.from) return errc::stale_epoch;
  auto made = std::make_shared<snapshot>();
  made->version = what.version;
  made->nodes = to.nodes;
  for (const auto& name : what.gone) {
    const auto at = position(made->nodes, name);
    if (at != made->nodes.end() && at->name == name) made->nodes.erase(at);
  }
  put(made->nodes, what.nodes);
  made->shards = to.shards;
  put(made->shards, what.shards);
  try {
    made->sessions = overlay(to.sessions, what.sessions);
    made->groups = overlay(to.groups, what.groups);
    made->storage = overlay(to.storage, what.storage);
  } catch (const std::invalid_argument& problem) {
    return error{errc::bad_format, problem.what()};
  }
  return snapshot_ptr(std::move(made));
}

}  // namespace tern::placement
