// What group nodes say, and what becomes of rooms and commands when their stream ends.
#include <algorithm>

#include "services/gateway/live/hub.hpp"

namespace tern::gateway::live {

namespace {

/// The owner may be another one by now: asked again with the next tick or map.
bool elsewhere(errc code) noexcept {
  return code == errc::wrong_owner || code == errc::stale_epoch || code == errc::unavailable ||
         code == errc::cancelled;
}

}  // namespace

void hub::answer(effects& out, const command& what, errc code, const room_ptr& at) {
  event done;
  done.what = event::kind::answer;
  done.at = at;
  done.asked = what.what;
  done.how = what.how;
  done.code = code;
  done.conn = what.conn;
  done.target = what.what == op::create ? 0 : what.target;
  done.vroom = at ? at->id : what.request.vroom();
  out.emplace_back(thread_of(what.conn), std::move(done));
}

// ---- streams ------------------------------------------------------------------------------------------------------

void hub::on_link_up(uint32_t) {
  core_.metrics.live.links_up.add(1);
  advance_all();
}

void hub::on_link_down(const place& stream) {
  core_.metrics.live.links_up.add(-1);
  for (shard& in : shards_) {
    effects out;
    {
      const std::lock_guard lock(in.mutex);
      std::vector<room_ptr> lost;
      for (const auto& [id, at] : in.rooms) {
        if (at->registered.same_stream(stream)) lost.push_back(at);
      }
      for (const room_ptr& at : lost) {
        lose(in, at);
        settle(in, at);
        advance(in, at, out);
      }
    }
    post(out);
  }
  links_.flush();
}

void hub::lose(shard& in, const room_ptr& at) {
  in.calls.erase(std::exchange(at->interest_call, 0));
  at->registered = {};
  for (command& each : at->waiting) {
    if (!each.sent_on) continue;
    in.calls.erase(each.request.call());
    each.request.set_again(true);
    each.sent_on = {};
  }
}

// ---- items --------------------------------------------------------------------------------------------------------

void hub::on_replies(const place& stream, std::vector<group::v1::LiveReply>& items) {
  // Frames, which are most of it, and the rest keep their order: one post per io thread for the whole batch.
  std::vector<std::vector<event>> events(threads_);
  for (group::v1::LiveReply& item : items) {
    effects out;
    switch (item.item_case()) {
      case group::v1::LiveReply::kFrame: on_frame(stream, item.frame(), events); break;
      case group::v1::LiveReply::kAnswer: on_answer(*item.mutable_answer(), out); break;
      case group::v1::LiveReply::kRefused: on_refused(stream, item.refused(), out); break;
      case group::v1::LiveReply::kState: {
        shard& in = shard_of(item.state().vroom());
        const std::lock_guard lock(in.mutex);
        if (const room_ptr at = find_registered(in, item.state().vroom(), stream)) learn(*at, *item.mutable_state());
        break;
      }
      case group::v1::LiveReply::kGone: {
        shard& in = shard_of(item.gone().vroom());
        const std::lock_guard lock(in.mutex);
        if (const room_ptr at = find_registered(in, item.gone().vroom(), stream)) {
          finish(in, at, errc::no_such_object, out);
        }
        break;
      }
      case group::v1::LiveReply::ITEM_NOT_SET: break;
    }
    for (auto& [thread, what] : out) {
      if (thread < threads_) events[thread].push_back(std::move(what));
    }
  }
  items.clear();
  for (size_t i = 0; i < threads_; ++i) {
    if (!events[i].empty()) post_(i, std::move(events[i]));
  }
  links_.flush();
}

room_ptr hub::find_registered(const shard& in, uint64_t vroom, const place& stream) const {
  const auto [first, last] = in.rooms.equal_range(vroom);
  for (auto it = first; it != last; ++it) {
    // What another stream says is of an owner that was, or is not yet: it would get between the frames of this one.
    if (it->second->has_state && it->second->registered.same_stream(stream)) return it->second;
  }
  return nullptr;
}

void hub::on_frame(const place& stream, const group::v1::LiveFrame& frame, std::vector<std::vector<event>>& events) {
  core_.metrics.live.frames_in.add();
  event made;
  std::array<bool, forms> wanted{};
  std::vector<size_t> threads;
  {
    shard& in = shard_of(frame.vroom());
    const std::lock_guard lock(in.mutex);
    made.at = find_registered(in, frame.vroom(), stream);
    // Ahead of the interest's answer it is a frame of an earlier ownership of the same node: others may have been in
    // between.
    if (!made.at || made.at->interest_call != 0) return;
    room& at = *made.at;
    if (at.last_seq != 0 && frame.seq() > at.last_seq + 1) {
      core_.metrics.live.dropped(drop::upstream, frame.seq() - at.last_seq - 1);
    }
    at.last_seq = frame.seq();
    made.registration = at.registration;
    for (size_t i = 0; i < threads_; ++i) {
      bool any = false;
      for (size_t each = 0; each < forms; ++each) {
        const bool here = at.watchers[i][each] != 0;
        wanted[each] = wanted[each] || here;
        any = any || here;
      }
      if (any) threads.push_back(i);
    }
  }
  if (threads.empty()) return;
  made.what = event::kind::frame;
  made.frame = make_frame(frame, wanted);
  for (const size_t thread : threads) events[thread].push_back(made);
}

void hub::on_refused(const place& stream, const group::v1::LiveRefused& refused, effects& out) {
  const auto code = static_cast<errc>(refused.code());
  if (elsewhere(code)) {
    core_.metrics.live.dropped(drop::no_owner);
    shard& in = shard_of(refused.vroom());
    const std::lock_guard lock(in.mutex);
    if (const room_ptr at = find_registered(in, refused.vroom(), stream)) {
      lose(in, at);
      retry_soon(in, at);
    }
    return;
  }
  if (to_wire(code) == errc::overload) {
    core_.metrics.live.dropped(drop::overload);
    return;
  }
  event said;
  said.what = event::kind::refused;
  said.code = code;
  said.conn = refused.conn();
  said.vroom = refused.vroom();
  out.emplace_back(thread_of(refused.conn()), std::move(said));
}

// ---- answers ------------------------------------------------------------------------------------------------------

void hub::learn(room& at, group::v1::LiveState& state) {
  if (state.vroom() != at.id || (at.has_state && state.version() < at.known.version())) return;
  at.known = std::move(state);
  at.has_state = true;
}

void hub::on_answer(group::v1::LiveAnswer& reply, effects& out) {
  shard& in = shards_[reply.call() % shard_count];
  command again;  // a create that needs another id
  asker who;
  {
    const std::lock_guard lock(in.mutex);
    const auto found = in.calls.find(reply.call());
    if (found == in.calls.end()) return;
    const room_ptr at = found->second;
    in.calls.erase(found);
    if (at->over) return;
    if (at->interest_call == reply.call()) {
      at->interest_call = 0;
      on_interest_answer(in, at, reply, out);
      return;
    }
    const auto asked = std::find_if(at->waiting.begin(), at->waiting.end(),
                                    [&](const command& each) { return each.request.call() == reply.call(); });
    if (asked == at->waiting.end()) return;
    if (elsewhere(static_cast<errc>(reply.code()))) {
      lose(in, at);
      retry_soon(in, at);
      return;
    }
    command what = std::move(*asked);
    at->waiting.erase(asked);
    if (what.what != op::create || reply.code() != static_cast<int32_t>(errc::exists)) {
      on_command_answer(in, at, std::move(what), reply, out);
      return;
    }
    who = {what.conn, at->asked_by, at->domain};
    again = std::move(what);
    erase(in, at);
  }
  create(std::move(again), who);
}

void hub::on_interest_answer(shard& in, const room_ptr& at, group::v1::LiveAnswer& reply, effects& out) {
  const auto code = static_cast<errc>(reply.code());
  if (code == errc::ok) {
    at->upgrading = false;
    at->refusals = 0;
    learn(*at, *reply.mutable_state());
    answer_local(in, at, out);
    settle(in, at);
  } else if (code == errc::no_such_object || code == errc::permission_denied || code == errc::bad_parameter) {
    finish(in, at, code, out);
  } else {
    lose(in, at);  // asked again until who waits gives up
    retry_soon(in, at);
    settle(in, at);
  }
}

void hub::on_command_answer(shard& in, const room_ptr& at, command what, group::v1::LiveAnswer& reply, effects& out) {
  const auto code = static_cast<errc>(reply.code());
  if (what.what == op::create) at->creating = false;
  if (code != errc::ok) {
    --at->uses;
    answer(out, what, code, nullptr);
    if (what.what == op::create) {
      erase(in, at);
    } else {
      settle(in, at);
    }
    return;
  }
  if (reply.has_state()) learn(*at, *reply.mutable_state());
  if (what.what == op::remove) {
    --at->uses;
    answer(out, what, errc::ok, nullptr);
    finish(in, at, errc::no_such_object, out);
    return;
  }
  answer(out, what, errc::ok, at);  // with the command's use
}

void hub::answer_local(shard&, const room_ptr& at, effects& out) {
  // A viewer gets everything behind its answer, so the owner has to know that frames are wanted.
  const bool flows = !at->registered || (at->frames && !at->upgrading);
  std::erase_if(at->waiting, [&](const command& each) {
    const bool done = each.is_local() && (flows || each.what != op::subscribe);
    if (done) answer(out, each, errc::ok, at);
    return done;
  });
}

void hub::finish(shard& in, const room_ptr& at, errc code, effects& out) {
  const bool known = at->has_state;
  in.calls.erase(std::exchange(at->interest_call, 0));
  for (const command& each : at->waiting) {
    in.calls.erase(each.request.call());
    if (each.what == op::push) {
      core_.metrics.live.dropped(drop::no_owner);
      continue;
    }
    // A removal is what has just happened; who is not subscribed has what unsubscribing asks for.
    const bool done = (each.what == op::remove && known) || each.what == op::unsubscribe;
    answer(out, each, done ? errc::ok : code, nullptr);
  }
  at->waiting.clear();
  at->waiting_bytes = 0;
  erase(in, at);
  for (size_t i = 0; i < threads_; ++i) {
    event gone;
    gone.what = event::kind::gone;
    gone.at = at;
    gone.vroom = at->id;
    gone.tell = known;
    out.emplace_back(i, std::move(gone));
  }
}

}  // namespace tern::gateway::live
