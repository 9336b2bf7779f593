#include "services/group/logic/room_order.hpp"

#include <algorithm>
#include <utility>

namespace tern::group {
namespace {

constexpr std::chrono::milliseconds retry_pause{250};
/// So many changes by which somebody ceased to be a member are told again to session nodes that come later.
constexpr size_t gone_kept = 64;
/// Looks 1/4, 3/4, 1 3/4 and 3 3/4 s after the doubt: storage ends what it has not written within 2 s.
constexpr uint32_t recheck_rounds = 4;
constexpr std::chrono::milliseconds first_recheck{250};

bool outcome_unknown(errc code) {
  return code == errc::deadline || code == errc::unavailable || code == errc::database || code == errc::internal;
}

errc code_of(const completion& what) { return static_cast<errc>(what.answer.code()); }

}  // namespace

void room_order::interest(caller who, bool on) {
  const auto same = [&who](const caller& other) { return other.stream == who.stream; };
  if (!on) {
    std::erase(interested_, who.stream);
    v1::Answer ended;
    ended.set_code(static_cast<int32_t>(errc::cancelled));
    for (const caller& one : awaiting_) {
      if (same(one)) port_.send_answer(one, ended);
    }
    std::erase_if(awaiting_, same);
    v1::Answer answer;
    answer.set_head(fanned_);
    port_.send_answer(who, answer);
    pump();  // with nobody left no gap matters
    return;
  }
  if (head_ == head::known) {
    if (std::find(interested_.begin(), interested_.end(), who.stream) == interested_.end()) {
      interested_.push_back(who.stream);
    }
    v1::Answer answer;
    answer.set_head(fanned_);
    port_.send_answer(who, answer);
    tell_lately_gone(who.stream);
    return;
  }
  awaiting_.push_back(std::move(who));
  if (head_ == head::asked) return;
  head_ = head::asked;
  port_.load_head();
}

void room_order::left(const session_ptr& stream) {
  std::erase_if(awaiting_, [&stream](const caller& one) { return one.stream == stream; });
  std::erase(former_, stream);
  if (std::erase(interested_, stream) != 0) pump();
}

std::vector<session_ptr> room_order::awaiting() const {
  std::vector<session_ptr> found;
  for (const caller& one : awaiting_) {
    if (std::find(found.begin(), found.end(), one.stream) == found.end()) found.push_back(one.stream);
  }
  return found;
}

void room_order::change_sent() {
  ++changes_;
  spoiled_ = true;
}

void room_order::finished(completion what) {
  if (what.change) --changes_;
  if (outcome_unknown(code_of(what))) doubt();
  done_.push_back(std::move(what));
  pump();
}

void room_order::pump() {
  while (!done_.empty()) {
    completion& next = done_.front();
    const uint64_t mid = next.frame.mid();
    if (mid > fanned_) {
      if (interested_.empty()) {
        fanned_ = mid;  // whoever asks from now on gets this as the head
      } else if (mid == fanned_ + 1 && !next.answer.appended().duplicate()) {
        fan(next.frame, next.who.stream);
      } else {
        fill_gap();
        return;
      }
    }
    pass_on(next);
    done_.pop_front();
  }
}

void room_order::pass_on(completion& what) {
  const auto& changed = what.answer.changed();
  if (changed.gone_size() != 0) {
    std::vector<session_ptr> to = awaiting();
    std::erase_if(to, [this](const session_ptr& one) {
      return std::find(interested_.begin(), interested_.end(), one) != interested_.end();
    });
    to.insert(to.end(), interested_.begin(), interested_.end());
    to.insert(to.end(), former_.begin(), former_.end());
    if (!to.empty()) port_.tell_gone(changed, to);
    if (lately_gone_.size() >= gone_kept) lately_gone_.pop_front();
    storage::v1::RoomChanged& kept = lately_gone_.emplace_back();
    kept.set_version(changed.version());
    *kept.mutable_gone() = changed.gone();
  }
  port_.send_answer(what.who, what.answer);
}

/// The next owner of an account may read its list of rooms before the news of the change has reached that list.
void room_order::tell_lately_gone(const session_ptr& to) {
  for (const storage::v1::RoomChanged& one : lately_gone_) port_.tell_gone(one, {to});
}

/// To the sender's node first: its copy of the frame is the receipt.
void room_order::fan(v1::RoomFrame& what, const session_ptr& sender) {
  fanned_ = what.mid();
  const auto at = std::find(interested_.begin(), interested_.end(), sender);
  if (at != interested_.end()) std::iter_swap(interested_.begin(), at);
  port_.fan_out(what, interested_);
}

void room_order::fill_gap() {
  if (reading_ != reading::none || retry_due_) return;
  reading_ = reading::gap;
  port_.read(fanned_, false);
}

void room_order::on_head(errc code, uint64_t newest) {
  std::vector<caller> waiting = std::exchange(awaiting_, {});
  if (code != errc::ok) {
    head_ = head::unknown;
    v1::Answer failed;
    failed.set_code(static_cast<int32_t>(code));
    for (const caller& one : waiting) port_.send_answer(one, failed);
    return;
  }
  head_ = head::known;
  fanned_ = std::max(fanned_, newest);  // what was stored while we asked is known already
  for (caller& one : waiting) interest(std::move(one), true);
  pump();
}

void room_order::fan_page(storage::v1::Page& page, uint64_t until) {
  until = std::min(until, page.reached());
  int at = 0;
  while (fanned_ < until) {
    const uint64_t mid = fanned_ + 1;
    while (at < page.rows_size() && page.rows(at).mid() < mid) ++at;
    v1::RoomFrame frame;
    frame.set_mid(mid);
    if (at < page.rows_size() && page.rows(at).mid() == mid) {
      storage::v1::HistoryRow& row = *page.mutable_rows(at);
      frame.set_sender(row.sender());
      frame.set_timestamp_ns(row.timestamp_ns());
      frame.set_target(row.target());
      frame.set_body(std::move(*row.mutable_body()));
    }
    fan(frame, nullptr);  // without a row it was a tombstone: it counts, nothing is delivered
  }
}

void room_order::on_page(errc code, storage::v1::Page& page) {
  const reading what = std::exchange(reading_, reading::none);
  const uint64_t before = fanned_;
  const bool wanted = !interested_.empty();
  if (code == errc::ok && wanted) {
    // A gap is known to end at the front's mid; what comes after it may belong behind a change that waits.
    const bool all = what == reading::recheck && !spoiled_;
    const uint64_t until = all ? page.reached() : done_.empty() ? 0 : done_.front().frame.mid();
    fan_page(page, until);
  }
  const bool stuck = !done_.empty() && wanted && done_.front().frame.mid() > fanned_ && fanned_ == before;
  if (stuck && what == reading::gap) {
    retry_due_ = true;
    port_.later(timer::retry, retry_pause);
  }
  pump();
  if (what != reading::recheck || !wanted) return;
  if (code != errc::ok || spoiled_) {
    rechecks_ = std::min(rechecks_ + 1, recheck_rounds);
    next_recheck();
  } else if (fanned_ > before && page.reached() < page.head()) {
    recheck();
  }
}

void room_order::resume(uint64_t newest) {
  head_ = head::known;
  fanned_ = newest;
}

void room_order::doubt() {
  rechecks_ = recheck_rounds;
  next_recheck();
}

void room_order::next_recheck() {
  if (rechecks_ == 0 || recheck_due_) return;
  recheck_due_ = true;
  port_.later(timer::recheck, first_recheck * (1U << (recheck_rounds - rechecks_)));
}

bool room_order::recheck() {
  if (reading_ != reading::none || !done_.empty() || changes_ != 0) return false;
  reading_ = reading::recheck;
  spoiled_ = false;
  port_.read(fanned_, true);
  return true;
}

void room_order::on_timer(timer which) {
  if (which == timer::retry) {
    retry_due_ = false;
    pump();
    return;
  }
  recheck_due_ = false;
  if (rechecks_ == 0) return;
  // Nobody listens: whoever does next is told a head that is read then.
  if (interested_.empty() && head_ == head::known) head_ = head::unknown;
  if (interested_.empty() || recheck()) --rechecks_;
  next_recheck();
}

void room_order::abandon() {
  former_ = awaiting();
  std::erase_if(former_, [this](const session_ptr& one) {
    return std::find(interested_.begin(), interested_.end(), one) != interested_.end();
  });
  former_.insert(former_.end(), interested_.begin(), interested_.end());
  interested_.clear();
  rechecks_ = 0;
  v1::Answer answer;
  answer.set_code(static_cast<int32_t>(errc::wrong_owner));
  for (const caller& one : std::exchange(awaiting_, {})) port_.send_answer(one, answer);
  for (completion& one : std::exchange(done_, {})) {
    // A message that did not go out must be asked for again: the next owner knows it as a repeat and sends it.
    if (one.frame.mid() > fanned_) {
      port_.send_answer(one.who, answer);
    } else {
      pass_on(one);
    }
  }
}

bool room_order::idle() const {
  return interested_.empty() && awaiting_.empty() && done_.empty() && reading_ == reading::none &&
         head_ != head::asked && rechecks_ == 0;
}

bool room_order::still() const {
  return head_ == head::known && awaiting_.empty() && done_.empty() && reading_ == reading::none && rechecks_ == 0 &&
         changes_ == 0;
}

}  // namespace tern::group
