// The account's way to another node: standing still, what is told the next owner, and beginning from what a former
// one told. docs/flows/migration.md.
#include <algorithm>

#include "libs/handover/mover.hpp"
#include "services/session/actors/session_state.hpp"
#include "services/session/directory.hpp"
#include "services/session/links/late_acks.hpp"
#include "services/session/move_format.hpp"
#include "services/session/rooms/hub.hpp"
#include "services/session/wheel.hpp"

namespace tern::session {
namespace {

constexpr size_t held_most = 4096;  // events; gateways and dispatchers have fewer under way for one account
constexpr std::chrono::milliseconds verdict_most{300};
constexpr std::chrono::milliseconds terminals_most{200};  // one that stays away does not hold up the others

using stage = held_work::stage;

void forget_live(std::vector<event>& events) {
  std::erase_if(events, [](const event& one) { return std::holds_alternative<peer_event>(one); });
}

}  // namespace

// ---- holding ----

bool session_state::hold(event& what) {
  if (std::holds_alternative<bind_event>(what)) held_->binds = true;
  if (held_->events.size() >= held_most) forget_live(held_->events);
  held_->events.push_back(std::move(what));
  return true;
}

/// True: the event is dealt with, or comes again when the account goes on.
bool session_state::holds(event& what) {
  if (std::holds_alternative<range_lost_event>(what) || std::holds_alternative<freeze_event>(what) ||
      std::holds_alternative<thaw_event>(what) || std::holds_alternative<decided_event>(what)) {
    return false;
  }
  const bool work = std::holds_alternative<frame_event>(what) || std::holds_alternative<delivery_event>(what);
  switch (held_->now) {
    case stage::verdict: return hold(what);
    case stage::terminals: return work && hold(what);
    case stage::freezing:
      return (held_->binds || work || std::holds_alternative<bind_event>(what) ||
              std::holds_alternative<room_event>(what)) &&
             hold(what);
    case stage::handed: break;
  }
  if (std::holds_alternative<peer_event>(what)) return false;  // of the moment: its terminals are still here
  if (auto* acked = std::get_if<acked_event>(&what)) late_notices(*env_, acked->acked);
  if (work || std::holds_alternative<bind_event>(what)) return hold(what);
  return true;
}

void session_state::release() {
  const auto before = std::move(held_);
  bool again = false;  // something of it made the account stand still anew
  for (event& one : before->events) {
    if (leaving_) return;
    again = again || held_ != nullptr;
    if (!again || !holds(one)) std::visit([this](auto& that) { on(that); }, one);
  }
  env_->wheel->after(std::chrono::milliseconds(1), caf::actor{self_});  // what was due meanwhile
}

/// The account has another owner: what waited is told so, in the order it came.
void session_state::refuse_held() {
  for (event& one : held_->events) {
    if (const auto* bind = std::get_if<bind_event>(&one)) {
      terminal unknown;
      unknown.gateway = bind->from;
      if (bind->bind.fresh()) {
        v1::LoginResult& result = *out(unknown).mutable_login_result();
        result.set_conn(bind->bind.conn());
        result.set_code(static_cast<int32_t>(errc::wrong_owner));
      } else {
        v1::BindResult& result = *out(unknown).mutable_bind_result();
        result.set_conn(bind->bind.conn());
        result.set_code(static_cast<int32_t>(errc::wrong_owner));
        result.set_epoch(epoch());
      }
    } else if (const auto* entry = std::get_if<delivery_event>(&one)) {
      v1::DeliveryReply reply;
      reply.set_shard(entry->source->shard);
      reply.set_epoch(entry->source->epoch);
      reply.add_wrong_owner(entry->delivery.entry());
      replies_.emplace_back(entry->source, std::move(reply));
    }  // frames: their terminal is bound anew and they are sent again
  }
  held_.reset();
}

// ---- the way out ----

void session_state::on(freeze_event& what) {
  if (held_ || delivery_.terminals() == 0) {
    // On its way already, or nobody to go on for: the next owner does as well without.
    env_->moves->skip(what.move, held_ != nullptr);
    return;
  }
  held_ = std::make_unique<held_work>();
  held_->move = what.move;
  held_->format = what.format;
}

void session_state::on(thaw_event& what) {
  if (!held_ || held_->move != what.move) return;
  if (held_->now == stage::freezing) {
    release();
  } else if (held_->now == stage::handed && what.all) {
    env_->directory->end(account_, self_->id());  // range_lost_event is the next and last mail
  }
}

bool session_state::quiet() const {
  if (asked_ != 0 || rooms_now_ == rooms_state::loading || !late_receipts_.empty() || !room_waits_.empty())
    return false;
  if (!contact_checks_.empty() || !pair_turns_.empty() || (presence_ && !presence_->waiting.empty())) return false;
  const bool busy =
      std::any_of(terminals_.begin(), terminals_.end(), [](const auto& one) { return one && !one->inbound.idle(); });
  return !busy && delivery_.still();
}

void session_state::hand_over() {
  flush();  // before the rooms are left
  if (delivery_.terminals() == 0) {
    env_->moves->skip(held_->move, false);
    return release();
  }
  held_->now = stage::handed;
  if (env_->moves->put(held_->move, account_.value, held_->format, exported(held_->format))) return;
  env_->directory->end(account_, self_->id());  // too late, and the rooms are left: its terminals come back
}

std::string session_state::exported(uint32_t format) {
  delivery::memory known = delivery_.remember();
  const bool rooms_known = rooms_now_ == rooms_state::loaded;
  const bool by_themselves = rooms_by_themselves_ || known.room_automatic;
  std::vector<room_id> behind;
  for (const own_room& one : rooms_) {
    const bool left = rooms_known && env_->hub->standing_of(one.room, account_).place != room_place::live;
    if (left) behind.push_back(one.room);
  }
  leave_hub();
  move_out out{account_, domain_};
  out.delivery = std::move(known);
  out.rooms_by_themselves = by_themselves;
  if (rooms_known) {
    for (own_room& one : rooms_) {
      one.position = std::max(one.position, delivery_.on_room_gone({one.room.value, 0}));
    }
    out.rooms = &rooms_;
    out.behind = std::move(behind);
  }
  if (presence_ && presence_->book.loaded()) out.roster = &presence_->book.rows();
  out.rate = rate_.left(env_->time.now(), env_->config.account_rate_per_second);
  for (const auto& one : terminals_) {
    if (one) out.terminals.push_back(one->conn);
  }
  return write_state(out, format);
}

// ---- the way in ----

void session_state::claim_state() {
  if (env_->moves == nullptr) return;
  uint32_t format = 0;
  std::string body;
  const handover::found there = env_->moves->take(account_.value, format, body);
  if (there == handover::found::wait) {
    if (!held_) held_ = std::make_unique<held_work>();
    held_->now = stage::verdict;
    held_->due = env_->time.now() + verdict_most;
    env_->wheel->after(verdict_most, caf::actor{self_});
    return;
  }
  const bool begun = there == handover::found::state && restore(format, body);
  if (!held_ || begun) return;
  release();  // as after a takeover
}

bool session_state::restore(uint32_t format, const std::string& body) {
  auto state = read_state(format, body, account_);
  if (!state) {
    env_->metrics.count_moved(moved::dropped, 1);
    return false;
  }
  env_->metrics.count_moved(moved::warm, 1);
  domain_ = std::move(state->domain);
  rate_.go_on(env_->time.now(), state->rate);
  if (state->roster_known) presence().book.load(std::move(state->roster));
  delivery_.restore(state->delivery);
  if (!held_) held_ = std::make_unique<held_work>();
  held_->now = stage::terminals;
  held_->due = env_->time.now() + terminals_most;
  held_->coming = std::move(state->terminals);
  held_->rooms_known = state->rooms_known;
  held_->rooms = std::move(state->rooms);
  held_->behind = std::move(state->behind);
  rooms_by_themselves_ = state->rooms_by_themselves;
  if (held_->rooms_known) {
    rooms_now_ = rooms_state::loading;  // until the terminals are there
    ++rooms_round_;
    count_open_rooms();
  }
  env_->wheel->after(terminals_most, caf::actor{self_});
  // What came before the verdict: the terminals among it.
  std::vector<event> early = std::exchange(held_->events, {});
  for (event& one : early) {
    if (leaving_) return true;
    if (!held_ || !holds(one)) std::visit([this](auto& that) { on(that); }, one);
  }
  return true;
}

void session_state::on(decided_event&) {
  if (held_ && held_->now == stage::verdict) claim_state();
}

void session_state::terminal_came(uint64_t conn) {
  if (!held_ || held_->now != stage::terminals) return;
  std::erase(held_->coming, conn);
  if (held_->coming.empty()) terminals_came();
}

/// All that were on line at the last owner are here, or were waited for long enough.
void session_state::terminals_came() {
  if (held_->rooms_known) {
    auto rooms = std::exchange(held_->rooms, {});
    const auto behind = std::exchange(held_->behind, {});
    if (delivery_.terminals() == 0) {
      leave_hub();
      rooms_ = std::move(rooms);
      delivery_.on_rooms_open(0);
    } else if (rooms_now_ == rooms_state::loading) {
      rooms_read(std::move(rooms), true, behind);
    }
  }
  delivery_.settled();
  release();
}

}  // namespace tern::session
