#include "services/gateway/lane.hpp"

#include <algorithm>
#include <utility>

#include "libs/rpc/pieces.hpp"
#include "services/gateway/client.hpp"
#include "services/gateway/live/hub.hpp"
#include "services/gateway/slot_changes.hpp"

namespace tern::gateway {

namespace {

/// Acknowledgements of a room are told once a second.
constexpr uint32_t room_ack_ticks = 10;

/// Connection an item is for; 0 for none.
uint64_t conn_of(const session_item& item) {
  switch (item.item_case()) {
    case session_item::kBindResult: return item.bind_result().conn();
    case session_item::kOut: return item.out().conn();
    case session_item::kConfirm: return item.confirm().conn();
    case session_item::kClose: return item.close().conn();
    default: return 0;
  }
}

}  // namespace

lane::lane(core& shared, websocket::io_thread& thread)
    : core_(shared),
      thread_(thread),
      tick_(shared.tick()),
      placing_(*this),
      leaving_(*this),
      calls_(*this),
      load_(shared.load()),
      room_acks_(room_ack_ticks),
      room_turns_(*this) {
  wheel_.advance(tick_, [](uint64_t, uint32_t) {});
}

lane::~lane() = default;

std::optional<owner> lane::owner_of(slot_type slot) const {
  const placement::range* range = map_->sessions.find(slot);
  if (range == nullptr) return std::nullopt;
  const auto link = link_of_node_.find(range->owner);
  if (link == link_of_node_.end()) return std::nullopt;
  const stream_state& stream = streams_[link->second];
  if (!stream.out) return std::nullopt;
  return owner{{link->second, stream.generation}, range->epoch};
}

bool lane::is_up(link_handle stream) const noexcept {
  return stream.generation != 0 && stream.link < streams_.size() && streams_[stream.link].out != nullptr &&
         streams_[stream.link].generation == stream.generation;
}

gateway_item* lane::add(link_handle stream) {
  if (!is_up(stream)) return nullptr;
  stream_state& to = streams_[stream.link];
  if (!to.dirty) {
    to.dirty = true;
    dirty_.push_back(stream.link);
  }
  return &to.pending.emplace_back();
}

gateway_item* lane::newest(link_handle stream) {
  if (!is_up(stream) || streams_[stream.link].pending.empty()) return nullptr;
  return &streams_[stream.link].pending.back();
}

void lane::flush() {
  if (dirty_.empty()) return;
  std::vector<uint32_t> again;
  // Handing over may, inside one process, bring answers at once; they come back as posts, so nothing grows here.
  for (const uint32_t link : std::exchange(dirty_, {})) {
    stream_state& stream = streams_[link];
    stream.dirty = false;
    if (stream.pending.empty() || !stream.out) continue;
    if (!rpc::send_in_pieces(*stream.out, stream.pending)) {
      stream.dirty = true;  // the link's queue is full: the next tick tries again, in order
      again.push_back(link);
    } else {
      stream.pending.clear();
    }
  }
  dirty_.insert(dirty_.end(), again.begin(), again.end());
}

uint64_t lane::epoch_of(slot_type slot) const noexcept {
  const placement::range* range = map_->sessions.find(slot);
  return range == nullptr ? 0 : range->epoch;
}

void lane::watch_owner(client& who) { accounts_.enter(slot_of(who.account()), who); }

uint32_t lane::watch(client& who, uint32_t due) { return wheel_.add(who.id(), due); }

client* lane::find(uint64_t conn) noexcept {
  websocket::connection* found = thread_.find(conn);
  return found == nullptr ? nullptr : static_cast<client*>(&found->handler());
}

void lane::on_map(placement::snapshot_ptr current) {
  if (current->version <= map_->version) return;
  const placement::snapshot_ptr previous = std::exchange(map_, std::move(current));
  rebind_changed(*previous);
  placing_.owners_changed();
  placing_.run();
  calls_.retry();
  flush();
}

void lane::rebind_changed(const placement::snapshot& previous) {
  // All of them leave the former owner now: what it still says is dropped from here on. Their Binds take turns.
  for (const placement::range& changed : slot_changes(previous.sessions, map_->sessions)) {
    accounts_.visit(changed.first, changed.last, [&changed](slot_member& each) {
      auto& who = static_cast<client&>(each);
      const slot_type slot = slot_of(who.account());
      if (slot >= changed.first && slot <= changed.last) who.on_owner_changed(changed.epoch);
    });
  }
}

void lane::on_link_up(link_handle stream, const std::string& node, std::shared_ptr<item_sink> out) {
  if (streams_.size() <= stream.link) streams_.resize(stream.link + 1);
  stream_state& state = streams_[stream.link];
  state.node = node;
  state.generation = stream.generation;
  state.out = std::move(out);
  state.pending.clear();
  link_of_node_[node] = stream.link;
  placing_.owners_changed();
  placing_.run();
  calls_.retry();
  flush();
}

void lane::on_link_down(link_handle stream) {
  if (!is_up(stream)) return;
  stream_state& state = streams_[stream.link];
  state.out.reset();
  state.pending.clear();
  const auto known = link_of_node_.find(state.node);
  if (known != link_of_node_.end() && known->second == stream.link) link_of_node_.erase(known);
  calls_.on_link_down(stream);
  room_turns_.on_link_down(stream);
  thread_.for_each([&](websocket::connection& each) { static_cast<client&>(each.handler()).on_stream_down(stream); });
  placing_.on_link_down(stream);
  placing_.run();
  flush();
}

void lane::on_items(link_handle stream, lane_batch& batch) {
  auto room = batch.rooms.begin();
  for (size_t i = 0; i <= batch.items.size(); ++i) {
    for (; room != batch.rooms.end() && room->before == i; ++room) {
      const auto& all = room->message->conns();
      const std::span<const uint64_t> conns =
          room->conns.empty() ? std::span(all.data(), static_cast<size_t>(all.size())) : std::span(room->conns);
      room_turns_.add(stream, room->message, conns, batch.coming);
    }
    if (i < batch.items.size()) dispatch(stream, batch.items[i]);
  }
  flush();
}

void lane::note_room_ack(uint64_t room, const client& who) { room_acks_.note(room, who.id(), tick_); }

void lane::tell_room_ack(link_handle stream, account_id account, const terminal::room_ack& what) {
  gateway_item* item = add(stream);
  if (item == nullptr) return;  // the next Bind says it
  session::v1::RoomAcked& acked = *item->mutable_room_acked();
  acked.set_room(what.room);
  acked.add_accounts(account.value);
  acked.add_mids(what.mid);
}

void lane::tell_room_acks(uint64_t room, const std::vector<uint64_t>& conns) {
  std::vector<std::pair<link_handle, session::v1::RoomAcked>> parts;  // few: one per session node
  for (const uint64_t conn : conns) {
    client* who = find(conn);
    if (who == nullptr || !who->is_bound()) continue;
    const auto mid = who->take_room_ack(room);
    if (!mid || !is_up(who->stream())) continue;
    auto part = std::find_if(parts.begin(), parts.end(), [&](const auto& one) { return one.first == who->stream(); });
    if (part == parts.end()) part = parts.insert(part, {who->stream(), {}});
    part->second.add_accounts(who->account().value);
    part->second.add_mids(*mid);
  }
  for (auto& [stream, acked] : parts) {
    acked.set_room(room);
    if (gateway_item* item = add(stream)) *item->mutable_room_acked() = std::move(acked);
  }
}

client* lane::addressee(link_handle stream, uint64_t conn) {
  client* who = find(conn);
  if (who == nullptr) {
    core_.metrics.rejected_unknown.add();
    return nullptr;
  }
  if (who->stream() != stream) {
    (is_up(stream) ? core_.metrics.rejected_epoch : core_.metrics.rejected_generation).add();
    return nullptr;
  }
  return who;
}

void lane::login_result(link_handle stream, session::v1::LoginResult& result) {
  if (client* who = addressee(stream, result.conn())) {
    who->on_login_result(result);
    return;
  }
  const client* there = find(result.conn());
  if (result.code() != 0 || result.redirect() || (there != nullptr && !there->is_closing())) return;
  // Logged on just as the client went, or was given up: the session must not keep a terminal nobody speaks for.
  if (gateway_item* item = add(stream)) {
    item->mutable_closed()->set_conn(result.conn());
    item->mutable_closed()->set_account(result.account());
  }
}

void lane::dispatch(link_handle stream, session_item& item) {
  if (item.has_account_result()) {
    calls_.on_result(item.account_result());
    return;
  }
  if (item.has_login_result()) {
    login_result(stream, *item.mutable_login_result());
    return;
  }
  const uint64_t conn = conn_of(item);
  room_turns_.before(stream, conn);
  client* who = addressee(stream, conn);
  if (who == nullptr) return;
  switch (item.item_case()) {
    case session_item::kOut: who->on_out(*item.mutable_out()); break;
    case session_item::kConfirm: who->on_confirm(item.confirm().seq()); break;
    case session_item::kBindResult: who->on_bind_result(item.bind_result()); break;
    case session_item::kClose: who->on_close_terminal(item.close()); break;
    default: break;
  }
}

void lane::cool_down(const client& who) { cooling_.push_back(who.id()); }

void lane::end_cooling() {
  if (cooling_.empty()) return;
  std::vector<uint64_t> now = std::exchange(cooling_, {});
  // Who is read first finds most room: another one each time.
  const auto first = static_cast<ptrdiff_t>((tick_ * size_t{7919}) % now.size());
  std::rotate(now.begin(), now.begin() + first, now.end());
  for (const uint64_t id : now) {
    if (client* who = find(id)) who->on_cooled();
  }
}

void lane::report_load() {
  load_.on_tick();
  // Gauges are sums over the io threads.
  const auto report = [](const metrics::gauge& into, uint64_t& reported, uint64_t now) {
    if (now != reported) into.add(static_cast<double>(now) - static_cast<double>(std::exchange(reported, now)));
  };
  report(core_.metrics.under_way, reported_under_way_, load_.under_way());
  report(core_.metrics.under_way_limit, reported_limit_, load_.limit());
}

void lane::on_tick() {
  tick_ = core_.tick();
  wheel_.advance(tick_, [this](uint64_t id, uint32_t at) {
    if (client* who = find(id)) who->on_deadline(at);
  });
  placing_.on_tick();
  calls_.on_tick(tick_);
  report_load();
  end_cooling();
  room_acks_.take_due(tick_, [this](uint64_t room, const auto& conns) { tell_room_acks(room, conns); });
  flush();
}

}  // namespace tern::gateway
