#include "libs/handover/target.hpp"

#include <algorithm>
#include <utility>

namespace tern::handover {
namespace {

enum class seen : uint8_t {
  before,  // the source's still
  ours,    // all of it, with a newer epoch
  broken,  // anything else
};

/// `owned`: the epoch the range was claimed in, 0 before.
seen look_at(const placement::range_map& map, slot_type first, slot_type last, uint64_t epoch, uint64_t owned,
             const std::string& self) {
  bool before = true;
  bool ours = true;
  for (uint64_t slot = first; slot <= last;) {
    const placement::range* range = map.find(static_cast<slot_type>(slot));
    if (range == nullptr) return seen::broken;
    before = before && range->owner != self && range->epoch <= epoch;
    ours = ours && range->owner == self && (owned == 0 ? range->epoch > epoch : range->epoch == owned);
    slot = uint64_t{range->last} + 1;
  }
  return before ? seen::before : ours ? seen::ours : seen::broken;
}

}  // namespace

void target::on_item(uint64_t stream, v1::HandoverItem& item, bool willing, clock::time_point now) {
  const uint64_t number = item.move();
  if (item.has_prepare()) return prepare(stream, number, item.prepare(), willing, now);
  if (item.has_complete()) return complete(stream, number, now);
  const auto at = moves_.find(number);
  if (at == moves_.end() || at->second.stream != stream) return;
  move& one = at->second;
  switch (item.item_case()) {
    case v1::HandoverItem::kState:
      if (one.now == phase::filling) park(one, number, *item.mutable_state(), now);
      return;
    case v1::HandoverItem::kVerdict:
      if (one.now == phase::claimed) decide(at, item.verdict().valid(), now);
      return;
    case v1::HandoverItem::kCancel:
      if (one.now != phase::valid) decide(at, false, now);
      return;
    default: return;
  }
}

void target::prepare(uint64_t stream, uint64_t number, const v1::Prepare& what, bool willing, clock::time_point now) {
  v1::HandoverReply reply;
  reply.set_move(number);
  v1::Prepared& prepared = *reply.mutable_prepared();
  prepared.set_format(std::min(format_, what.format()));
  const auto known = moves_.find(number);
  if (known != moves_.end() && known->second.stream != stream) drop(known);  // what its old stream brought is lost
  const bool again = moves_.contains(number);
  const size_t open = static_cast<size_t>(
      std::count_if(moves_.begin(), moves_.end(), [](const auto& one) { return one.second.now != phase::valid; }));
  const bool room = open < limits_.moves && what.count() + keys_.size() <= limits_.states && bytes_ < limits_.bytes;
  if (what.first() > what.last() || what.last() >= slot_count) {
    prepared.set_code(static_cast<int32_t>(errc::bad_parameter));
  } else if (!again && (!willing || !room)) {
    prepared.set_code(static_cast<int32_t>(errc::overload));
  } else if (!again) {
    move& made = moves_[number];
    made.stream = stream;
    made.first = what.first();
    made.last = what.last();
    made.epoch = what.epoch();
    made.due = now + limits_.prepared;
    ++expected_;
  }
  out_.send(stream, std::move(reply));
}

void target::park(move& into, uint64_t number, v1::State& state, clock::time_point now) {
  into.due = now + limits_.prepared;
  if (state.format() > format_) return out_.count(fate::format, 1);
  if (checksum(state.body()) != state.checksum()) return out_.count(fate::checksum, 1);
  const slot_type slot = slot_of(state.key());
  const size_t size = state.body().size();
  if (slot < into.first || into.last < slot || keys_.size() >= limits_.states || bytes_ + size > limits_.bytes) {
    return out_.count(fate::dropped, 1);
  }
  const auto [owner, fresh] = keys_.try_emplace(state.key(), number);
  if (!fresh) {
    // Of an earlier move that brought the key here, and nobody asked; or doubled. The newest counts.
    if (const auto old = moves_.find(owner->second); old != moves_.end()) {
      const auto at = old->second.states.find(state.key());
      if (at != old->second.states.end()) {
        bytes_ -= at->second.body().size();
        old->second.bytes -= at->second.body().size();
        old->second.states.erase(at);
      }
    }
    owner->second = number;
  }
  bytes_ += size;
  into.bytes += size;
  into.states[state.key()] = std::move(state);
}

void target::complete(uint64_t stream, uint64_t number, clock::time_point now) {
  const auto at = moves_.find(number);
  if (at == moves_.end() || at->second.stream != stream || at->second.now > phase::taken) return;
  at->second.now = phase::taken;
  at->second.due = now + limits_.prepared;
  v1::HandoverReply reply;
  reply.set_move(number);
  reply.mutable_taken()->set_count(at->second.states.size());
  out_.send(stream, std::move(reply));
}

void target::on_map(const placement::range_map& map, const std::string& self, clock::time_point now) {
  for (auto at = moves_.begin(); at != moves_.end();) {
    move& one = at->second;
    const auto next = std::next(at);
    const seen what = look_at(map, one.first, one.last, one.epoch, one.owned, self);
    if (what == seen::ours && one.now == phase::taken) {
      settle(one, phase::claimed);
      one.due = now + limits_.verdict;
      v1::HandoverReply reply;
      reply.set_move(at->first);
      one.owned = map.find(one.first)->epoch;
      reply.mutable_claimed()->set_epoch(one.owned);
      out_.send(one.stream, std::move(reply));
    } else if (what == seen::broken || (what == seen::ours && one.now == phase::filling)) {
      decide(at, false, now);
    }
    at = next;
  }
}

/// Leaves the phases before a claim.
void target::settle(move& one, phase next) {
  if (before_claim(one)) --expected_;
  one.now = next;
}

void target::decide(place at, bool valid, clock::time_point now) {
  auto waiting = std::exchange(at->second.waiting, {});
  if (valid) {
    settle(at->second, phase::valid);
    at->second.due = now + limits_.remembered;
    if (at->second.states.empty()) drop(at);
  } else {
    drop(at);
  }
  if (!waiting.empty()) out_.decided(std::move(waiting));
}

target::place target::drop(place at) {
  move& one = at->second;
  if (before_claim(one)) --expected_;
  if (!one.states.empty()) out_.count(fate::dropped, one.states.size());
  for (const auto& [key, state] : one.states) keys_.erase(key);
  bytes_ -= one.bytes;
  return moves_.erase(at);
}

void target::on_down(uint64_t stream, clock::time_point now) {
  for (auto at = moves_.begin(); at != moves_.end();) {
    const auto next = std::next(at);
    if (at->second.stream == stream && at->second.now != phase::valid) decide(at, false, now);
    at = next;
  }
}

void target::tick(clock::time_point now) {
  for (auto at = moves_.begin(); at != moves_.end();) {
    const auto next = std::next(at);
    if (now >= at->second.due) decide(at, false, now);
    at = next;
  }
}

found target::take(uint64_t key, v1::State& out, clock::time_point now) {
  const auto known = keys_.find(key);
  if (known == keys_.end()) return found::nothing;
  const auto at = moves_.find(known->second);
  move& one = at->second;
  if (one.now == phase::filling) return found::nothing;
  if (one.now != phase::valid) {
    // Before the claim: the caller has seen the new map, we have not. It is on its way.
    if (one.now == phase::taken && one.waiting.empty()) one.due = std::min(one.due, now + 2 * limits_.verdict);
    one.waiting.push_back(key);
    return found::wait;
  }
  const auto state = one.states.find(key);
  bytes_ -= state->second.body().size();
  one.bytes -= state->second.body().size();
  out = std::move(state->second);
  one.states.erase(state);
  keys_.erase(known);
  if (one.states.empty()) moves_.erase(at);
  out_.count(fate::used, 1);
  return found::state;
}

bool target::expects(slot_type slot) const noexcept {
  return expected_ != 0 && std::any_of(moves_.begin(), moves_.end(), [slot](const auto& one) {
           return before_claim(one.second) && one.second.first <= slot && slot <= one.second.last;
         });
}

}  // namespace tern::handover
