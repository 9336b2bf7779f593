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
  const bool first = !std::exchange(known_, true);
  const bool take_all = first || more_;  // otherwise dialogs_ knows better than a read that may be overtaken by writes
  more_ = found.more;
  for (const waiting_conversation& one : found.conversations) {
    if (!take_all) break;
    dialog& c = get(one.conversation, one.other);
    if (c.clears != 0 || c.now == state::draining || (!first && c.now != state::clean)) continue;
    if (c.now == state::marking) {
      c.floor = std::min(c.floor, one.delivered);
    } else {
      set_dirty(c, one.delivered);
    }
  }
  send_waiting_notices(found.notices);
  if (std::exchange(reload_, false)) request_backlog();
  release_held();
  drain_some();
}

void account_delivery::set_dirty(dialog& c, uint64_t floor) {
  if (c.now == state::clean) ++dirty_;
  c.now = state::dirty;
  c.floor = floor;
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
    if (std::find(dropping_.begin(), dropping_.end(), one.id) != dropping_.end()) continue;
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
  return c.now == state::dirty && c.marks == 0 && (drain_all_ || c.automatic);
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

bool account_delivery::start_drain(dialog& c) {
  terminal_set holding = 0;
  uint64_t batch = 0;
  for (const seed& one : seeds_) {
    for (const position& at : one.what.batches) {
      if (at.conversation != c.id) continue;
      holding |= only(one.slot);
      batch = std::max(batch, at.mid);
    }
  }
  if (claimed(c.id)) return false;  // messages of it are on the wire: their acknowledgements come first
  c.now = state::draining;
  c.work = std::make_unique<drain>();
  c.work->audience = holding != 0 ? holding : terminals_;
  c.work->position = std::max(c.floor, written_before(c.id));
  ++draining_;
  if (holding != 0) {
    c.work->batch = c.work->reached = batch;
  } else {
    read_on(c);
  }
  return true;
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
  work.head = found.head;
  work.reached = std::max(found.reached, work.position);
  if (!found.rows.empty()) {
    work.batch = found.rows.back().mid;
    work.reached = std::max(work.reached, work.batch);
    out_.deliver_batch(work.audience, c->id, work.batch, found.rows);
  } else if (work.reached >= c->last && work.reached >= work.head) {
    finish(*c, work.reached);
  } else if (work.reached > work.position) {
    work.position = work.reached;
    read_on(*c);
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
  if (c != nullptr && c->now == state::draining && c->work->batch == what.mid) {
    if ((c->work->audience & only(slot)) != 0) advance(*c);
    return;
  }
  seed* mine = seed_of(slot);
  if (mine == nullptr) return;
  const auto same = [&](const position& one) { return one.conversation == what.conversation && one.mid == what.mid; };
  if (std::erase_if(mine->what.batches, same) != 0) mine->what.written.push_back(what);
}

void account_delivery::advance(dialog& c) {
  drain& work = *c.work;
  for (seed& one : seeds_) {
    std::erase_if(one.what.batches, [&](const position& at) { return at.conversation == c.id && at.mid == work.batch; });
  }
  work.position = std::max(work.position, work.reached);
  if (work.head != 0 && work.reached >= work.head && work.reached >= c.last) {
    finish(c, work.reached);
    return;
  }
  c.floor = work.position;
  out_.put_cursor(c.id, c.other, cursor_change::advance, work.position);
  if (work.head == 0) work.audience = terminals_;  // the batch was another owner's: from here on it is ours
  read_on(c);
}

void account_delivery::finish(dialog& c, uint64_t reached) {
  c.work.reset();
  --draining_;
  --dirty_;
  c.now = state::clean;
  c.automatic = false;
  c.last = std::max(c.last, reached);
  ++c.clears;
  out_.put_cursor(c.id, c.other, cursor_change::clear, reached);
  drain_some();
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

bool account_delivery::clearing() const noexcept {
  return std::any_of(dialogs_.begin(), dialogs_.end(), [](const auto& one) { return one.second.clears != 0; });
}

void account_delivery::check_end() {
  if (terminals_ == 0 || !known_ || loading_ || !drain_all_ || dirty_ != 0 || !notices_.empty()) return;
  if (more_) {
    if (!clearing()) request_backlog();
    return;
  }
  drain_all_ = false;
  if (asked_ != 0) out_.drained(std::exchange(asked_, 0));
}

}  // namespace tern::delivery
