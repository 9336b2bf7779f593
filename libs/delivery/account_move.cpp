// What is taken along when the account gets another owner by a planned move. Messages and notices on their way are
// not: the gateways know what they wrote and wait for, and the dispatchers send what is not done again.
#include <algorithm>

#include "libs/delivery/account_delivery.hpp"

namespace tern::delivery {
namespace {

constexpr size_t dialogs_told = 32;

}  // namespace

bool account_delivery::still() const noexcept {
  if (loading_ || reload_ || backlog_retry_ || !held_.empty() || !drop_retry_.empty()) return false;
  // What waits is to be brought, but it is not known yet what that is.
  if (drain_all_ && (!known_ || more_)) return false;
  terminal_set listed = 0;  // who has a list under way, and so is known to wait for the end
  for (const auto& [id, c] : dialogs_) {
    if (c.marks != 0 || c.clears != 0 || c.retry || !c.waiting.empty() || c.now == state::marking) return false;
    if (c.now != state::draining) continue;
    if (c.work->batch == 0) return false;  // a page is being read
    listed |= c.work->audience;
  }
  // What waits in the log would come before what is on its way now: that may be lost and come again as an entry.
  const auto waits = [this](const conversation_id& id) {
    const auto at = dialogs_.find(id);
    return at != dialogs_.end() && at->second.now != state::clean;
  };
  for (const flight& one : flights_) {
    if (waits(one.what->conversation)) return false;
  }
  for (const seed& one : seeds_) {
    if (std::any_of(one.what.messages.begin(), one.what.messages.end(),
                    [&](const position& at) { return waits(at.conversation); }))
      return false;
  }
  return (asked_ & ~listed) == 0;
}

/// Every entry up to here that ever comes again is done already.
uint64_t account_delivery::surely_done(const dialog& c) const {
  uint64_t mid = c.last;
  for (const auto& gap : c.gaps) {
    if (!(covered(c, gap.first) && covered(c, gap.second))) mid = std::min(mid, gap.first - 1);
  }
  if (mid >= c.base) mid = std::max(mid, c.drained);
  for (const flight& one : flights_) {
    if (one.what->conversation == c.id) mid = std::min(mid, one.what->mid - 1);
  }
  for (const seed& one : seeds_) {
    for (const position& at : one.what.messages) {
      if (at.conversation == c.id) mid = std::min(mid, at.mid - 1);
    }
  }
  return mid;
}

memory account_delivery::remember() const {
  memory out;
  out.acknowledged = acknowledged_;
  out.known = known_ && !more_;
  std::vector<const dialog*> clean;
  for (const auto& [id, c] : dialogs_) {
    const bool automatic = c.automatic || drain_all_ || c.now == state::draining;
    if (c.now == state::clean) {
      clean.push_back(&c);
    } else if (c.room) {
      out.room_automatic = out.room_automatic || automatic;
    } else if (out.known) {
      out.waiting.push_back({id, c.other, c.floor, automatic});
      out.dialogs.push_back({id, c.other, surely_done(c)});
    }
  }
  std::sort(clean.begin(), clean.end(), [](const dialog* a, const dialog* b) { return a->used > b->used; });
  if (clean.size() > dialogs_told) clean.resize(dialogs_told);
  for (const dialog* c : clean) out.dialogs.push_back({c->id, c->other, surely_done(*c)});
  std::erase_if(out.dialogs, [](const memory::seen& one) { return one.last == 0; });
  return out;
}

void account_delivery::restore(const memory& what) {
  restored_ = true;
  known_ = what.known;
  acknowledged_ = what.acknowledged;
  for (const memory::seen& one : what.dialogs) get(one.conversation, one.other).last = one.last;
  if (!known_) return;
  for (const memory::dirty& one : what.waiting) {
    dialog& c = get(one.conversation, one.other);
    set_dirty(c, one.delivered);
    c.known = true;
    c.automatic = one.automatic;
  }
}

void account_delivery::settled() {
  if (!std::exchange(restored_, false)) return;
  drain_some();
}

}  // namespace tern::delivery
