// The backlog: what waits in the log is read page by page and sent as lists; each acknowledged list moves the cursor.
#include <algorithm>

#include "libs/delivery/account_delivery.hpp"

namespace tern::delivery {

void account_delivery::on_drain_request(terminal_slot slot) {
  asked_ |= only(slot);
  drain_all_ = true;
  // Read afresh even when the conversations are known: stored notices are not kept in memory.
  request_backlog();
}

void account_delivery::request_backlog() {
  if (loading_) {
    reload_ = true;
    return;
  }
  loading_ = true;
  out_.load_backlog();
}

void account_delivery::on_backlog(backlog found) {
  loading_ = false;
  for (const waiting_conversation& one : found.conversations) {
    dialog& c = get(one.conversation, one.other);
    if (c.known || c.clears != 0) continue;  // we know better than a read that our writes may have overtaken
    c.known = true;
    if (c.now == state::marking) {
      c.floor = std::min(c.floor, one.delivered);
      c.live_to = std::min(c.live_to, one.delivered);
    } else {
      set_dirty(c, one.delivered);
      c.found = std::max(c.found, one.delivered);
      settle(c);
    }
  }
  known_ = true;
  more_ = found.more;
  if (!more_) {
    for (auto& [id, c] : dialogs_) c.known = true;
  }
  send_waiting_notices(found.notices);
  if (std::exchange(reload_, false)) request_backlog();
  release_held();
  drain_some();
}

void account_delivery::set_dirty(dialog& c, uint64_t floor) {
  if (c.now == state::clean) ++dirty_;
  c.now = state::dirty;
  c.floor = c.live_to = floor;
}

void account_delivery::on_backlog_failed() {
  loading_ = reload_ = false;
  backlog_retry_ = true;
  if (terminals_ == 0) release_held();
  out_.later();
}

void account_delivery::release_held() {
  if (loading_ && !known_) return;
  auto held = std::exchange(held_, {});
  for (auto& [entry, what] : held) on_message(std::move(entry), std::move(what));
}

void account_delivery::send_waiting_notices(std::vector<waiting_notice>& found) {
  for (const waiting_notice& one : found) {
    if (was_acknowledged(one.id)) continue;
    auto at = std::find_if(notices_.begin(), notices_.end(), [&](const notice& known) { return known.id == one.id; });
    if (at == notices_.end()) at = notices_.insert(notices_.end(), notice{one.id, 0, 0});
    const terminal_set to = terminals_ & ~at->sent;
    at->sent |= to;
    at->holders |= to;
    if (to != 0) out_.deliver_notice(to, one.id, one.body, true);
  }
  std::erase_if(notices_, [](const notice& one) { return one.holders == 0; });
}

bool account_delivery::wanted(const dialog& c) const noexcept {
  return c.now == state::dirty && c.known && c.marks == 0 && (drain_all_ || c.automatic);
}

void account_delivery::drain_some() {
  if (terminals_ == 0 || !known_) return;
  if (dirty_ > draining_ && draining_ < limits_->draining && flights_.size() < limits_->in_flight / 2 + 1) {
    std::vector<dialog*> ready;
    for (auto& [id, c] : dialogs_) {
      if (wanted(c)) ready.push_back(&c);
    }
    std::sort(ready.begin(), ready.end(), [](const dialog* a, const dialog* b) { return a->used < b->used; });
    for (dialog* c : ready) {
      if (draining_ >= limits_->draining) break;
      start_drain(*c);
    }
  }
  check_end();
}

terminal_set account_delivery::audience_of(const dialog& c) {
  return c.room ? out_.listeners(c.id, terminals_) : terminals_;
}

void account_delivery::start_drain(dialog& c) {
  if (first_awaited(c.id) != 0) return;  // messages of it are on the wire: their acknowledgements come first
  c.floor = std::max(c.floor, c.live_to);
  c.now = state::draining;
  c.work = std::make_unique<drain>();
  c.work->audience = audience_of(c);
  c.work->position = c.work->began = c.floor;
  c.base = c.drained == 0 ? c.floor : std::min(c.base, c.floor);
  c.drained = std::max(c.drained, c.floor);
  ++draining_;
  go_on(c);
}

void account_delivery::go_on(dialog& c) {
  if (claimed(c.id)) return stop_drain(c);
  drain& work = *c.work;
  work.position = std::max(work.position, written_before(c.id));
  if (work.position > c.floor) {  // as those say who may go away before the next list is acknowledged
    c.floor = work.position;
    out_.put_cursor(c.id, c.other, cursor_change::advance, c.floor);
  }
  if (work.first_head == 0) work.began = work.position;
  terminal_set holders = 0;
  uint64_t batch = 0;
  for (seed& one : seeds_) {
    std::erase_if(one.what.batches,
                  [&](const position& at) { return at.conversation == c.id && at.mid <= work.position; });
    for (const position& at : one.what.batches) {
      if (at.conversation != c.id || (batch != 0 && at.mid > batch)) continue;
      holders = at.mid == batch ? holders | only(one.slot) : only(one.slot);
      batch = at.mid;
    }
  }
  if (batch != 0) {
    // A former owner's list is on the wire: it is acknowledged before anything is read.
    work.batch = work.reached = batch;
    work.head = 0;
    work.audience = holders;
    return;
  }
  if (work.head == 0) work.audience = audience_of(c);
  read_on(c);
}

void account_delivery::read_on(dialog& c) {
  c.work->token = ++tokens_;
  c.work->batch = 0;
  out_.read(c.id, c.work->position, c.work->token);
}

void account_delivery::on_page(const conversation_id& conversation, uint64_t token, page found) {
  account_delivery::dialog* c = find(conversation);
  if (c == nullptr || c->now != state::draining || c->work->token != token) return;
  drain& work = *c->work;
  if (work.audience == 0) work.audience = audience_of(*c);
  if (work.audience == 0)
    return finish(*c, c->floor);  // all have positions of their own: they get the rest one by one
  work.head = found.head;
  if (work.first_head == 0) work.first_head = found.head;
  // A recall that was there before the drain began: the log had the target no more. One of what came after the last
  // page read likewise. Its target was never seen, if it is none of those from before.
  std::erase_if(found.rows, [&work](const message& row) {
    return row.target > work.began && (row.mid <= work.first_head || row.target > work.position);
  });
  if (!found.rows.empty()) found.reached = std::max(found.reached, found.rows.back().mid);
  work.reached = std::max(found.reached, work.position);
  if (!found.rows.empty()) {
    work.batch = found.rows.back().mid;
    work.reached = std::max(work.reached, work.batch);
    out_.deliver_batch(work.audience, c->id, work.batch, found.rows);
  } else if (work.reached >= c->last && work.reached >= work.head) {
    finish(*c, work.reached);
  } else if (work.reached > work.position) {
    work.position = work.reached;
    go_on(*c);
  } else {
    on_page_failed(conversation, token);  // the reader does not see yet what the dispatcher has told
  }
}

void account_delivery::on_page_failed(const conversation_id& conversation, uint64_t token) {
  account_delivery::dialog* c = find(conversation);
  if (c == nullptr || c->now != state::draining || c->work->token != token) return;
  stop_drain(*c);
  // Not before the timer: drain_some() is not called here.
  out_.later();
}

void account_delivery::on_batch_ack(terminal_slot slot, const position& what) {
  dialog* c = find(what.conversation);
  const bool under_way = c != nullptr && c->now == state::draining;
  if (under_way && c->work->batch == what.mid && (c->work->audience & only(slot)) != 0) return advance(*c);
  seed* mine = seed_of(slot);
  if (mine == nullptr) return;
  const auto same = [&](const position& one) { return one.conversation == what.conversation && one.mid == what.mid; };
  if (std::erase_if(mine->what.batches, same) == 0) return;
  mine->what.written.push_back(what);
  if (c == nullptr) c = &get(what.conversation, account_id{});
  c->found = std::max(c->found, what.mid);
  settle(*c);
  if (!under_way || what.mid <= c->floor) return;
  c->floor = what.mid;  // who has acknowledged it may go away before the list under way is
  out_.put_cursor(c->id, c->other, cursor_change::advance, c->floor);
}

void account_delivery::advance(dialog& c) {
  drain& work = *c.work;
  work.position = std::max(work.position, work.reached);
  c.drained = std::max(c.drained, work.position);
  if (work.head != 0 && work.reached >= work.head && work.reached >= c.last) {
    finish(c, work.reached);
    return;
  }
  c.floor = std::max(c.floor, work.position);
  out_.put_cursor(c.id, c.other, cursor_change::advance, c.floor);
  go_on(c);
}

void account_delivery::finish(dialog& c, uint64_t reached) {
  if (c.room) {
    c.floor = std::max(c.floor, reached);
    out_.put_cursor(c.id, c.other, cursor_change::advance, c.floor);
    if (const uint64_t newer = out_.make_live(c.id, c.floor); newer != 0) {
      c.last = std::max(c.last, newer);
      c.work->position = c.floor;
      c.work->head = 0;
      return go_on(c);
    }
    forget(c);
    drain_some();
    return;
  }
  c.work.reset();
  --draining_;
  --dirty_;
  c.now = state::clean;
  c.known = true;
  c.automatic = false;
  c.drained = std::max(c.drained, reached);
  ++c.clears;
  out_.put_cursor(c.id, c.other, cursor_change::clear, reached);
  drain_some();
}

/// A room that is not dirty is not remembered.
void account_delivery::forget(dialog& c) {
  if (c.now == state::draining) --draining_;
  if (c.now != state::clean) --dirty_;
  const conversation_id id = c.id;
  dialogs_.erase(id);
}

void account_delivery::on_room_behind(const conversation_id& room, uint64_t delivered, bool automatic) {
  dialog& c = get(room, account_id{});
  c.room = c.known = true;
  c.automatic = c.automatic || automatic;
  if (c.now == state::clean) set_dirty(c, delivered);
  if (automatic && !known_ && !loading_) request_backlog();
  drain_some();
}

void account_delivery::on_room_wake(const conversation_id& room) {
  dialog* c = find(room);
  if (c != nullptr && c->room) on_room_behind(room, c->floor, true);
}

uint64_t account_delivery::on_room_gone(const conversation_id& room) {
  dialog* c = find(room);
  if (c == nullptr || !c->room) return 0;
  const uint64_t position = c->floor;
  forget(*c);
  drain_some();
  return position;
}

void account_delivery::on_rooms_open(size_t count) {
  rooms_open_ = count;
  if (count == 0) drain_some();
}

void account_delivery::stop_drain(dialog& c) {
  c.work.reset();
  --draining_;
  c.now = state::dirty;
  c.automatic = true;
}

void account_delivery::leave_drain(dialog& c, terminal_slot slot) {
  if (c.now != state::draining) return;
  c.work->audience &= ~only(slot);
  if (c.work->audience == 0) stop_drain(c);
}

bool account_delivery::exhausted() const noexcept {
  return std::all_of(dialogs_.begin(), dialogs_.end(), [](const auto& one) {
    const dialog& c = one.second;
    return c.clears == 0 && c.marks == 0 && (c.now == state::clean || !c.known);
  });
}

void account_delivery::check_end() {
  if (terminals_ == 0 || !known_ || loading_ || !drain_all_) return;
  if (more_) {
    if (exhausted()) request_backlog();
    return;
  }
  if (dirty_ != 0 || rooms_open_ != 0 || !notices_.empty()) return;
  drain_all_ = false;
  if (asked_ != 0) out_.drained(std::exchange(asked_, 0));
}

}  // namespace tern::delivery
