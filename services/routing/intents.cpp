#include "services/routing/intents.hpp"

#include <algorithm>
#include <tuple>

namespace tern::routing {

const shard_move* intents::find_shard_move(uint64_t move) const noexcept {
  const auto at =
      std::find_if(shard_moves.begin(), shard_moves.end(), [&](const auto& one) { return one.move == move; });
  return at == shard_moves.end() ? nullptr : &*at;
}

void unpin(intents& in, range_kind kind, slot_type first, slot_type last) {
  std::vector<pin> left;
  for (const auto& each : in.pins) {
    if (each.kind != kind || each.last < first || last < each.first) {
      left.push_back(each);
      continue;
    }
    if (each.first < first) left.push_back({kind, each.first, first - 1, each.target});
    if (each.last > last) left.push_back({kind, last + 1, each.last, each.target});
  }
  in.pins = std::move(left);
}

void add_pin(intents& to, const pin& what) {
  unpin(to, what.kind, what.first, what.last);
  to.pins.push_back(what);
  std::sort(to.pins.begin(), to.pins.end(),
            [](const pin& a, const pin& b) { return std::tie(a.kind, a.first) < std::tie(b.kind, b.first); });
  std::vector<pin> joined;
  for (const auto& each : to.pins) {
    const bool goes_on = !joined.empty() && joined.back().kind == each.kind && joined.back().last + 1 == each.first &&
                         joined.back().target == each.target;
    if (goes_on) {
      joined.back().last = each.last;
    } else {
      joined.push_back(each);
    }
  }
  to.pins = std::move(joined);
}

}  // namespace tern::routing
