#include "services/gateway/live/viewer.hpp"

#include <algorithm>
#include <utility>

namespace tern::gateway::live {

namespace {

/// Rooms a connection has only pushed into or given orders for: the one used longest ago is let go beyond.
constexpr size_t most_pushed = 16;

}  // namespace

viewer::viewer(client& owner, hub* rooms, websocket::connection& to, const viewer_limits& limits,
               const live_metrics& metrics)
    : owner_(owner), hub_(rooms), connection_(to), limits_(limits), metrics_(metrics), thread_(thread_of(to.id())) {}

// ---- frames -------------------------------------------------------------------------------------------------------

void viewer::offer(const message_ptr& message, uint32_t now_ms) {
  if (queue_.empty() && connection_.queued_bytes() == 0) {
    connection_.send_made(*message, true);
    socket_bytes_ = connection_.queued_bytes();
    return;
  }
  const dropped_frames gone = queue_.push(message, now_ms, limits_.queue);
  metrics_.dropped(drop::queue_bytes, gone.for_bytes);
  metrics_.dropped(drop::queue_age, gone.for_age);
}

void viewer::on_drained(uint32_t now_ms) {
  socket_bytes_ = 0;
  if (queue_.empty()) return;
  metrics_.dropped(drop::queue_age, queue_.drop_old(now_ms, limits_.queue));
  while (!queue_.empty() && connection_.queued_bytes() == 0) {
    const message_ptr next = queue_.take();
    connection_.send_made(*next, true);
  }
  socket_bytes_ = connection_.queued_bytes();
}

size_t fan_out(const event& of, size_t thread, uint32_t now_ms, const live_metrics& metrics) {
  room::part& here = of.at->parts[thread];
  // A frame of an owner that was, come late by its thread: what followed is out already.
  if (of.registration < here.registration) return 0;
  here.registration = of.registration;
  size_t count = 0, bytes = 0;
  for (const member& each : here.members) {
    if (each.how == form::none) continue;
    const message_ptr& message = of.frame->messages[static_cast<size_t>(each.how)];
    if (!message) continue;  // subscribed after the frame was made
    each.who->offer(message, now_ms);
    ++count;
    bytes += message->size();
  }
  metrics.frames_out.add(static_cast<double>(count));
  metrics.bytes_out.add(static_cast<double>(bytes));
  return count;
}

std::vector<member> take_members(room& at, size_t thread) { return std::exchange(at.parts[thread].members, {}); }

// ---- rooms --------------------------------------------------------------------------------------------------------

viewer::held* viewer::find(uint64_t vroom) noexcept {
  const auto found = std::find_if(held_.begin(), held_.end(), [&](const held& each) { return each.at->id == vroom; });
  return found == held_.end() ? nullptr : &*found;
}

size_t viewer::subscriptions() const noexcept {
  return static_cast<size_t>(
      std::count_if(held_.begin(), held_.end(), [](const held& each) { return each.how != form::none; }));
}

bool viewer::is_subscribing(uint64_t vroom) const noexcept {
  return std::find(subscribing_.begin(), subscribing_.end(), vroom) != subscribing_.end();
}

errc viewer::begin(op what, uint64_t vroom) {
  if (commands_ >= limits_.commands) return errc::overload;
  if (what == op::create) {
    const auto created = std::count_if(held_.begin(), held_.end(), [](const held& each) { return each.created; });
    if (static_cast<size_t>(created) + creating_ >= limits_.created) return errc::over_entry;
    ++creating_;
  } else if (what == op::subscribe) {
    const held* known = find(vroom);
    const bool another = (known == nullptr || known->how == form::none) && !is_subscribing(vroom);
    if (another && subscriptions() + subscribing_.size() >= limits_.subscriptions) return errc::over_entry;
    subscribing_.push_back(vroom);
  }
  ++commands_;
  return errc::ok;
}

errc viewer::finish(op what, uint64_t vroom, const room_ptr& at, form how) {
  --commands_;
  if (what == op::create) --creating_;
  if (what == op::subscribe) {
    const auto asked = std::find(subscribing_.begin(), subscribing_.end(), vroom);
    if (asked != subscribing_.end()) subscribing_.erase(asked);
  }
  if (what == op::unsubscribe) unsubscribe(vroom);
  if (!at) return errc::ok;
  if (what == op::unsubscribe) {
    hub_->release(at);
    return errc::ok;
  }
  held& one = adopt(at);
  if (what == op::create) one.created = true;
  const bool there = what == op::subscribe ? change(one, how) : hub_->watch(at, thread_, form::none, form::none);
  if (!there) {
    on_gone(at);  // who comes to tell us finds us gone
    return what == op::subscribe ? errc::no_such_object : errc::ok;
  }
  let_go_of_pushed();
  return errc::ok;
}

viewer::held& viewer::adopt(const room_ptr& at) {
  if (held* known = find(at->id)) {
    if (known->at == at) {
      hub_->release(at);  // has a use already
      known->used = ++uses_;
      return *known;
    }
    on_gone(known->at);  // ended, and there is one of the same number again
  }
  auto& members = at->parts[thread_].members;
  members.push_back({this, form::none});
  held_.push_back({at, members.size() - 1, form::none, false, ++uses_});
  return held_.back();
}

bool viewer::change(held& one, form how) {
  const bool there = hub_->watch(one.at, thread_, one.how, how);
  if (one.how == form::none && how != form::none) metrics_.subscriptions.add(1);
  if (one.how != form::none && how == form::none) metrics_.subscriptions.add(-1);
  one.how = how;
  one.at->parts[thread_].members[one.place].how = how;
  return there;
}

void viewer::unsubscribe(uint64_t vroom) {
  held* one = find(vroom);
  if (one == nullptr || one->how == form::none) return;
  change(*one, form::none);
  if (!one->created) drop(static_cast<size_t>(one - held_.data()), false);
}

void viewer::note_push(const asker& who, uint64_t vroom) {
  if (held* known = find(vroom)) {
    known->used = ++uses_;
    return;
  }
  adopt(hub_->hold(who, vroom));
  let_go_of_pushed();
}

void viewer::let_go_of_pushed() {
  size_t count = 0, oldest = held_.size();
  for (size_t i = 0; i < held_.size(); ++i) {
    if (held_[i].created || held_[i].how != form::none) continue;
    ++count;
    if (oldest == held_.size() || held_[i].used < held_[oldest].used) oldest = i;
  }
  if (count > most_pushed) drop(oldest, false);
}

void viewer::unlink(const held& one) {
  auto& members = one.at->parts[thread_].members;
  const size_t last = members.size() - 1;
  if (one.place != last) {
    members[one.place] = members[last];
    if (held* moved = members[one.place].who->find(one.at->id)) moved->place = one.place;
  }
  members.pop_back();
}

void viewer::drop(size_t index, bool ended) {
  if (held_[index].how != form::none) change(held_[index], form::none);
  if (!ended) unlink(held_[index]);
  const room_ptr at = std::move(held_[index].at);
  held_.erase(held_.begin() + static_cast<ptrdiff_t>(index));
  if (!ended) hub_->release(at);
}

bool viewer::on_gone(const room_ptr& at) {
  held* one = find(at->id);
  if (one == nullptr || one->at != at) return false;
  const bool watched = one->how != form::none;
  auto& members = at->parts[thread_].members;
  const bool linked = one->place < members.size() && members[one->place].who == this;
  if (watched) {
    hub_->watch(at, thread_, one->how, form::none);
    metrics_.subscriptions.add(-1);
  }
  if (linked) unlink(*one);
  held_.erase(held_.begin() + (one - held_.data()));
  return watched;
}

void viewer::leave() {
  while (!held_.empty()) drop(held_.size() - 1, false);
  while (!queue_.empty()) queue_.take();
  subscribing_.clear();
}

}  // namespace tern::gateway::live
