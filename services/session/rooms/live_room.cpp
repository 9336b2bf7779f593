#include "services/session/rooms/live_room.hpp"

#include <algorithm>

#include "libs/wire/message.hpp"

namespace tern::session {
namespace {

bool same(const gateway_ptr& one, const gateway_stream& other) { return one.get() == &other; }

}  // namespace

uint32_t live_room::lane_of(const gateway_ptr& stream) {
  size_t free = lanes_.size();
  for (size_t i = 0; i < lanes_.size(); ++i) {
    if (lanes_[i].stream == stream) return static_cast<uint32_t>(i);
    if (lanes_[i].uses == 0) free = i;
  }
  if (free == lanes_.size()) lanes_.emplace_back();
  lanes_[free].stream = stream;
  return static_cast<uint32_t>(free);
}

live_room::member* live_room::find(account_id account) {
  const auto at = members_.find(account);
  return at == members_.end() ? nullptr : &at->second;
}

live_room::bound* live_room::find_bound(member& of, const gateway_stream& gateway, uint64_t conn) {
  for (bound& one : of.terminals) {
    if (one.conn == conn && same(lanes_[one.lane].stream, gateway)) return &one;
  }
  return nullptr;
}

live_room::bound live_room::bind(const room_terminal& from) {
  bound made;
  made.conn = from.conn;
  made.lane = lane_of(from.gateway);
  ++lanes_[made.lane].uses;
  made.placed = from.written.has_value();
  made.at = from.written.value_or(0);
  made.turn = newest_ = ++turn_;
  made.login_ns = from.login_ns;
  newest_login_ns_ = std::max(newest_login_ns_, from.login_ns);
  return made;
}

room_place live_room::join(account_id account, uint64_t delivered, bool listed,
                           const std::vector<room_terminal>& terminals) {
  leave(account);
  member& who = members_[account];
  who.acked = who.stored = who.joined = delivered;
  who.listed = listed;
  who.terminals.reserve(terminals.size());
  for (const room_terminal& one : terminals) {
    who.terminals.push_back(bind(one));
    who.acked = std::max(who.acked, one.acked);
  }
  if (known_) settle(account, who);
  return who.place;
}

void live_room::settle(account_id account, member& who) {
  // Rows a former owner wrote to a terminal need not have been acknowledged: its position there counts, not the
  // stored one. A position in the log is for lists when nobody was here to get the rows live.
  bool near_enough = who.acked >= last_;
  for (const bound& one : who.terminals) {
    near_enough = near_enough || (one.placed && std::max(one.at, who.joined) + near >= last_);
  }
  if (who.listed || !near_enough) {
    who.place = room_place::behind;
    asleep_.push_back(account);
    return;
  }
  who.place = room_place::live;
  for (bound& one : who.terminals) {
    // What another terminal has acknowledged since the stored position, this one need not have been sent.
    put(account, one, one.placed ? std::max(one.at, who.joined) : who.acked);
  }
}

void live_room::put(account_id account, bound& one, uint64_t have) {
  take_out(one);
  one.at = have;
  one.placed = true;
  if (have == last_) {
    lanes_[one.lane].live.push_back(one.conn);
    one.where = listing::live;
  } else {
    lagging_.push_back({one.conn, have, one.turn, one.login_ns, account, one.lane});
    one.where = listing::lagging;
  }
}

void live_room::take_out(bound& one) {
  if (one.where == listing::live) {
    auto& conns = lanes_[one.lane].live;
    const auto at = std::find(conns.begin(), conns.end(), one.conn);
    if (at != conns.end()) {
      *at = conns.back();
      conns.pop_back();
    }
  } else if (one.where == listing::lagging) {
    std::erase_if(lagging_, [&](const laggard& that) { return that.conn == one.conn && that.lane == one.lane; });
  }
  one.where = listing::none;
}

void live_room::drop(bound& one) {
  take_out(one);
  lane& from = lanes_[one.lane];
  if (--from.uses == 0) from = {};
}

void live_room::attach(account_id account, const room_terminal& added) {
  member* who = find(account);
  if (who == nullptr) return;
  who->terminals.push_back(bind(added));
  who->acked = std::max(who->acked, added.acked);
  bound& one = who->terminals.back();
  if (who->place != room_place::live) return;
  // A new terminal gets what no other has acknowledged yet, so that its own acknowledgements leave no hole.
  const uint64_t have = one.placed ? std::max(one.at, who->joined) : who->acked;
  put(account, one, have);
}

void live_room::rebind(account_id account, const gateway_stream& old, const room_terminal& now) {
  member* who = find(account);
  if (who == nullptr) return;
  bound* one = find_bound(*who, old, now.conn);
  if (one == nullptr) return attach(account, now);
  // What went out over the old stream and is not in `written` is lost.
  who->acked = std::max(who->acked, now.acked);
  const uint64_t at = std::max(one->at, now.written.value_or(0));
  const bool placed = one->placed || now.written.has_value();
  drop(*one);
  *one = bind(now);
  one->at = at;
  one->placed = placed;
  if (who->place == room_place::live) put(account, *one, at);
}

bool live_room::detach(account_id account, const gateway_stream& gateway, uint64_t conn) {
  member* who = find(account);
  if (who == nullptr) return false;
  if (bound* one = find_bound(*who, gateway, conn)) {
    drop(*one);
    who->terminals.erase(who->terminals.begin() + (one - who->terminals.data()));
  }
  return !who->terminals.empty();
}

void live_room::leave(account_id account) {
  const auto at = members_.find(account);
  if (at == members_.end()) return;
  for (bound& one : at->second.terminals) drop(one);
  if (at->second.place == room_place::behind) std::erase(asleep_, account);
  members_.erase(at);
}

uint64_t live_room::make_live(account_id account, uint64_t reached) {
  member* who = find(account);
  if (who == nullptr) return 0;
  who->acked = std::max(who->acked, reached);
  who->stored = std::max(who->stored, reached);
  who->listed = false;
  who->drained = true;
  if (who->place == room_place::live) return 0;  // its terminals have positions of their own
  const auto placed = [this](const bound& one) { return near_enough(one); };
  const bool all = !who->terminals.empty() && std::all_of(who->terminals.begin(), who->terminals.end(), placed);
  if (known_ && !all && reached + near < last_) return last_;
  if (who->place == room_place::behind) std::erase(asleep_, account);
  who->place = known_ ? room_place::live : room_place::waiting;
  for (bound& one : who->terminals) {
    one.at = std::max(one.at, near_enough(one) ? who->joined : reached);  // near: the lists were for others
    one.placed = true;
    if (known_) put(account, one, one.at);
  }
  return 0;
}

void live_room::listed(account_id account, const gateway_stream& gateway, uint64_t conn, uint64_t mid) {
  member* who = find(account);
  if (who == nullptr || who->place == room_place::live) return;
  if (bound* one = find_bound(*who, gateway, conn)) one->at = std::max(one->at, mid);
}

bool live_room::near_enough(const bound& one) const { return one.placed && one.at + near >= last_; }

bool live_room::placed(account_id account, const gateway_stream& gateway, uint64_t conn) const {
  const auto at = members_.find(account);
  if (at == members_.end()) return false;
  return std::any_of(at->second.terminals.begin(), at->second.terminals.end(), [&](const bound& one) {
    return near_enough(one) && one.conn == conn && same(lanes_[one.lane].stream, gateway);
  });
}

bool live_room::reaches(account_id account, const gateway_stream& gateway, uint64_t conn) const {
  const auto at = members_.find(account);
  if (at == members_.end()) return false;
  return std::any_of(at->second.terminals.begin(), at->second.terminals.end(), [&](const bound& one) {
    return one.where != listing::none && one.conn == conn && same(lanes_[one.lane].stream, gateway);
  });
}

std::optional<room_place> live_room::place_of(account_id account) const {
  const auto at = members_.find(account);
  return at == members_.end() ? std::nullopt : std::optional{at->second.place};
}

std::vector<account_id> live_room::give_up_waiting() {
  std::vector<account_id> found;
  if (known_) return found;
  for (auto& [account, who] : members_) {
    // Who was drained has everything as far as anybody knows, and waits on.
    if (who.place != room_place::waiting || who.drained) continue;
    who.place = room_place::behind;
    asleep_.push_back(account);
    found.push_back(account);
  }
  return found;
}

std::vector<account_id> live_room::set_head(uint64_t head) {
  std::vector<account_id> found;
  highest_ = std::max(highest_, head);
  if (known_) return found;
  known_ = true;
  last_ = head;
  found = asleep_;  // behind since before anybody knew the head: it may tell of something new
  for (auto& [account, who] : members_) {
    if (who.place != room_place::waiting) continue;
    settle(account, who);
    found.push_back(account);
  }
  return found;
}

/// Terminals that are to have nothing of what comes now: they read it.
template <class Which>
void live_room::set_back(const Which& which) {
  for (auto& [account, who] : members_) {
    for (bound& one : who.terminals) {
      if (one.where != listing::live || !which(one)) continue;
      take_out(one);
      lagging_.push_back({one.conn, last_, one.turn, one.login_ns, account, one.lane});
      one.where = listing::lagging;
    }
  }
}

live_room::frame_verdict live_room::take(const room_row& row, std::vector<room_send>& out) {
  if (row.mid <= last_) return frame_verdict::old;
  highest_ = std::max(highest_, row.mid);
  if (row.mid != last_ + 1) return frame_verdict::gap;
  if (row.timestamp_ns < newest_login_ns_) {
    set_back([&](const bound& one) { return one.login_ns > row.timestamp_ns; });
  }
  emit(row, true, UINT64_MAX, out);
  last_ = row.mid;
  promote();
  return frame_verdict::taken;
}

std::optional<uint64_t> live_room::missing() const {
  if (!known_) return std::nullopt;
  uint64_t from = last_;
  for (const laggard& one : lagging_) from = std::min(from, one.have);
  return from < std::max(last_, highest_) ? std::optional{from} : std::nullopt;
}

bool live_room::fill(uint64_t from, const std::vector<room_row>& rows, uint64_t reached,
                     std::vector<room_send>& out) {
  if (from <= last_ && newest_ > read_) {
    set_back([&](const bound& one) { return one.turn > read_; });
  }
  for (const room_row& row : rows) {
    emit(row, row.mid > last_ && from <= last_, from, out);
    reached = std::max(reached, row.mid);
  }
  if (from <= last_) last_ = std::max(last_, reached);
  highest_ = std::max(highest_, last_);
  for (laggard& one : lagging_) {
    if (one.have >= from && one.turn < read_) one.have = std::max(one.have, reached);
  }
  promote();
  return reached > from;
}

void live_room::promote() {
  std::erase_if(lagging_, [this](const laggard& one) {
    if (one.have != last_) return false;
    lanes_[one.lane].live.push_back(one.conn);
    for (bound& that : members_.at(one.account).terminals) {
      if (that.conn == one.conn && that.lane == one.lane) that.where = listing::live;
    }
    return true;
  });
}

void live_room::sender_first(account_id sender, uint32_t from,
                             google::protobuf::RepeatedField<uint64_t>& conns) const {
  const auto at = members_.find(sender);
  if (at == members_.end()) return;
  int front = 0;
  for (const bound& one : at->second.terminals) {
    if (one.lane != from || one.where != listing::live) continue;
    const auto found = std::find(conns.begin() + front, conns.end(), one.conn);
    if (found != conns.end()) std::swap(*found, conns[front++]);
  }
}

uint32_t live_room::lane_of_sender(account_id sender) const {
  const auto at = members_.find(sender);
  if (at == members_.end()) return 0;
  for (const bound& one : at->second.terminals) {
    if (one.where == listing::live) return one.lane;
  }
  return 0;
}

void live_room::emit(const room_row& row, bool to_live, uint64_t from, std::vector<room_send>& out) {
  newest_ns_ = std::max(newest_ns_, row.timestamp_ns);
  if (row.body.empty()) return;
  const auto shown = static_cast<int64_t>(row.target != 0 ? row.target : row.mid);
  std::string payload[2];  // as it is, and with isOffline
  const auto item = [&](uint32_t to, bool offline) -> v1::RoomOut* {
    std::string& text = payload[offline ? 1 : 0];
    const auto flag = offline ? std::optional<bool>{true} : std::nullopt;
    if (text.empty() && !wire::compose_message(row.body, shown, row.timestamp_ns, flag, text)) return nullptr;
    room_send& one = out.emplace_back();
    one.gateway = lanes_[to].stream;
    v1::RoomOut& made = *one.item.mutable_room_out();
    made.set_room(id_.value);
    made.set_mid(row.mid);
    made.set_payload(text);
    made.set_trace(row.trace);
    if (!offline) made.set_accepted_ns(row.accepted_ns);
    return &made;
  };
  // The sender's gateway first: what its terminals get is the receipt.
  const uint32_t first = lane_of_sender(row.sender);
  for (uint32_t turn = 0; turn < lanes_.size(); ++turn) {
    const uint32_t i = turn == 0 ? first : turn <= first ? turn - 1 : turn;
    v1::RoomOut* made[2] = {nullptr, nullptr};
    if (to_live && !lanes_[i].live.empty()) {
      if ((made[0] = item(i, false)) == nullptr) return;  // damaged: nobody can have it
      made[0]->mutable_conns()->Add(lanes_[i].live.begin(), lanes_[i].live.end());
      sender_first(row.sender, i, *made[0]->mutable_conns());
    }
    for (const laggard& one : lagging_) {
      if (one.lane != i || one.have < from || one.have >= row.mid || one.turn > read_) continue;
      const size_t which = row.timestamp_ns < one.login_ns ? 1 : 0;
      if (made[which] == nullptr && (made[which] = item(i, which == 1)) == nullptr) return;
      made[which]->add_conns(one.conn);
    }
  }
}

std::vector<uint64_t> live_room::all_terminals(uint32_t of) const {
  std::vector<uint64_t> conns = lanes_[of].live;
  for (const laggard& one : lagging_) {
    if (one.lane == of) conns.push_back(one.conn);
  }
  if (conns.size() == lanes_[of].uses) return conns;
  // The others' members wait, or are behind.
  for (const auto& [account, who] : members_) {
    for (const bound& one : who.terminals) {
      if (one.lane == of && one.where == listing::none) conns.push_back(one.conn);
    }
  }
  return conns;
}

void live_room::pass_on(live_row row, std::vector<room_send>& out) const {
  const auto sender = members_.find(row.sender);
  const size_t before = out.size();
  for (uint32_t i = 0; i < lanes_.size(); ++i) {
    if (lanes_[i].uses == 0) continue;
    std::vector<uint64_t> conns = all_terminals(i);
    if (sender != members_.end()) {
      for (const bound& own : sender->second.terminals) {
        if (own.lane == i) std::erase(conns, own.conn);
      }
    }
    if (conns.empty()) continue;
    room_send& one = out.emplace_back();
    one.gateway = lanes_[i].stream;
    v1::RoomOut& made = *one.item.mutable_room_out();
    made.set_room(id_.value);
    made.set_trace(row.trace);
    made.set_accepted_ns(row.accepted_ns);
    made.set_live(true);
    made.mutable_conns()->Add(conns.begin(), conns.end());
  }
  for (size_t i = before; i < out.size(); ++i) {
    std::string& payload = *out[i].item.mutable_room_out()->mutable_payload();
    if (i + 1 == out.size()) {
      payload = std::move(row.payload);
    } else {
      payload = row.payload;
    }
  }
}

bool live_room::acked(account_id account, const gateway_stream* gateway, uint64_t mid) {
  member* who = find(account);
  if (who == nullptr || mid <= who->acked) return false;
  const bool ours = std::any_of(who->terminals.begin(), who->terminals.end(),
                                [&](const bound& one) { return lanes_[one.lane].stream.get() == gateway; });
  if (!ours) return false;
  who->acked = mid;
  return !std::exchange(who->queued, true);
}

bool live_room::note_position(account_id account) {
  member* who = find(account);
  return who != nullptr && who->acked > who->stored && !std::exchange(who->queued, true);
}

uint64_t live_room::take_position(account_id account) {
  member* who = find(account);
  if (who == nullptr) return 0;
  who->queued = false;
  if (who->acked <= who->stored) return 0;
  return who->stored = who->acked;
}

bool live_room::store_failed(account_id account, uint64_t mid) {
  member* who = find(account);
  if (who == nullptr || who->stored != mid) return false;
  who->stored = 0;
  return !std::exchange(who->queued, true);
}

uint64_t live_room::position(account_id account) const {
  const auto at = members_.find(account);
  return at == members_.end() ? 0 : at->second.acked;
}

}  // namespace tern::session
