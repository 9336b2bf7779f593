// Terminals that come from another owner or over another link: what the gateway wrote and what it still waits for
// decides what is sent again.
#include <algorithm>

#include "libs/delivery/account_delivery.hpp"

namespace tern::delivery {
namespace {

uint64_t newest(const std::vector<position>& written, const conversation_id& id) {
  uint64_t mid = 0;
  for (const position& one : written) {
    if (one.conversation == id) mid = std::max(mid, one.mid);
  }
  return mid;
}

bool take(std::vector<position>& from, const conversation_id& id, uint64_t mid) {
  return std::erase_if(from, [&](const position& one) { return one.conversation == id && one.mid == mid; }) != 0;
}

}  // namespace

account_delivery::seed* account_delivery::seed_of(terminal_slot slot) {
  for (seed& one : seeds_) {
    if (one.slot == slot) return &one;
  }
  return nullptr;
}

/// The terminal is gone. What it alone had unacknowledged is to be taken when its entry comes, not for a repeat.
void account_delivery::give_up_claims(terminal_slot slot) {
  constexpr size_t most = 64;
  std::vector<position> claims;
  for (seed& one : seeds_) {
    if (one.slot == slot) claims = std::move(one.what.messages);
  }
  std::erase_if(seeds_, [slot](const seed& one) { return one.slot == slot; });
  for (const position& claim : claims) {
    dialog* c = find(claim.conversation);
    const bool others = std::any_of(seeds_.begin(), seeds_.end(), [&](const seed& one) {
      return newest(one.what.written, claim.conversation) >= claim.mid;
    });
    if (c == nullptr || others || find_flight(claim.conversation, claim.mid) < flights_.size()) continue;
    if (claim.mid > c->last || passed_over(*c, claim.mid)) continue;
    if (!c->gaps.empty() && c->gaps.back().second + 1 == claim.mid) {
      c->gaps.back().second = claim.mid;
    } else if (c->gaps.size() < most) {
      c->gaps.emplace_back(claim.mid, claim.mid);
    }
  }
}

bool account_delivery::claimed(const conversation_id& id) const {
  return std::any_of(seeds_.begin(), seeds_.end(), [&](const seed& one) {
    return std::any_of(one.what.messages.begin(), one.what.messages.end(),
                       [&](const position& at) { return at.conversation == id; });
  });
}

bool account_delivery::claimed(const position& where) const {
  return std::any_of(seeds_.begin(), seeds_.end(), [&](const seed& one) {
    return std::any_of(one.what.messages.begin(), one.what.messages.end(), [&](const position& at) {
      return at.conversation == where.conversation && at.mid == where.mid;
    });
  });
}

uint64_t account_delivery::written_before(const conversation_id& id) const {
  uint64_t mid = 0;
  for (const seed& one : seeds_) mid = std::max(mid, newest(one.what.written, id));
  return mid;
}

void account_delivery::reattach(terminal_slot slot, restored what) {
  if (const seed* before = seed_of(slot)) {
    for (const position& one : before->what.messages) {
      dialog* c = find(one.conversation);
      const bool waits = std::any_of(what.messages.begin(), what.messages.end(), [&](const position& still) {
        return still.conversation == one.conversation && still.mid == one.mid;
      });
      if (c != nullptr && !waits && one.mid <= c->last) come_by(*c, one.mid);
    }
  }
  std::erase_if(seeds_, [slot](const seed& one) { return one.slot == slot; });
  restore_flights(slot, what);
  terminals_ |= only(slot);
  restore_batches(slot, what);
  restore_notices(slot, what.notices);
  std::vector<dialog*> written;
  for (const position& one : what.written) {
    dialog& c = get(one.conversation, account_id{});
    c.last = std::max(c.last, one.mid);
    written.push_back(&c);
  }
  if (!what.batches.empty()) asked_ |= only(slot);
  if (!what.messages.empty() || !what.batches.empty() || !what.written.empty()) {
    seeds_.push_back({slot, std::move(what)});
  }
  for (dialog* c : written) settle(*c);
  // After restore() it is known what was to be brought.
  if (asked_ != 0 || (!restored_ && (dirty_ != 0 || !known_))) {
    drain_all_ = true;
    out_.later();  // not at once: after an owner died, all its accounts come at the same moment
  }
}

void account_delivery::restore_flights(terminal_slot slot, restored& what) {
  const terminal_set bit = only(slot);
  std::vector<std::pair<conversation_id, uint64_t>> acknowledged;
  for (flight& one : flights_) {
    if (take(what.messages, one.what->conversation, one.what->mid)) {
      one.holders |= bit;
    } else if (!one.late && one.what->mid <= newest(what.written, one.what->conversation)) {
      // Not what it never was to have: it logged on before a former owner's messages to others came again.
      const bool skipped = (terminals_ & bit) != 0 && (one.holders & bit) == 0;
      if (!skipped) acknowledged.emplace_back(one.what->conversation, one.what->mid);
    } else if (one.recalled) {
      one.holders &= ~bit;
    } else {
      one.holders |= bit;
      out_.deliver(bit, *one.what);
    }
  }
  for (const auto& [id, mid] : acknowledged) land(find_flight(id, mid));
  // Recalled, and the one that was to have it never got it.
  for (flight& one : flights_) {
    if (one.holders == 0) out_.done(one.entry);
    if (one.holders == 0) flight_bytes_ -= one.what->body.size();
  }
  std::erase_if(flights_, [](const flight& one) { return one.holders == 0; });
}

void account_delivery::restore_notices(terminal_slot slot, const std::vector<uint64_t>& ids) {
  const terminal_set bit = only(slot);
  for (notice& one : notices_) {
    one.holders &= ~bit;
    one.sent &= ~bit;
  }
  for (const uint64_t id : ids) {
    auto at = std::find_if(notices_.begin(), notices_.end(), [id](const notice& one) { return one.id == id; });
    if (at == notices_.end()) at = notices_.insert(notices_.end(), notice{id, 0, 0});
    at->holders |= bit;
    at->sent |= bit;
  }
  std::erase_if(notices_, [](const notice& one) { return one.holders == 0; });
}

void account_delivery::restore_batches(terminal_slot slot, restored& what) {
  for (auto& [id, c] : dialogs_) {
    if (c.now != state::draining || c.work->batch == 0) continue;
    if (take(what.batches, id, c.work->batch)) {
      c.work->audience |= only(slot);
    } else {
      leave_drain(c, slot);
    }
  }
}

/// Somebody there has it, or had it in a list before the one that waits for it came back.
bool account_delivery::acknowledged_elsewhere(const dialog& c, uint64_t mid) const {
  if (covered(c, mid)) return true;
  if (c.now == state::draining && mid > c.work->position && mid <= c.work->batch) return true;
  return std::any_of(seeds_.begin(), seeds_.end(), [&](const seed& one) {
    const bool waits = std::any_of(one.what.messages.begin(), one.what.messages.end(),
                                   [&](const position& at) { return at.conversation == c.id && at.mid == mid; });
    return !waits && newest(one.what.written, c.id) >= mid;
  });
}

/// What a former owner's terminals wait for is on its way; who came without a word of it gets it, too.
void account_delivery::adopt(dialog& c, entry_ref entry, message_ptr what) {
  terminal_set holders = 0;
  for (seed& one : seeds_) {
    if (take(one.what.messages, c.id, what->mid)) holders |= only(one.slot);
  }
  come_by(c, what->mid);
  send_live(std::move(entry), std::move(what), terminals_ & ~holders, terminals_ | holders);
}

}  // namespace tern::delivery
