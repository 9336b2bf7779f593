// Live deliveries: new entries, acknowledgements, terminals that come and go, the way into the backlog.
#include "libs/delivery/account_delivery.hpp"

#include <algorithm>

namespace tern::delivery {
namespace {

constexpr size_t notices_remembered = 64;

}  // namespace

account_delivery::dialog* account_delivery::find(const conversation_id& id) {
  const auto at = dialogs_.find(id);
  return at == dialogs_.end() ? nullptr : &at->second;
}

account_delivery::dialog& account_delivery::get(const conversation_id& id, account_id other) {
  dialog* c = find(id);
  if (c == nullptr) {
    trim_dialogs();
    c = &dialogs_[id];
    c->id = id;
    c->known = known_ && !more_;
  }
  if (!c->other) c->other = other;
  c->used = ++uses_;
  return *c;
}

void account_delivery::trim_dialogs() {
  if (dialogs_.size() < limits_->conversations) return;
  auto oldest = dialogs_.end();
  for (auto at = dialogs_.begin(); at != dialogs_.end(); ++at) {
    if (at->second.now != state::clean || at->second.clears != 0) continue;
    const auto in_flight = [&](const flight& one) { return one.what->conversation == at->first; };
    if (std::any_of(flights_.begin(), flights_.end(), in_flight)) continue;
    if (oldest == dialogs_.end() || at->second.used < oldest->second.used) oldest = at;
  }
  if (oldest != dialogs_.end()) dialogs_.erase(oldest);
}

void account_delivery::attach(terminal_slot slot) {
  terminals_ |= only(slot);
  for (flight& one : flights_) {
    if (one.recalled) continue;
    one.holders |= only(slot);
    out_.deliver(only(slot), *one.what);
  }
}

void account_delivery::detach(terminal_slot slot) {
  const terminal_set bit = only(slot);
  terminals_ &= ~bit;
  asked_ &= ~bit;
  give_up_claims(slot);
  for (notice& one : notices_) {
    one.holders &= ~bit;
    one.sent &= ~bit;
  }
  std::erase_if(notices_, [](const notice& one) { return one.holders == 0; });
  for (auto& [id, c] : dialogs_) leave_drain(c, slot);
  std::vector<flight> lost;
  for (flight& one : flights_) {
    one.holders &= ~bit;
    if (one.holders == 0) lost.push_back(std::move(one));
  }
  std::erase_if(flights_, [](const flight& one) { return one.what == nullptr; });
  for (flight& one : lost) {
    flight_bytes_ -= one.what->body.size();
    orphan(std::move(one));
  }
  drain_some();
}

void account_delivery::orphan(flight lost) {
  if (terminals_ != 0 && lost.recalled) {
    out_.done(lost.entry);
    return;
  }
  if (terminals_ != 0) {
    // Everybody there now has been sent it before or is sent it now: see attach().
    send_live(std::move(lost.entry), std::move(lost.what), terminals_, terminals_);
    return;
  }
  dialog& c = get(lost.what->conversation, lost.what->sender);
  const uint64_t mid = lost.what->mid;
  c.last = std::max(c.last, mid);
  c.live_to = std::min(c.live_to, mid - 1);
  if (c.now == state::dirty && mid > c.floor) {
    out_.done(lost.entry);
  } else if (c.now == state::marking && mid > c.floor) {
    c.waiting.push_back(std::move(lost.entry));
  } else {
    mark(c, mid - 1, std::move(lost.entry));
  }
}

bool account_delivery::passed_over(const dialog& c, uint64_t mid) {
  return std::any_of(c.gaps.begin(), c.gaps.end(),
                     [mid](const auto& gap) { return gap.first <= mid && mid <= gap.second; });
}

/// Entries come in mid order; one that was refused here a moment ago may still come after its successors. What lies
/// between two mids that came by is remembered for a while, so that a late entry is not taken for a repeat.
void account_delivery::come_by(dialog& c, uint64_t mid) {
  constexpr size_t most = 8;
  if (mid > c.last) {
    if (mid > c.last + 1) {
      if (c.gaps.size() >= most) c.gaps.erase(c.gaps.begin());
      c.gaps.emplace_back(c.last + 1, mid - 1);
    }
    c.last = mid;
    return;
  }
  for (auto& gap : c.gaps) {
    if (mid < gap.first || gap.second < mid) continue;
    const auto rest = std::pair{mid + 1, gap.second};
    gap.second = mid - 1;
    if (rest.first <= rest.second && c.gaps.size() < most) c.gaps.push_back(rest);
    break;
  }
  std::erase_if(c.gaps, [](const auto& gap) { return gap.first > gap.second; });
}

bool account_delivery::withdrawn(const dialog& c, const message& what) {
  return std::find(c.recalled.begin(), c.recalled.end(), what.mid) != c.recalled.end();
}

/// What has not been written to a terminal by now is not written any more.
void account_delivery::recall(dialog& c, const message& what) {
  constexpr size_t most = 8;
  for (flight& one : flights_) {
    if (one.what->conversation == c.id && one.what->mid == what.target) one.recalled = true;
  }
  if (what.target > c.last || passed_over(c, what.target)) {
    if (c.recalled.size() == most) c.recalled.erase(c.recalled.begin());
    c.recalled.push_back(what.target);
  }
}

void account_delivery::on_message(entry_ref entry, message_ptr what) {
  dialog* known = find(what->conversation);
  if (known != nullptr && what->mid <= known->last &&
      (!passed_over(*known, what->mid) || claimed({what->conversation, what->mid}))) {
    known->used = ++uses_;
    const bool early = terminals_ != 0 && !known_ && claimed({what->conversation, what->mid});
    if (!early) return repeat(*known, std::move(entry), std::move(what));
  }
  if (what->body.empty() && what->target == 0) return out_.done(entry);  // recalled before it was brought here
  // Once something is held back, what follows is held back too, whoever is there: order within a conversation.
  if (!held_.empty() || (terminals_ != 0 && !known_)) {
    if (what->target != 0) {
      std::erase_if(held_, [&](const auto& one) {
        const bool recalled = one.second->conversation == what->conversation && one.second->mid == what->target;
        if (recalled) out_.done(one.first);
        return recalled;
      });
    }
    held_.emplace_back(std::move(entry), std::move(what));
    if (!loading_) request_backlog();
    return;
  }
  dialog& c = get(what->conversation, what->sender);
  accept(c, std::move(entry), std::move(what));
}

void account_delivery::accept(dialog& c, entry_ref entry, message_ptr what) {
  const uint64_t mid = what->mid;
  const bool late = mid < c.last;
  if (what->target != 0) recall(c, *what);
  const bool dropped = withdrawn(c, *what);
  come_by(c, mid);
  if (dropped || covered(c, mid) || mid <= c.found) {
    out_.suppressed();
    out_.done(entry);  // the log was quicker than the dispatcher, or its recall was
    return;
  }
  const bool clean = c.now == state::clean;
  // What no stored position covers goes to the terminals there are. If it is late that is out of order, which is
  // better than never, and than lowering the position: a drain would show again what came after it.
  // What was stored before a terminal came may be taken back by now: the log knows. None is left out: what is written
  // to a terminal later would say that it had this.
  const bool fits = terminals_ != 0 && (late || (!window_full() && !out_.predates(*what)));
  if (terminals_ != 0 && c.known && (clean ? fits : mid <= std::max(c.floor, c.live_to))) {
    const bool behind = mid < std::max(c.sent, written_before(c.id));  // what somebody there has
    send_live(std::move(entry), std::move(what), terminals_, terminals_, behind);
    return;
  }
  to_log(c, std::move(entry), mid);
}

void account_delivery::repeat(dialog& c, entry_ref entry, message_ptr what) {
  out_.suppressed();
  const size_t at = find_flight(what->conversation, what->mid);
  const bool recalled = what->body.empty() && what->target == 0;
  if (at < flights_.size()) {
    flights_[at].entry = std::move(entry);
  } else if (recalled || !claimed({c.id, what->mid}) || acknowledged_elsewhere(c, what->mid)) {
    if (!recalled && c.now == state::marking) return c.waiting.push_back(std::move(entry));
    out_.done(entry);
  } else if (c.known && (c.now == state::clean || what->mid <= c.floor)) {
    adopt(c, std::move(entry), std::move(what));
  } else {
    // Who has it is waited for before the log is read.
    to_log(c, std::move(entry), what->mid);
  }
}

/// The log brings it, once its position is stored.
void account_delivery::to_log(dialog& c, entry_ref entry, uint64_t mid) {
  c.automatic = c.automatic || terminals_ != 0;
  drain_all_ = drain_all_ || (!c.known && terminals_ != 0);
  c.live_to = std::min(c.live_to, mid - 1);
  if (c.now == state::clean || mid <= c.floor) {
    mark(c, mid - 1, std::move(entry));
  } else if (c.now == state::marking) {
    c.waiting.push_back(std::move(entry));
  } else {
    out_.done(entry);
    drain_some();
  }
}

void account_delivery::send_live(entry_ref entry, message_ptr what, terminal_set to, terminal_set holders,
                                 bool late) {
  dialog& c = get(what->conversation, what->sender);
  c.sent = std::max(c.sent, what->mid);
  flight_bytes_ += what->body.size();
  if (to != 0) out_.deliver(to, *what);
  flights_.push_back({std::move(what), std::move(entry), holders, late});
}

void account_delivery::mark(dialog& c, uint64_t floor, entry_ref entry) {
  if (c.now == state::clean) {
    ++dirty_;
    c.live_to = floor;
    // Below what is on its way, too: is it lost with us, the next owner's drain brings it before what follows.
    if (const uint64_t first = first_awaited(c.id); first != 0) floor = std::min(floor, first - 1);
    c.floor = floor;
  }
  c.floor = std::min(c.floor, floor);
  c.now = state::marking;
  ++c.marks;
  c.waiting.push_back(std::move(entry));
  out_.put_cursor(c.id, c.other, cursor_change::mark, floor);
}

/// The oldest that is on its way, or that a former owner's terminals have not acknowledged; 0: none. Late ones were
/// behind a stored position from the first.
uint64_t account_delivery::first_awaited(const conversation_id& id) const {
  uint64_t first = 0;
  const auto count = [&first](uint64_t mid) { first = first == 0 ? mid : std::min(first, mid); };
  for (const flight& one : flights_) {
    if (one.what->conversation == id && !one.late) count(one.what->mid);
  }
  for (const seed& one : seeds_) {
    for (const position& at : one.what.messages) {
      if (at.conversation == id) count(at.mid);
    }
  }
  return first;
}

/// What was on its way when the conversation became dirty is acknowledged bit by bit: the stored position follows. It
/// follows during a drain, too: who had a list before may go away before the list under way is acknowledged.
void account_delivery::settle(dialog& c) {
  const bool waits = c.now == state::dirty || c.now == state::draining;
  if (!waits || c.marks != 0 || !c.known) return;
  uint64_t to = written_before(c.id);
  if (c.now == state::dirty) to = std::max(to, c.live_to);
  if (to <= c.floor) return;
  if (const uint64_t first = first_awaited(c.id); first != 0) to = std::min(to, first - 1);
  if (to <= c.floor) return;
  c.floor = to;
  out_.put_cursor(c.id, c.other, cursor_change::advance, to);
}

void account_delivery::marked(dialog& c) {
  for (const entry_ref& entry : c.waiting) out_.done(entry);
  c.waiting.clear();
  c.waiting.shrink_to_fit();
  if (c.now == state::marking) c.now = state::dirty;
  if (terminals_ != 0) c.automatic = true;
  settle(c);
  drain_some();
}

void account_delivery::on_cursor(const conversation_id& conversation, cursor_change kind, bool stored) {
  account_delivery::dialog* c = find(conversation);
  if (c == nullptr) return;
  if (kind == cursor_change::advance) {
    if (stored || c->room) return;
    c->retry = true;
    return out_.later();
  }
  uint32_t& open = kind == cursor_change::mark ? c->marks : c->clears;
  if (open > 0) --open;
  if (!stored) {
    c->retry = true;
    out_.later();
    return;
  }
  if (kind == cursor_change::clear) {
    check_end();
  } else if (open == 0 && !c->retry) {
    marked(*c);
  }
}

size_t account_delivery::find_flight(const conversation_id& id, uint64_t mid) const {
  size_t i = 0;
  while (i < flights_.size() && (flights_[i].what->mid != mid || flights_[i].what->conversation != id)) ++i;
  return i;
}

void account_delivery::land(size_t index) {
  out_.acknowledged(*flights_[index].what);
  out_.done(flights_[index].entry);
  flight_bytes_ -= flights_[index].what->body.size();
  const conversation_id id = flights_[index].what->conversation;
  flights_.erase(flights_.begin() + static_cast<std::ptrdiff_t>(index));
  if (flights_.empty() && flights_.capacity() > 16) flights_.shrink_to_fit();
  if (dirty_ == 0) return;
  if (dialog* c = find(id)) settle(*c);
}

bool account_delivery::window_full() const noexcept {
  return flights_.size() >= limits_->in_flight || flight_bytes_ >= limits_->in_flight_bytes;
}

void account_delivery::on_message_ack(terminal_slot slot, const position& what) {
  const size_t at = find_flight(what.conversation, what.mid);
  if (at < flights_.size()) {
    if ((flights_[at].holders & only(slot)) == 0) return;
    land(at);
  } else if (seed* mine = seed_of(slot)) {
    std::erase_if(mine->what.messages,
                  [&](const position& one) { return one.conversation == what.conversation && one.mid == what.mid; });
    if (dialog* c = find(what.conversation)) {
      if (what.mid <= c->last) come_by(*c, what.mid);
      settle(*c);
    }
  }
  if (dirty_ > 0) drain_some();
}

void account_delivery::on_notice(uint64_t id, const std::string& body) {
  if (terminals_ == 0) return;
  const bool known = std::any_of(notices_.begin(), notices_.end(), [id](const notice& one) { return one.id == id; });
  if (known || was_acknowledged(id)) return;
  notices_.push_back({id, terminals_, terminals_});
  out_.deliver_notice(terminals_, id, body, false);
}

bool account_delivery::was_acknowledged(uint64_t id) const {
  return std::find(acknowledged_.begin(), acknowledged_.end(), id) != acknowledged_.end();
}

void account_delivery::on_notice_ack(terminal_slot slot, uint64_t id) {
  const auto at = std::find_if(notices_.begin(), notices_.end(), [id](const notice& one) { return one.id == id; });
  if (at == notices_.end() || (at->holders & only(slot)) == 0) return;
  notices_.erase(at);
  if (acknowledged_.size() == notices_remembered) acknowledged_.erase(acknowledged_.begin());
  acknowledged_.push_back(id);
  out_.drop_notices({id});
  check_end();
}

void account_delivery::on_notices_dropped(const std::vector<uint64_t>& ids, bool stored) {
  if (stored) return;
  drop_retry_.insert(drop_retry_.end(), ids.begin(), ids.end());
  out_.later();
}

void account_delivery::on_timer() {
  if (!drop_retry_.empty()) out_.drop_notices(std::exchange(drop_retry_, {}));
  for (auto& [id, c] : dialogs_) {
    if (!std::exchange(c.retry, false)) continue;
    if (c.now == state::marking) {
      ++c.marks;
      out_.put_cursor(id, c.other, cursor_change::mark, c.floor);
    } else if (c.now != state::clean) {
      out_.put_cursor(id, c.other, cursor_change::advance, c.floor);
    } else {
      ++c.clears;
      out_.put_cursor(id, c.other, cursor_change::clear, c.last);
    }
  }
  if (std::exchange(backlog_retry_, false) && terminals_ != 0) request_backlog();
  if (drain_all_ && terminals_ != 0 && !known_) request_backlog();
  if (terminals_ == 0) release_held();
  drain_some();
}

bool account_delivery::idle() const noexcept {
  return terminals_ == 0 && flights_.empty() && held_.empty() && draining_ == 0 && !loading_ && drop_retry_.empty() &&
         std::all_of(dialogs_.begin(), dialogs_.end(), [](const auto& one) {
           return one.second.marks == 0 && one.second.clears == 0 && !one.second.retry;
         });
}

std::vector<entry_ref> account_delivery::abandon() {
  std::vector<entry_ref> out;
  for (flight& one : flights_) out.push_back(std::move(one.entry));
  for (auto& [id, c] : dialogs_) {
    for (entry_ref& one : c.waiting) out.push_back(std::move(one));
  }
  for (auto& [entry, what] : held_) out.push_back(std::move(entry));
  flights_.clear();
  held_.clear();
  dialogs_.clear();
  dirty_ = draining_ = flight_bytes_ = 0;
  return out;
}

}  // namespace tern::delivery
