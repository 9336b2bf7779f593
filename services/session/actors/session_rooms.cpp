// The account's places in rooms: read when its first terminal is there, told to the hub, changed by entries of the
// rooms' shards. Messages of rooms do not pass here but for what waits in the log.
#include <algorithm>

#include "services/session/actors/session_state.hpp"
#include "services/session/notice.hpp"
#include "services/session/rooms/hub.hpp"
#include "services/session/wheel.hpp"

namespace tern::session {
namespace {

constexpr std::chrono::seconds load_again{1};
constexpr std::chrono::seconds wait_at_most{2};
constexpr int64_t clocks_differ_ns = 1'000'000'000;  // between a session and a storage node, generously

conversation_id log_of(room_id room) { return {room.value, 0}; }

/// Conversations of pairs never have 0 there.
bool is_room(const common::v1::Conversation& id) { return id.lo() == 0; }

bool is_member(const own_room& one) { return (one.bits & storage::v1::ROOM_MEMBER) != 0; }

bool of_room(const v1::DeliveryRef& ref, v1::DeliveryRef::Kind kind, room_id room) {
  return ref.kind() == kind && is_room(ref.conversation()) && ref.conversation().hi() == room.value;
}

/// Of what was written of a room, everything before the first message on its way was acknowledged. While a list of
/// the room is on its way nothing can be said: it came before.
uint64_t acked_in(const v1::Bind& bind, room_id room, uint64_t written) {
  uint64_t acked = written;
  for (const v1::DeliveryRef& ref : bind.unacked()) {
    if (of_room(ref, v1::DeliveryRef::BATCH, room)) return 0;
    if (of_room(ref, v1::DeliveryRef::ROOM, room) && ref.mid() != 0) acked = std::min(acked, ref.mid() - 1);
  }
  return acked;
}

/// As written: lists were acknowledged up to this message, and nothing came live since.
bool is_list_of_room(const v1::DeliveryRef& ref) {
  return ref.kind() == v1::DeliveryRef::BATCH && is_room(ref.conversation());
}

/// What a Bind says of rooms.
void note_bind(delivery::terminal_slot slot, uint32_t generation, const v1::Bind& bind, bound_rooms& into) {
  for (const v1::DeliveryRef& ref : bind.written()) {
    const room_id room{ref.conversation().hi()};
    if (ref.kind() == v1::DeliveryRef::ROOM)
      into.written.push_back({slot, generation, room, ref.mid(), acked_in(bind, room, ref.mid())});
    if (is_list_of_room(ref)) into.written.push_back({slot, generation, room, std::nullopt, ref.mid()});
  }
  for (const v1::DeliveryRef& ref : bind.unacked()) {
    if (is_list_of_room(ref)) into.listed.push_back(room_id{ref.conversation().hi()});
  }
}

/// The terminal as the room is told of it.
room_terminal bound_terminal(const terminal& mine, const v1::Bind& bind, room_id room) {
  room_terminal out{mine.gateway, mine.conn, {}, 0, mine.login_ns};
  for (const v1::DeliveryRef& ref : bind.written()) {
    if (of_room(ref, v1::DeliveryRef::ROOM, room)) out.written = std::max(out.written.value_or(0), ref.mid());
    if (of_room(ref, v1::DeliveryRef::BATCH, room)) out.acked = std::max(out.acked, ref.mid());
  }
  if (out.written) out.acked = std::max(out.acked, acked_in(bind, room, *out.written));
  return out;
}

}  // namespace

own_room* session_state::find_room(room_id room) {
  const auto at = std::lower_bound(rooms_.begin(), rooms_.end(), room,
                                   [](const own_room& one, room_id id) { return one.room < id; });
  return at != rooms_.end() && at->room == room ? &*at : nullptr;
}

void session_state::enter_rooms(delivery::terminal_slot slot, const v1::Bind& bind, const gateway_ptr& old) {
  flush();  // the gateway hears that the terminal is bound before messages for it come from the hub
  const terminal& mine = *terminals_[slot];
  if (rooms_now_ == rooms_state::loaded) {
    for (const own_room& one : rooms_) {
      if (!is_member(one)) continue;
      const room_terminal now = bound_terminal(mine, bind, one.room);
      if (old != nullptr) {
        env_->hub->rebind(one.room, account_, *old, now);
      } else {
        env_->hub->attach(one.room, account_, now);
      }
    }
    return;
  }
  if (!bind.fresh()) {
    if (!bound_rooms_) bound_rooms_ = std::make_unique<bound_rooms>();
    note_bind(slot, mine.generation, bind, *bound_rooms_);
    rooms_by_themselves_ = rooms_by_themselves_ || held_ == nullptr;  // else its last owner said
  }
  if (rooms_now_ == rooms_state::none) load_rooms();
}

void session_state::load_rooms() {
  rooms_now_ = rooms_state::loading;
  count_open_rooms();
  storage::v1::StorageRequest request;
  request.mutable_account_rooms()->set_account(account_.value);
  ask(slot_of(account_), std::move(request), patience::until_answered,
      [round = ++rooms_round_](session_state& state, storage_answer& got) {
        if (round == state.rooms_round_ && state.rooms_now_ == rooms_state::loading) state.rooms_loaded(got);
      });
}

void session_state::rooms_loaded(storage_answer& got) {
  if (got.code != errc::ok) {
    env_->log.error("rooms of an account not read", {{"code", to_string(got.code)}});
    return call_later(load_again, [round = rooms_round_](session_state& state) {
      if (round == state.rooms_round_ && state.rooms_now_ == rooms_state::loading) state.load_rooms();
    });
  }
  std::vector<own_room> found;
  found.reserve(static_cast<size_t>(got.reply.account_rooms().rows_size()));
  for (const auto& row : got.reply.account_rooms().rows()) {
    found.push_back({room_id{row.room()}, row.version(), row.delivered(), row.bits(), false, false});
  }
  rooms_read(std::move(found), false, {});
}

void session_state::rooms_read(std::vector<own_room> found, bool live, const std::vector<room_id>& behind) {
  std::vector<own_room> known = std::exchange(rooms_, std::move(found));
  const auto by_id = [](const own_room& one, const own_room& other) { return one.room < other.room; };
  std::sort(rooms_.begin(), rooms_.end(), by_id);
  for (const own_room& one : known) {
    own_room* row = find_room(one.room);
    if (row != nullptr) {
      // Positions written a moment ago need not have been read, nor changes stored while the list was.
      row->position = std::max(row->position, one.position);
      if (one.version > row->version) *row = one;
    } else if (one.fresh) {
      rooms_.insert(std::upper_bound(rooms_.begin(), rooms_.end(), one, by_id), one);
    }
  }
  rooms_now_ = rooms_state::loaded;
  for (own_room& one : rooms_) {
    one.fresh = false;
    const bool here = live && std::find(behind.begin(), behind.end(), one.room) == behind.end();
    if (is_member(one)) join_room(one, here);
  }
  bound_rooms_.reset();
  count_open_rooms();
  const auto waits = std::stable_partition(room_waits_.begin(), room_waits_.end(),
                                           [](const room_wait& one) { return one.room != room_id{}; });
  std::vector<room_wait> ready(std::make_move_iterator(waits), std::make_move_iterator(room_waits_.end()));
  room_waits_.erase(waits, room_waits_.end());
  for (const room_wait& one : ready) one.then(*this, errc::ok);
  for (late_receipt& one : std::exchange(late_receipts_, {}))
    send_room_receipt(one.from, one.room, one.stored, std::move(one.payload));
}

void session_state::join_room(own_room& room, bool fresh) {
  hub::membership who{room.room, account_, room.version, room.position};
  const bound_rooms* told = bound_rooms_.get();
  for (size_t i = 0; i < terminals_.size(); ++i) {
    if (!terminals_[i]) continue;
    room_terminal one{terminals_[i]->gateway, terminals_[i]->conn, {}, 0, terminals_[i]->login_ns};
    // Who becomes a member while on line gets what comes from then on by itself; who was one at the last owner, too.
    if (fresh) one.written = room.position;
    if (told != nullptr) {
      for (const auto& of : told->written) {
        if (of.slot != i || of.generation != terminals_[i]->generation || of.room != room.room) continue;
        if (of.written) one.written = of.written;
        one.acked = std::max(one.acked, of.acked);
      }
    }
    who.terminals.push_back(std::move(one));
  }
  who.listed =
      told != nullptr && std::find(told->listed.begin(), told->listed.end(), room.room) != told->listed.end();
  flush();
  room.open = true;
  env_->hub->join(who);
  standing(room);
}

/// Does what the hub's answer asks for. True: it is behind, and nothing tells whether what waits is of now.
bool session_state::standing(own_room& room) {
  const hub::standing now = env_->hub->standing_of(room.room, account_);
  room.open = now.place == room_place::waiting;
  if (now.place != room_place::behind) return false;
  const bool by_itself = rooms_by_themselves_ || came_since_login(now.newest_ns);
  delivery_.on_room_behind(log_of(room.room), now.position, by_itself);
  return !by_itself;
}

void session_state::count_open_rooms() {
  const auto open =
      static_cast<size_t>(std::count_if(rooms_.begin(), rooms_.end(), [](const own_room& one) { return one.open; }));
  delivery_.on_rooms_open(open + (rooms_now_ == rooms_state::loading ? 1 : 0));
}

void session_state::on(room_event& what) {
  own_room* one = find_room(what.room);
  if (one == nullptr || rooms_now_ != rooms_state::loaded) return;
  if (what.wake) return delivery_.on_room_wake(log_of(what.room));
  const bool unsure = standing(*one);
  count_open_rooms();
  send_late_receipts(what.room);
  if (unsure) look_for_news(what.room);
}

/// What was stored between the login and the hub's subscription is not a backlog to be asked for: it is of now, and
/// no frame of it comes that would wake the room.
void session_state::look_for_news(room_id room) {
  storage::v1::StorageRequest request;
  storage::v1::Read& read = *request.mutable_read();
  read.mutable_conversation()->set_hi(room.value);
  read.set_newest_first(true);
  read.set_limit(1);
  read.set_max_bytes(1);
  ask(slot_of(room), std::move(request), patience::until_answered, [room](session_state& state, storage_answer& got) {
    const auto& rows = got.reply.page().rows();
    const int64_t newest = got.code == errc::ok && !rows.empty() ? rows[0].timestamp_ns() : 0;
    const bool behind = state.env_->hub->standing_of(room, state.account_).place == room_place::behind;
    if (behind && state.came_since_login(newest)) state.delivery_.on_room_wake(log_of(room));
  });
}

bool session_state::came_since_login(int64_t stored_ns) const {
  return std::any_of(terminals_.begin(), terminals_.end(),
                     [stored_ns](const auto& one) { return one && stored_ns + clocks_differ_ns >= one->login_ns; });
}

delivery::terminal_set session_state::listeners(const conversation_id& room, delivery::terminal_set all) {
  for (size_t i = 0; i < terminals_.size(); ++i) {
    const auto& one = terminals_[i];
    if (one && env_->hub->placed(room_id{room.hi}, account_, *one->gateway, one->conn)) {
      all &= ~(delivery::terminal_set{1} << i);
    }
  }
  return all;
}

bool session_state::predates(const delivery::message& what) {
  return std::any_of(terminals_.begin(), terminals_.end(), [&what](const auto& one) {
    return one && what.timestamp_ns + clocks_differ_ns < one->login_ns;
  });
}

uint64_t session_state::make_live(const conversation_id& room, uint64_t reached) {
  flush();
  return env_->hub->make_live(room_id{room.hi}, account_, reached);
}

void session_state::leave_rooms(const terminal& gone) {
  if (rooms_now_ == rooms_state::loaded) {
    for (own_room& one : rooms_) {
      if (!is_member(one)) continue;
      one.position = std::max(one.position, env_->hub->detach(one.room, account_, *gone.gateway, gone.conn));
    }
  }
  if (delivery_.terminals() != 0) return;
  leave_hub();
  for (own_room& one : rooms_) {
    one.position = std::max(one.position, delivery_.on_room_gone(log_of(one.room)));
  }
  delivery_.on_rooms_open(0);
}

void session_state::leave_hub() {
  if (rooms_now_ == rooms_state::none) return;
  rooms_now_ = rooms_state::none;
  rooms_by_themselves_ = false;
  bound_rooms_.reset();
  late_receipts_.clear();  // of terminals that are gone
  for (own_room& one : rooms_) {
    one.position = std::max(one.position, env_->hub->leave(one.room, account_));
    one.open = one.fresh = false;
  }
}

void session_state::note_room(const v1::RoomMembership& change) {
  const room_id id{change.room()};
  const auto waits = std::stable_partition(room_waits_.begin(), room_waits_.end(), [&](const room_wait& one) {
    return one.room != id || one.version > change.version();
  });
  std::vector<room_wait> ready(std::make_move_iterator(waits), std::make_move_iterator(room_waits_.end()));
  room_waits_.erase(waits, room_waits_.end());
  if (rooms_now_ != rooms_state::none) {
    own_room* one = find_room(id);
    if (one == nullptr) {
      const auto at = std::lower_bound(rooms_.begin(), rooms_.end(), id,
                                       [](const own_room& that, room_id wanted) { return that.room < wanted; });
      one = &*rooms_.insert(at, own_room{id});
    }
    if (change.version() > one->version) {
      const bool was = is_member(*one);
      one->version = change.version();
      one->bits = change.bits();
      one->fresh = true;
      if (!was && is_member(*one)) one->position = change.since();
      if (rooms_now_ == rooms_state::loaded && was != is_member(*one)) {
        if (!was) {
          join_room(*one, true);
        } else {
          env_->hub->leave(id, account_);
          delivery_.on_room_gone(log_of(id));
          one->open = false;
        }
        count_open_rooms();
      }
    }
  }
  for (const room_wait& one : ready) one.then(*this, errc::ok);
  send_late_receipts(id);
}

void session_state::await_room(room_id room, uint64_t version, std::function<void(session_state&)> then) {
  const own_room* known = find_room(room);
  if (known != nullptr && known->version >= version) return then(*this);
  wait_for_room({room, version, 0, [then = std::move(then)](session_state& state, errc) { then(state); }});
}

void session_state::wait_for_room(room_wait what) {
  what.number = ++generations_;
  room_waits_.push_back(std::move(what));
  call_later(wait_at_most, [number = room_waits_.back().number](session_state& state) {
    const auto at = std::find_if(state.room_waits_.begin(), state.room_waits_.end(),
                                 [number](const room_wait& one) { return one.number == number; });
    if (at == state.room_waits_.end()) return;
    const auto late = std::move(at->then);
    state.room_waits_.erase(at);
    late(state, errc::deadline);
  });
}

void session_state::with_rooms(std::function<void(session_state&, errc)> then) {
  if (rooms_now_ == rooms_state::loaded) return then(*this, errc::ok);
  wait_for_room({room_id{}, 0, 0, std::move(then)});
}

bool session_state::is_member_of(room_id room) {
  const own_room* one = find_room(room);
  return one != nullptr && is_member(*one);
}

void session_state::note_own_row(room_id room, uint64_t version, uint32_t bits) {
  v1::RoomMembership change;
  change.set_room(room.value);
  change.set_version(version);
  change.set_bits(bits);
  note_room(change);
}

void session_state::membership_change(delivery_event& what) {
  v1::RoomMembership& change = *what.delivery.mutable_room();
  const delivery::entry_ref entry{what.source, what.delivery.entry()};
  if (!change.changed() && change.notice_bn_type() == 0) return done(entry);
  if (what.source->given_up) return;  // an earlier one of the room may have to come again first
  const room_id room{change.room()};
  if (!room_changes_) room_changes_ = std::make_unique<std::vector<room_change>>();
  const bool first = std::none_of(room_changes_->begin(), room_changes_->end(),
                                  [room](const room_change& one) { return one.change.room() == room.value; });
  room_changes_->push_back({entry, std::move(change)});
  if (first) store_change(room);
}

/// Stores the oldest change of the room that waits. One after the other: who is put out and comes back would else
/// seem to have stayed, if the row of the former is late, but the hub has put it out.
void session_state::store_change(room_id room) {
  const auto next = std::find_if(room_changes_->begin(), room_changes_->end(),
                                 [room](const room_change& one) { return one.change.room() == room.value; });
  if (next == room_changes_->end()) {
    if (room_changes_->empty()) room_changes_.reset();
    return;
  }
  const v1::RoomMembership& change = next->change;
  uint64_t notice_id = 0;
  std::string notice;
  if (change.notice_bn_type() != 0) {
    notice_id = notice_id_of({change.room(), change.notice_bn_type()}, change.version());
    notice = make_notice(account_, notice_id, change);
  }
  storage::v1::StorageRequest request;
  if (change.changed()) {
    storage::v1::AccountRoomPut& put = *request.mutable_account_room_put();
    put.set_account(account_.value);
    put.set_room(change.room());
    put.set_version(change.version());
    put.set_bits(change.bits());
    put.set_since(change.since());
    put.set_notice_id(notice_id);
    put.set_notice(notice);
  } else {
    storage::v1::NoticePut& put = *request.mutable_notice_put();
    put.set_account(account_.value);
    put.set_id(notice_id);
    put.set_body(notice);
  }
  ask(slot_of(account_), std::move(request), patience::until_answered,
      [room, notice_id, notice = std::move(notice)](session_state& state, storage_answer& got) {
        state.change_stored(room, got.code, notice_id, notice);
      });
}

void session_state::change_stored(room_id room, errc code, uint64_t notice_id, const std::string& notice) {
  const auto of_room = [room](const room_change& one) { return one.change.room() == room.value; };
  if (code != errc::ok) {
    // Those behind it come again with it.
    for (const room_change& one : *room_changes_) {
      if (of_room(one)) tell_again(one.entry, code, "place in a room not stored");
    }
    std::erase_if(*room_changes_, of_room);
    return;
  }
  const auto at = std::find_if(room_changes_->begin(), room_changes_->end(), of_room);
  const room_change now = std::move(*at);
  room_changes_->erase(at);
  done(now.entry);
  if (now.change.changed()) note_room(now.change);
  if (notice_id != 0) {
    if (delivery_.terminals() == 0) env_->metrics.count(kind::notice, outcome::offline);
    delivery_.on_notice(notice_id, notice);
  }
  store_change(room);
}

void session_state::stored_notice(delivery_event& what) {
  const v1::StoredNotice& notice = what.delivery.notice();
  if (notice.id() == 0) {  // no notice has that number: the account is being erased
    log_out_others({}, errc::no_such_object);
    done({what.source, what.delivery.entry()});
    return;
  }
  if (delivery_.terminals() == 0) env_->metrics.count(kind::notice, outcome::offline);
  delivery_.on_notice(notice.id(), notice.body());
  done({what.source, what.delivery.entry()});
}

void session_state::tell_again(const delivery::entry_ref& entry, errc code, const char* what) {
  // Not done: the dispatcher sends it again with its next stream; say so by ending this one.
  env_->log.error(what, {{"code", to_string(code)}});
  env_->metrics.count(kind::notice, outcome::failed);
  if (const auto source = std::static_pointer_cast<delivery_source>(entry.source)) {
    source->given_up = true;
    source->out->close();
  }
}

bool session_state::place_is_open(room_id room) {
  if (rooms_now_ == rooms_state::loading) return true;
  const own_room* one = find_room(room);
  return one != nullptr && is_member(*one) && env_->hub->standing_of(room, account_).place == room_place::waiting;
}

void session_state::send_room_receipt(const origin& from, room_id room, const storage::v1::Appended& stored,
                                      std::string payload) {
  if (stored.duplicate()) return write_room_receipt(from, room, stored, std::move(payload));
  const own_room* one = find_room(room);
  const bool told = rooms_now_ != rooms_state::loaded || (one != nullptr && is_member(*one));
  if (told && !place_is_open(room)) return write_room_receipt(from, room, stored, std::move(payload));
  late_receipts_.push_back({from, room, stored, std::move(payload)});
  if (told) return;
  // Taken in by somebody a moment ago: its own row is on the way, unless it has left since.
  call_later(wait_at_most, [room](session_state& state) { state.send_late_receipts(room); });
}

void session_state::send_late_receipts(room_id room) {
  if (late_receipts_.empty() || place_is_open(room)) return;
  const auto open = std::stable_partition(late_receipts_.begin(), late_receipts_.end(),
                                          [room](const late_receipt& one) { return one.room != room; });
  std::vector<late_receipt> ready(std::make_move_iterator(open), std::make_move_iterator(late_receipts_.end()));
  late_receipts_.erase(open, late_receipts_.end());
  for (late_receipt& one : ready) write_room_receipt(one.from, room, one.stored, std::move(one.payload));
}

void session_state::write_room_receipt(const origin& from, room_id room, const storage::v1::Appended& stored,
                                       std::string payload) {
  terminal* sender = find(from);
  if (sender == nullptr) return;
  if (!stored.duplicate() && env_->hub->reaches(room, account_, *sender->gateway, sender->conn)) return finish(from);
  v1::Out& frame = out_frame(*sender, wire::frame_type::message);
  frame.set_payload(std::move(payload));
  frame.set_trace(from.trace);
  v1::DeliveryRef& ref = *frame.mutable_ref();
  ref.set_kind(v1::DeliveryRef::RECEIPT);
  ref.mutable_conversation()->set_hi(room.value);
  ref.set_mid(stored.mid());
  if (sender->inbound.finish(from.seq)) frame.set_confirm(sender->inbound.confirmed());
  pump(from.slot);
}

}  // namespace tern::session
