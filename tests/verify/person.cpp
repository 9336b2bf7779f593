#include "tests/verify/person.hpp"

#include <algorithm>

#include "tests/verify/seat.hpp"

namespace tern::verify {

using namespace std::chrono_literals;

namespace {

constexpr int32_t business_add = 4;
constexpr int32_t notice_request = 4;
constexpr int32_t notice_friends = 5;
constexpr int32_t pull_user = 1;
constexpr int32_t pull_room = 2;
constexpr int32_t notice_admitted = 10;
constexpr int8_t od_revoke = 2;
constexpr int8_t od_burn = 3;
constexpr int8_t od_notice = 4;
constexpr int64_t live_page = 20;
constexpr int64_t final_page = 200;
constexpr auto answer_limit = 5s;
constexpr auto nap_length = 3s;
constexpr int stranger_percent = 1;
constexpr int meddler_percent = 1;

}  // namespace

workload::person::person(workload& owner, size_t index)
    : owner_(owner), shared_(*owner.shared_), index_(index), next_id_(static_cast<int64_t>(index + 1) << 32U) {
  account_.name = owner.how_.prefix + std::to_string(index);
  account_.password = "secret-" + account_.name;
}

workload::person::~person() = default;

void workload::person::connect(size_t terminals) {
  for (size_t i = 0; i < terminals; ++i) {
    seats_.push_back(std::make_unique<seat>(*this, i));
    seats_.back()->connect();
  }
}

bool workload::person::all_online() const {
  return std::all_of(seats_.begin(), seats_.end(), [](const auto& each) { return each->online(); });
}

workload::person::seat* workload::person::any_seat() {
  for (auto& each : seats_) {
    if (each->online()) return each.get();
  }
  return nullptr;
}

void workload::person::ask_friend(const person& other) {
  auto* at = any_seat();
  if (at == nullptr || (knows(other) && other.knows(*this))) return;
  wire::tim_req request;
  request.rtype = business_add;
  request.node = other.account_.node;
  at->terminal().send(wire::frame_type::business, request);
}

bool workload::person::chance(int percent) {
  return std::uniform_int_distribution<int>(1, 100)(shared_.random) <= percent;
}

void workload::person::write() {
  auto* at = any_seat();
  const bool refused_open = !open_.empty() && open_.begin()->second.to_refuse;
  if (at == nullptr || refused_open || friends_.empty()) return;
  const bool stranger = open_.empty() && chance(stranger_percent);
  if (shared_.rooms_ready && chance(owner_.how_.room_percent)) return write_to_room(*at, stranger);
  std::uniform_int_distribution<size_t> pick(0, friends_.size() - 1);
  send_op op;
  op.recipient = friends_[pick(shared_.random)]->account_.node;
  if (stranger) {
    op.recipient = owner_.people_[(index_ + owner_.people_.size() / 2) % owner_.people_.size()]->account_.node;
  }
  send_op_now(*at, std::move(op), stranger && !befriended_.contains(op.recipient));
}

void workload::person::send_op_now(seat& at, send_op op, bool to_refuse) {
  op.sender = account_.node;
  op.id = ++next_id_;
  op.body = account_.name + "-" + std::to_string(op.id);
  op.terminal = at.name();
  op.invoked = now();
  op.attempts = 0;
  const auto id = op.id;
  shared_.seen.sends.push_back(std::move(op));
  open_op fresh{shared_.seen.sends.size() - 1, to_refuse, shared_.loop.now(), shared_.loop.now()};
  attempt(id, open_.emplace(id, fresh).first->second);
}

void workload::person::attempt(int64_t id, open_op& op) {
  auto* at = any_seat();
  if (at == nullptr) return;
  auto& record = shared_.seen.sends[op.index];
  ++record.attempts;
  op.last = shared_.loop.now();
  if (record.room.empty()) return at->terminal().send_text(record.recipient, record.body, id);
  wire::tim_message message;
  message.ms_type = 3;
  message.od_type = 1;
  message.id = id;
  message.room_tid.emplace().node = record.room;
  message.data_string = record.body;
  at->terminal().send(wire::frame_type::message, message);
}

void workload::person::tick() {
  tick_rooms();
  tick_recalls();
  const auto now = shared_.loop.now();
  for (auto& [id, op] : open_) {
    if (now - op.last > owner_.how_.retry_after) attempt(id, op);
    if (now - op.first > owner_.how_.stall_after) {
      shared_.seen.stalls.push_back(account_.name + ": no receipt for " + shared_.seen.sends[op.index].body);
      op.first = now + 1h;  // reported once
    }
  }
  if (pulling_ && now - page_asked_ > answer_limit) pulling_ = false;
  if (reading_ && now - page_asked_ > answer_limit) {
    reading_ = false;
    next_history();
  }
}

void workload::person::received(seat& at, const wire::tim_message& message, bool batch) {
  const auto from = node_of(message.from_tid);
  if (message.od_type == od_revoke || message.od_type == od_burn) return recall_seen(at, message);
  if (message.od_type == od_notice) {
    const auto kind = message.bn_type.value_or(0);
    if (kind == notice_admitted) return admitted(node_of(message.room_tid));
    for (auto& other : owner_.people_) {
      if (other->account_.node != from) continue;
      // Asking back makes them friends; only the other side is told, by notice 5.
      if (kind == notice_request) ask_friend(*other);
      const bool settled = kind == notice_request || kind == notice_friends;
      if (settled && befriended_.insert(std::string(from)).second) ++friends_done_;
    }
    return;
  }
  if (message.od_type != 1) return;
  if (from == account_.node) return receipt(at, message, batch);
  receive_op op;
  op.account = account_.node;
  op.terminal = at.label();
  op.connection = at.name();
  op.connection_order = at.order();
  op.sender = from;
  op.recipient = node_of(message.to_tid);
  op.room = node_of(message.room_tid);
  op.mid = message.mid.value_or(0);
  op.body = message.data_string.value_or("");
  op.how = batch ? via::batch : via::live;
  op.is_offline = message.is_offline.value_or(false);
  op.at = shared_.loop.now().time_since_epoch().count();
  ++has_history_[op.room.empty() ? op.sender : op.room];
  if (op.room.empty()) {
    may_burn(op);
  } else if (chance(meddler_percent)) {
    may_try_to_recall(op);
  }
  at.note(shared_.seen.receives.size());
  shared_.seen.receives.push_back(std::move(op));
}

void workload::person::receipt(seat& at, const wire::tim_message& message, bool batch) {
  receive_op op;
  op.account = account_.node;
  op.terminal = at.label();
  op.connection = at.name();
  op.connection_order = at.order();
  op.sender = account_.node;
  op.recipient = node_of(message.to_tid);
  op.room = node_of(message.room_tid);
  op.mid = message.mid.value_or(0);
  op.body = message.data_string.value_or("");
  op.how = batch ? via::batch : via::receipt;
  op.at = shared_.loop.now().time_since_epoch().count();
  ++has_history_[op.recipient + op.room];
  const auto open = open_.find(message.id.value_or(0));
  if (open != open_.end()) {
    auto& record = shared_.seen.sends[open->second.index];
    record.result = outcome::ok;
    record.mid = op.mid;
    record.completed = now();
    open_.erase(open);
    ++owner_.receipts_;
    may_recall(record, owner_.how_.recall_percent);
  }
  if (batch) at.note(shared_.seen.receives.size());
  shared_.seen.receives.push_back(std::move(op));
}

void workload::person::answered(seat&, const wire::tim_ack& ack) {
  const int32_t code = ack.error ? ack.error->code.value_or(0) : 0;
  if (ack.tim_type == static_cast<int8_t>(wire::frame_type::business) && answered_room(ack)) return;
  if (ack.ok || code >= 5101) return;  // unknown or later: the same again after a while
  if (ack.tim_type == static_cast<int8_t>(wire::frame_type::revokemessage) ||
      ack.tim_type == static_cast<int8_t>(wire::frame_type::burnmessage)) {
    return recall_refused(code);
  }
  if (ack.tim_type != static_cast<int8_t>(wire::frame_type::message)) return;
  if (open_.size() == 1 && open_.begin()->second.to_refuse) {
    auto& record = shared_.seen.sends[open_.begin()->second.index];
    record.result = outcome::fail;
    record.completed = now();
    late_refusals_ += record.attempts - 1;
    open_.clear();
    return;
  }
  if (late_refusals_ > 0) {  // a further attempt of one that was refused has its answer, too
    --late_refusals_;
    return;
  }
  shared_.seen.stalls.push_back(account_.name + ": a message that is allowed was refused with " +
                                std::to_string(code));
}

void workload::person::ask_page(bool room, const std::string& node, int64_t from, int64_t limit) {
  wire::tim_req request;
  request.rtype = room ? pull_room : pull_user;
  request.node = node;
  request.req_int = from;
  request.req_int2 = limit;
  page_asked_ = shared_.loop.now();
  if (auto* at = any_seat()) at->terminal().send(wire::frame_type::pullmessage, request);
}

void workload::person::pull() {
  if (any_seat() == nullptr || pulling_ || reading_ || has_history_.empty()) return;
  std::uniform_int_distribution<size_t> pick(0, has_history_.size() - 1);
  const auto& node = std::next(has_history_.begin(), static_cast<std::ptrdiff_t>(pick(shared_.random)))->first;
  const bool room = std::any_of(shared_.rooms.begin(), shared_.rooms.end(),
                                [&](const workload_room& each) { return each.node == node; });
  if (room && std::none_of(rooms_.begin(), rooms_.end(), [&](size_t i) { return shared_.rooms[i].node == node; })) {
    return;  // only a guest there
  }
  pulling_ = true;
  pull_ = {account_.node, room ? "" : node, now(), 0, room ? node : "", {}};
  ask_page(room, node, 0, live_page);
}

void workload::person::history_page(const wire::tim_message_list& list) {
  if (!list.message_list || list.message_list->empty()) return;
  const auto& rows = *list.message_list;
  const auto room = node_of(rows.front().room_tid);
  const auto from = node_of(rows.front().from_tid);
  const auto other = !room.empty() ? "" : from == account_.node ? node_of(rows.front().to_tid) : from;
  if (pulling_ && other == pull_.other && room == pull_.room) {
    for (const auto& row : rows) {
      pull_.newest_mid = std::max(pull_.newest_mid, row.mid.value_or(0));
      pull_.bodies.emplace_back(row.data_string.value_or(""));
    }
    shared_.seen.pulls.push_back(std::move(pull_));
    pulling_ = false;
    return;
  }
  if (!reading_ || other != page_.other || room != page_.room) return;
  const auto known = page_rows_.size();
  for (const auto& row : rows) page_rows_.emplace(row.mid.value_or(0), std::string(row.data_string.value_or("")));
  // The oldest known row is asked for again: an empty page would not be answered, and recalls leave gaps.
  if (page_rows_.size() > known && page_rows_.begin()->first > 1) {
    return ask_page(!room.empty(), std::string(room.empty() ? other : room), page_rows_.begin()->first, final_page);
  }
  page_.messages.assign(page_rows_.begin(), page_rows_.end());
  shared_.seen.finals.push_back(page_);
  histories_wanted_.erase(histories_wanted_.begin());
  reading_ = false;
  next_history();
}

void workload::person::read_histories() {
  histories_wanted_.clear();
  for (auto* each : friends_) {
    if (has_history_.contains(each->account_.node)) histories_wanted_.emplace_back(false, each->account_.node);
  }
  for (const auto i : rooms_) {
    if (has_history_.contains(shared_.rooms[i].node)) histories_wanted_.emplace_back(true, shared_.rooms[i].node);
  }
  next_history();
}

void workload::person::next_history() {
  if (reading_ || histories_wanted_.empty()) return;
  reading_ = true;
  pulling_ = false;
  const auto& [room, node] = histories_wanted_.front();
  page_ = {account_.node, room ? "" : node, {}, room ? node : ""};
  page_rows_.clear();
  ask_page(room, node, 0, final_page);
}

void workload::person::request_offline() {
  for (auto& each : seats_) {
    if (each->online()) each->ask_offline();
  }
}

bool workload::person::drained() const {
  return std::all_of(seats_.begin(), seats_.end(),
                     [](const auto& each) { return each->online() && each->drained(); });
}

void workload::person::lost(seat&) { pulling_ = false; }

void workload::person::nap() {
  seats_[std::uniform_int_distribution<size_t>(0, seats_.size() - 1)(shared_.random)]->nap(nap_length);
}

void workload::person::disconnect() {
  for (auto& each : seats_) each->leave();
}

}  // namespace tern::verify
