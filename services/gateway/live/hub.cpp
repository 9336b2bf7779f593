#include "services/gateway/live/hub.hpp"

#include <algorithm>

#include "libs/crypto/random.hpp"

namespace tern::gateway::live {

namespace {

constexpr size_t most_waiting_commands = 1024;    // of one room
constexpr size_t most_waiting_bytes = 1U << 20U;  // of pushes of one room that has no owner at the moment
constexpr uint64_t most_ids_tried = 4;
/// A room without viewers still gets its frames for so long: viewers come and go.
constexpr uint32_t linger_ticks = 20;
/// After a refusal by a node that is not the owner (yet): so often at this pace, then with the ticks.
constexpr uint32_t quick_retries = 6;
constexpr std::chrono::milliseconds quick_retry{4};

bool watched(const room& at) {
  return std::any_of(at.watchers.begin(), at.watchers.end(), [](const auto& thread) {
    return std::any_of(thread.begin(), thread.end(), [](uint32_t count) { return count != 0; });
  });
}

group::v1::LiveRequest request_of(const asker& who, uint64_t vroom) {
  group::v1::LiveRequest out;
  out.set_vroom(vroom);
  out.set_account(who.account.value);
  out.set_domain(who.domain);
  return out;
}

void fill(group::v1::LiveRequest& request, op what, uint64_t target) {
  switch (what) {
    case op::create: request.mutable_create(); break;
    case op::remove: request.mutable_remove(); break;
    case op::grant:
    case op::revoke:
      request.mutable_grant()->set_account(target);
      request.mutable_grant()->set_on(what == op::grant);
      break;
    default: break;
  }
}

}  // namespace

hub::hub(core& shared, rpc::network& network, rpc::peer self, size_t threads, post_function post,
         later_function later)
    : core_(shared),
      threads_(threads),
      post_(std::move(post)),
      later_(std::move(later)),
      links_(network, std::move(self), *this) {}

hub::~hub() { clear(); }

hub::shard& hub::shard_of(uint64_t vroom) noexcept { return shards_[(vroom * 0x9E3779B97F4A7C15ULL) >> 58U]; }

void hub::post(effects& out) {
  if (out.empty()) return;
  std::vector<std::vector<event>> by_thread(threads_);
  for (auto& [thread, what] : out) {
    if (thread < threads_) by_thread[thread].push_back(std::move(what));
  }
  for (size_t i = 0; i < threads_; ++i) {
    if (!by_thread[i].empty()) post_(i, std::move(by_thread[i]));
  }
}

uint64_t hub::next_call(const shard& of) noexcept {
  // The low bits say where the answer's room is.
  return (calls_.fetch_add(1, std::memory_order_relaxed) + 1) * shard_count +
         static_cast<uint64_t>(&of - shards_.data());
}

// ---- the table ----------------------------------------------------------------------------------------------------

room_ptr hub::find(const shard& in, uint64_t vroom, const std::string& domain) const {
  const auto [first, last] = in.rooms.equal_range(vroom);
  for (auto it = first; it != last; ++it) {
    if (it->second->domain == domain) return it->second;
  }
  return nullptr;
}

room_ptr hub::make(shard& in, uint64_t vroom, const asker& who) {
  auto made = std::make_shared<room>(vroom, who.domain, threads_);
  made->asked_by = who.account;
  in.rooms.emplace(vroom, made);
  core_.metrics.live.rooms.add(1);
  return made;
}

void hub::erase(shard& in, const room_ptr& at) {
  if (std::exchange(at->over, true)) return;
  const auto [first, last] = in.rooms.equal_range(at->id);
  const auto found = std::find_if(first, last, [&](const auto& each) { return each.second == at; });
  if (found != last) in.rooms.erase(found);
  core_.metrics.live.rooms.add(-1);
}

void hub::settle(shard& in, const room_ptr& at) {
  if (at->over || at->uses != 0 || !at->waiting.empty() || at->interest_call != 0) return;
  if (at->has_state && at->registered) {
    group::v1::LiveRequest off = request_of({0, at->asked_by, at->domain}, at->id);
    off.set_call(next_call(in));
    off.set_epoch(at->registered.epoch);
    off.mutable_interest()->set_on(false);
    links_.queue(at->registered, off);
  }
  erase(in, at);
}

size_t hub::size() const {
  size_t out = 0;
  for (const shard& each : shards_) {
    const std::lock_guard lock(each.mutex);
    out += each.rooms.size();
  }
  return out;
}

// ---- for connections ----------------------------------------------------------------------------------------------

void hub::ask(const asker& who, op what, uint64_t vroom, uint64_t target, form how) {
  command asked;
  asked.what = what;
  asked.how = how;
  asked.conn = who.conn;
  asked.target = target;
  asked.deadline = core_.tick() + core::ticks(core_.config.live_command_timeout);
  if (what == op::create) {
    asked.target = 0;
    create(std::move(asked), who);
  } else {
    asked.request = request_of(who, vroom);
    fill(asked.request, what, target);
    effects out;
    shard& in = shard_of(vroom);
    {
      const std::lock_guard lock(in.mutex);
      room_ptr at = find(in, vroom, who.domain);
      if (!at) at = make(in, vroom, who);
      enqueue(in, at, std::move(asked), out);
    }
    post(out);
  }
  links_.flush();
}

void hub::create(command what, const asker& who) {
  effects out;
  const uint64_t vroom = crypto::random_u64();
  what.request = request_of(who, vroom);
  fill(what.request, op::create, 0);
  what.sent_on = {};
  shard& in = shard_of(vroom);
  {
    const std::lock_guard lock(in.mutex);
    // An id of our own table has one chance in 2^64; the owner would say so as well.
    if (++what.target > most_ids_tried || vroom == 0 || in.rooms.contains(vroom)) {
      answer(out, what, errc::overload, nullptr);
    } else {
      const room_ptr at = make(in, vroom, who);
      at->creating = true;
      at->watched_tick = core_.tick();
      enqueue(in, at, std::move(what), out);
    }
  }
  post(out);
}

void hub::enqueue(shard& in, const room_ptr& at, command what, effects& out) {
  if (at->waiting.size() >= most_waiting_commands) {
    if (what.what == op::push) {
      core_.metrics.live.dropped(drop::overload);
    } else {
      answer(out, what, errc::overload, nullptr);
    }
    return settle(in, at);
  }
  if (what.what != op::push) ++at->uses;
  if (what.what == op::subscribe) at->watched_tick = core_.tick();
  at->waiting.push_back(std::move(what));
  advance(in, at, out);
}

void hub::push(const asker& who, uint64_t vroom, group::v1::LivePush frame) {
  command pushed;
  pushed.conn = who.conn;
  pushed.deadline = core_.tick() + core::ticks(core_.config.live_command_timeout);
  pushed.request = request_of(who, vroom);
  *pushed.request.mutable_push() = std::move(frame);
  effects out;
  shard& in = shard_of(vroom);
  {
    const std::lock_guard lock(in.mutex);
    room_ptr at = find(in, vroom, who.domain);
    if (!at) at = make(in, vroom, who);
    at->waiting_bytes += pushed.request.push().body().size();
    enqueue(in, at, std::move(pushed), out);
    // Without an owner for a while: the oldest frames go.
    while (at->waiting_bytes > most_waiting_bytes) {
      const auto oldest = std::find_if(at->waiting.begin(), at->waiting.end(),
                                       [](const command& each) { return each.what == op::push; });
      if (oldest == at->waiting.end()) break;
      at->waiting_bytes -= oldest->request.push().body().size();
      at->waiting.erase(oldest);
      core_.metrics.live.dropped(drop::no_owner);
    }
  }
  links_.flush();
  post(out);
}

room_ptr hub::hold(const asker& who, uint64_t vroom) {
  effects out;
  room_ptr at;
  shard& in = shard_of(vroom);
  {
    const std::lock_guard lock(in.mutex);
    at = find(in, vroom, who.domain);
    if (!at) at = make(in, vroom, who);
    ++at->uses;
    advance(in, at, out);
  }
  links_.flush();
  post(out);
  return at;
}

void hub::release(const room_ptr& at) {
  shard& in = shard_of(at->id);
  {
    const std::lock_guard lock(in.mutex);
    --at->uses;
    settle(in, at);
  }
  links_.flush();
}

bool hub::watch(const room_ptr& at, size_t thread, form before, form now) {
  effects out;
  bool there = false;
  {
    shard& in = shard_of(at->id);
    const std::lock_guard lock(in.mutex);
    if (before != form::none) --at->watchers[thread][static_cast<size_t>(before)];
    if (now != form::none) ++at->watchers[thread][static_cast<size_t>(now)];
    there = !at->over;
    if (before != now) at->watched_tick = core_.tick();
    if (there && now == form::none && before != now) note_busy(in, at);
    if (there && now != form::none && !at->frames) advance(in, at, out);
  }
  if (now != form::none) links_.flush();
  post(out);
  return there;
}

// ---- to the owner -------------------------------------------------------------------------------------------------

bool hub::wants_frames(const room& at) const {
  const bool lately = at.watched_tick != 0 && core_.tick() - at.watched_tick < linger_ticks;
  return lately || watched(at) || std::any_of(at.waiting.begin(), at.waiting.end(), [](const command& each) {
           return each.what == op::subscribe;
         });
}

void hub::advance(shard& in, const room_ptr& at, effects& out) {
  if (at->over) return;
  const place here = links_.place_of(at->id);
  // Who was the owner takes nothing any more, even if the new one cannot be reached yet.
  if (at->registered && here.epoch != at->registered.epoch) lose(in, at);
  if (here && at->registered != here) {
    send_interest(in, at, here);
  } else if (at->registered && !at->creating && at->frames != wants_frames(*at) &&
             (!at->frames || at->interest_call == 0)) {
    send_interest(in, at, here);
  }
  if (at->has_state) answer_local(in, at, out);
  if (at->registered) send_waiting(in, at);
  if (!at->waiting.empty() || !at->registered || (at->frames && !watched(*at))) note_busy(in, at);
}

void hub::send_interest(shard& in, const room_ptr& at, const place& to) {
  in.calls.erase(std::exchange(at->interest_call, 0));
  const bool wants = at->creating || wants_frames(*at);
  // Where it was known already, and its frames were not wanted.
  at->upgrading = wants && at->registered == to && (at->upgrading || !at->frames);
  at->frames = wants;
  at->registered = {};
  if (!at->creating) {
    group::v1::LiveRequest request = request_of({0, at->asked_by, at->domain}, at->id);
    request.set_call(next_call(in));
    request.set_epoch(to.epoch);
    request.mutable_interest()->set_on(true);
    request.mutable_interest()->set_no_frames(!wants);
    if (at->has_state) *request.mutable_interest()->mutable_known() = at->known;
    if (links_.queue(to, request) != group_links::queued::ok) return;
    at->interest_call = request.call();
    in.calls[request.call()] = at;
  }
  at->registered = to;
  ++at->registration;
  at->last_seq = 0;
}

void hub::retry_soon(shard& in, const room_ptr& at) {
  note_busy(in, at);
  if (!later_ || ++at->refusals > quick_retries || hurrying_.exchange(true)) return;
  later_(quick_retry, [this] {
    hurrying_ = false;
    on_tick(core_.tick());
  });
}

void hub::send_waiting(shard& in, const room_ptr& at) {
  bool pushed = false;
  for (command& each : at->waiting) {
    if (each.is_local() || each.sent_on == at->registered) continue;
    if (!send_command(in, at, each)) {
      at->registered = {};  // the stream has just ended
      break;
    }
    pushed = pushed || each.what == op::push;
  }
  if (!pushed) return;
  std::erase_if(at->waiting, [&](const command& each) {
    const bool gone = each.what == op::push && each.sent_on;
    if (gone) at->waiting_bytes -= each.request.push().body().size();
    return gone;
  });
}

bool hub::send_command(shard& in, const room_ptr& at, command& what) {
  what.request.set_epoch(at->registered.epoch);
  if (what.what == op::push) {
    const auto how = links_.queue(at->registered, what.request);
    if (how == group_links::queued::no_stream) return false;
    if (how == group_links::queued::full) core_.metrics.live.dropped(drop::overload);
    what.sent_on = at->registered;
    return true;
  }
  // An answer to an earlier try means nothing any more.
  in.calls.erase(what.request.call());
  if (what.sent_on) what.request.set_again(true);
  what.request.set_call(next_call(in));
  if (links_.queue(at->registered, what.request) != group_links::queued::ok) return false;
  what.sent_on = at->registered;
  in.calls[what.request.call()] = at;
  return true;
}

void hub::note_busy(shard& in, const room_ptr& at) {
  if (std::exchange(at->busy, true)) return;
  in.busy.push_back(at);
}

void hub::advance_all() {
  for (shard& in : shards_) {
    effects out;
    {
      const std::lock_guard lock(in.mutex);
      std::vector<room_ptr> all;
      all.reserve(in.rooms.size());
      for (const auto& [id, at] : in.rooms) all.push_back(at);
      for (const room_ptr& at : all) advance(in, at, out);
    }
    post(out);
  }
  links_.flush();
}

// ---- time and cluster ---------------------------------------------------------------------------------------------

void hub::on_tick(uint32_t tick) {
  for (shard& in : shards_) {
    effects out;
    {
      const std::lock_guard lock(in.mutex);
      if (in.busy.empty()) continue;
      look_at_busy(in, tick, out);
    }
    post(out);
  }
  links_.flush();
}

void hub::look_at_busy(shard& in, uint32_t tick, effects& out) {
  const std::vector<room_ptr> now = std::exchange(in.busy, {});
  for (const room_ptr& at : now) {
    at->busy = false;
    if (at->over) continue;
    expire(in, at, tick, out);
    settle(in, at);
    advance(in, at, out);
  }
}

void hub::expire(shard& in, const room_ptr& at, uint32_t tick, effects& out) {
  std::erase_if(at->waiting, [&](const command& each) {
    if (static_cast<int32_t>(tick - each.deadline) < 0) return false;
    if (each.what == op::push) {
      core_.metrics.live.dropped(drop::no_owner);
      at->waiting_bytes -= each.request.push().body().size();
      return true;
    }
    in.calls.erase(each.request.call());
    answer(out, each, errc::overload, nullptr);
    --at->uses;
    if (each.what == op::create) at->creating = false;
    return true;
  });
}

void hub::apply(const placement::snapshot_ptr& current) {
  links_.apply(current);
  advance_all();
}

void hub::clear() { links_.clear(); }

}  // namespace tern::gateway::live
