#include "libs/handover/source.hpp"

#include <algorithm>
#include <utility>

namespace tern::handover {
namespace {

constexpr std::chrono::milliseconds answer_leaves{20};

enum class seen : uint8_t {
  same,    // nothing has changed
  gone,    // all of it is the target's
  broken,  // anything else
};

/// What the maps say of an ordered range.
seen look_at(const placement::range_map& map, const placement::move_order& what, const std::string& self) {
  bool same = true;
  bool gone = true;
  for (uint64_t slot = what.first; slot <= what.last;) {
    const placement::range* range = map.find(static_cast<slot_type>(slot));
    if (range == nullptr) return seen::broken;
    same = same && range->owner == self && range->epoch == what.epoch;
    gone = gone && range->owner == what.target && range->epoch > what.epoch;
    slot = uint64_t{range->last} + 1;
  }
  return same ? seen::same : gone ? seen::gone : seen::broken;
}

bool holds(const placement::move_order& what, slot_type slot) noexcept {
  return what.first <= slot && slot <= what.last;
}

}  // namespace

source::move* source::find(uint64_t number, phase in) {
  const auto at = moves_.find(number);
  return at != moves_.end() && at->second.now == in ? &at->second : nullptr;
}

void source::send(const move& one, v1::HandoverItem item) {
  item.set_move(one.what.move);
  out_.send(one.what, std::move(item));
}

void source::order(const placement::move_order& what, bool owned, uint64_t keys, clock::time_point now) {
  if (const auto known = moves_.find(what.move); known != moves_.end()) {
    // Asked again: the answer may have been lost. One that is under way is answered when it is over.
    if (known->second.now >= phase::handed) out_.answer(known->second.result);
    return;
  }
  const bool taken = std::any_of(moves_.begin(), moves_.end(), [&](const auto& one) {
    return one.second.now < phase::over && one.second.what.first <= what.last && what.first <= one.second.what.last;
  });
  move& made = moves_[what.move];
  made.what = what;
  made.result.move = what.move;
  made.due = now + limits_.prepare;
  if (!owned || taken || what.first > what.last) return fail(made, taken ? errc::repeated : errc::wrong_owner, now);
  v1::HandoverItem item;
  v1::Prepare& prepare = *item.mutable_prepare();
  prepare.set_first(what.first);
  prepare.set_last(what.last);
  prepare.set_epoch(what.epoch);
  prepare.set_format(format_);
  prepare.set_count(keys);
  send(made, std::move(item));
}

void source::on_reply(const std::string& target, const v1::HandoverReply& reply, clock::time_point now) {
  if (reply.has_claimed()) return claimed(target, reply.move(), reply.claimed().epoch(), now);
  const auto at = moves_.find(reply.move());
  if (at == moves_.end() || at->second.what.target != target) return;
  if (reply.has_prepared() && at->second.now == phase::preparing) return prepared(at->second, reply.prepared(), now);
  if (reply.has_taken() && at->second.now == phase::completing) taken(at->second, now);
}

void source::prepared(move& one, const v1::Prepared& reply, clock::time_point now) {
  if (reply.code() != 0) return fail(one, static_cast<errc>(reply.code()), now);
  one.now = phase::freezing;
  one.froze = now;
  one.due = now + limits_.still;
  out_.freeze(one.what, std::min(format_, reply.format()));
}

void source::told(uint64_t number, size_t keys, clock::time_point now) {
  move* one = find(number, phase::freezing);
  if (one == nullptr) return;
  one->counted = true;
  one->told = keys;
  check_complete(*one, now);
}

bool source::put(uint64_t number, v1::State state, clock::time_point now) {
  move* one = find(number, phase::freezing);
  if (one == nullptr) return false;
  ++one->answered;
  ++one->sent;
  v1::HandoverItem item;
  *item.mutable_state() = std::move(state);
  send(*one, std::move(item));
  check_complete(*one, now);
  return true;
}

void source::skip(uint64_t number, bool cold, clock::time_point now) {
  move* one = find(number, phase::freezing);
  if (one == nullptr) return;
  ++one->answered;
  if (cold) out_.count(fate::cold, 1);
  check_complete(*one, now);
}

void source::check_complete(move& one, clock::time_point now) {
  if (one.counted && one.answered >= one.told) complete(one, now);
}

void source::complete(move& one, clock::time_point now) {
  one.now = phase::completing;
  one.due = now + limits_.taken;
  if (one.counted && one.answered < one.told) {
    out_.count(fate::cold, one.told - one.answered);
    out_.thaw(one.what, false);
  }
  v1::HandoverItem item;
  item.mutable_complete()->set_count(one.sent);
  send(one, std::move(item));
}

void source::taken(move& one, clock::time_point now) {
  one.now = phase::handed;
  one.due = now + limits_.map;
  one.result.code = errc::ok;
  one.result.moved = one.sent;
  one.result.frozen = std::chrono::duration_cast<std::chrono::microseconds>(now - one.froze);
  out_.count(fate::sent, one.sent);
  out_.answer(one.result);
}

void source::claimed(const std::string& target, uint64_t number, uint64_t epoch, clock::time_point now) {
  const auto at = moves_.find(number);
  const bool known = at != moves_.end() && at->second.what.target == target && epoch > at->second.what.epoch;
  const bool valid = known && (at->second.now == phase::handed || at->second.now == phase::over);
  if (valid && at->second.now == phase::handed) {
    at->second.claimed = true;
    ++away_;
    end(at->second, phase::over, now);
  }
  if (valid) at->second.wanted = now + answer_leaves;
  v1::HandoverItem item;
  item.set_move(number);
  item.mutable_verdict()->set_valid(valid);
  placement::move_order to;
  to.move = number;
  to.target = target;
  out_.send(known ? at->second.what : to, std::move(item));
}

void source::on_down(const std::string& target, clock::time_point now) {
  for (auto& [number, one] : moves_) {
    if (one.what.target == target && one.now < phase::over) fail(one, errc::not_found, now);
  }
}

void source::spoil(slot_type slot, clock::time_point now) {
  for (auto& [number, one] : moves_) {
    if (one.now > phase::preparing && one.now < phase::over && holds(one.what, slot)) fail(one, errc::internal, now);
  }
}

void source::fail(move& one, errc why, clock::time_point now) {
  const phase before = one.now;
  if (before != phase::handed) {
    one.result.code = why;
    out_.answer(one.result);
  }
  // Routing has been told ok before: it finds out by the maps' epoch, or moves the range all the same. Both are
  // right.
  one.result.code = why;
  // Without a stream the target finds out by itself.
  if (why != errc::not_found && (before != phase::preparing || why == errc::deadline)) {
    v1::HandoverItem item;
    item.mutable_cancel();
    send(one, std::move(item));
  }
  end(one, phase::void_, now);
}

void source::end(move& one, phase how, clock::time_point now) {
  const bool frozen = one.now > phase::preparing;
  one.now = how;
  one.due = now + limits_.remembered;
  one.wanted = how == phase::over ? now + 2 * limits_.verdict : now;
  if (!frozen) return;
  out_.frozen(now - one.froze);
  if (how == phase::over) {
    out_.end(one.what);
  } else {
    out_.thaw(one.what, true);
  }
}

void source::on_map(const placement::range_map& map, const std::string& self, clock::time_point now) {
  for (auto& [number, one] : moves_) {
    if (one.now == phase::void_ || (one.now == phase::over && !one.claimed)) continue;
    const seen what = look_at(map, one.what, self);
    if (what == seen::same) continue;
    if (one.now == phase::over) {
      one.claimed = false;
      --away_;
    } else if (what == seen::gone && one.now == phase::handed) {
      end(one, phase::over, now);
    } else {
      fail(one, errc::stale_epoch, now);
    }
  }
}

void source::tick(clock::time_point now) {
  for (auto at = moves_.begin(); at != moves_.end();) {
    move& one = at->second;
    if (now < one.due) {
      ++at;
      continue;
    }
    switch (one.now) {
      case phase::preparing:
      case phase::completing:
      case phase::handed: fail(one, errc::deadline, now); break;
      case phase::freezing: complete(one, now); break;
      case phase::over:
        if (one.claimed) break;  // until the maps say so
        [[fallthrough]];
      case phase::void_: at = moves_.erase(at); continue;
    }
    ++at;
  }
}

bool source::away(slot_type slot) const noexcept {
  return away_ != 0 && std::any_of(moves_.begin(), moves_.end(), [slot](const auto& one) {
           return one.second.claimed && holds(one.second.what, slot);
         });
}

bool source::busy() const noexcept { return open() != 0; }

bool source::wanted(clock::time_point now) const noexcept {
  return std::any_of(moves_.begin(), moves_.end(), [now](const auto& one) {
    return one.second.now < phase::over || (one.second.now == phase::over && now < one.second.wanted);
  });
}

size_t source::open() const noexcept {
  return static_cast<size_t>(
      std::count_if(moves_.begin(), moves_.end(), [](const auto& one) { return one.second.now < phase::over; }));
}

}  // namespace tern::handover
