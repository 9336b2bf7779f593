// A person's changes of rooms and recalls. One of each is under way at a time, so that answers are known to belong to
// it.
#include <algorithm>

#include "tests/verify/seat.hpp"

namespace tern::verify {

using namespace std::chrono_literals;

namespace {

constexpr int32_t code_exists = 4101;
constexpr int32_t code_parameter = 4104;
constexpr int32_t code_denied = 4105;
constexpr int64_t room_closed = 1;
constexpr int64_t room_open = 2;
constexpr int burn_percent = 1;
constexpr auto late_answers = 8s;
constexpr int enough_history = 6;  // a conversation of recalled messages only answers no pull

}  // namespace

void workload::person::write_to_room(seat& at, bool as_stranger) {
  auto& rooms = shared_.rooms;
  send_op op;
  if (as_stranger) {
    const auto& room = rooms[std::uniform_int_distribution<size_t>(0, rooms.size() - 1)(shared_.random)];
    const bool known = std::find(room.members.begin(), room.members.end(), index_) != room.members.end() ||
                       std::any_of(room.churners.begin(), room.churners.end(),
                                   [&](const workload_room::churner& each) { return each.person == index_; });
    if (known) return;
    op.room = room.node;
  } else {
    if (rooms_.empty()) return;
    op.room = rooms[rooms_[std::uniform_int_distribution<size_t>(0, rooms_.size() - 1)(shared_.random)]].node;
  }
  send_op_now(at, std::move(op), as_stranger);
}

void workload::person::ask_room(move what, size_t room, size_t whom) {
  room_task task;
  task.what = what;
  task.room = room;
  task.whom = whom;
  tasks_.push_back(task);
}

void workload::person::begin(room_task& task) {
  auto* at = any_seat();
  if (at == nullptr) return;
  const auto& room = shared_.rooms[task.room];
  if (task.attempts++ == 0) {
    const bool joins = task.what != move::kick && task.what != move::leave;
    task.index = shared_.seen.members.size();
    task.first = shared_.loop.now();
    shared_.seen.members.push_back(
        {room.node, owner_.people_[task.whom]->account_.node, joins, now(), 0, outcome::unknown});
  }
  task.last = shared_.loop.now();
  wire::tim_req request;
  request.rtype = static_cast<int32_t>(task.what);
  request.node = task.what == move::create ? std::string_view(room.name) : std::string_view(room.node);
  if (task.what == move::create) request.req_int = room.closed ? room_closed : room_open;
  if (task.what == move::pull_in || task.what == move::kick) {
    request.node2 = owner_.people_[task.whom]->account_.node;
  }
  at->terminal().send(wire::frame_type::business, request);
}

void workload::person::settle(bool done, const std::string& complaint) {
  const auto task = tasks_.front();
  tasks_.pop_front();
  // Some answers do not name the room: those to all attempts must be in before the next change begins.
  if (task.attempts > 1) next_task_ = shared_.loop.now() + late_answers;
  auto& op = shared_.seen.members[task.index];
  op.completed = now();
  op.result = done ? outcome::ok : outcome::fail;
  auto& room = shared_.rooms[task.room];
  op.room = room.node;  // not known when its creation began
  if (!complaint.empty()) shared_.seen.stalls.push_back(account_.name + ": " + complaint + " of " + room.name);
  for (auto& churner : room.churners) {
    if (churner.person != task.whom) continue;
    if (done) churner.inside = op.joins;
    churner.moving = false;
    churner.next = shared_.loop.now() +
                   std::chrono::milliseconds(std::uniform_int_distribution<int>(2000, 6000)(shared_.random));
  }
}

bool workload::person::answered_room(const wire::tim_ack& ack) {
  if (tasks_.empty() || tasks_.front().attempts == 0) return false;
  auto& task = tasks_.front();
  auto& room = shared_.rooms[task.room];
  if (ack.t.value_or(0) != static_cast<int64_t>(task.what)) return false;
  if (task.what == move::create) {
    if (!ack.ok || !ack.n) return true;  // once more later
    room.node = std::string(*ack.n);
    settle(true, "");
    return true;
  }
  if (ack.n && *ack.n != room.node) return false;
  if (ack.ok) {
    if (task.what != move::apply) settle(true, "");
    return true;
  }
  const int32_t code = ack.error ? ack.error->code.value_or(0) : 0;
  if (code >= 5101) return true;  // unknown or later: once more
  const bool joins = task.what == move::apply || task.what == move::pull_in;
  const bool done_before =
      joins ? code == code_exists : task.attempts > 1 && (code == code_parameter || code == code_denied);
  settle(done_before, done_before ? ""
                                  : "change " + std::to_string(static_cast<int>(task.what)) + " was refused with " +
                                        std::to_string(code));
  return true;
}

void workload::person::admitted(std::string_view room_node) {
  if (tasks_.empty() || tasks_.front().attempts == 0 || tasks_.front().what != move::apply) return;
  if (shared_.rooms[tasks_.front().room].node == room_node) settle(true, "");
}

void workload::person::tick_rooms() {
  if (tasks_.empty() || shared_.loop.now() < next_task_) return;
  auto& task = tasks_.front();
  if (task.attempts == 0 || shared_.loop.now() - task.last > owner_.how_.retry_after) begin(task);
  if (task.attempts > 0 && shared_.loop.now() - task.first > owner_.how_.stall_after) {
    shared_.seen.stalls.push_back(account_.name + ": no answer to change " +
                                  std::to_string(static_cast<int>(task.what)) + " of " +
                                  shared_.rooms[task.room].name);
    task.first = shared_.loop.now() + 1h;  // reported once
  }
}

void workload::person::may_recall(const send_op& sent, int percent) {
  if (!chance(percent) || has_history_[sent.recipient + sent.room] < enough_history) return;
  recall_task task;
  task.op.actor = account_.node;
  task.op.room = sent.room;
  task.op.other = sent.recipient;
  task.op.body = sent.body;
  task.op.mid = sent.mid;
  task.op.attempts = 0;
  task.due = shared_.loop.now() +
             std::chrono::milliseconds(chance(50) ? 0 : std::uniform_int_distribution<int>(0, 4000)(shared_.random));
  recalls_.push_back(std::move(task));
}

void workload::person::may_burn(const receive_op& got) {
  if (!chance(burn_percent) || has_history_[got.sender] < enough_history) return;
  recall_task task;
  task.op.actor = account_.node;
  task.op.other = got.sender;
  task.op.body = got.body;
  task.op.mid = got.mid;
  task.op.attempts = 0;
  task.burn = true;
  task.due = shared_.loop.now();
  recalls_.push_back(std::move(task));
}

void workload::person::may_try_to_recall(const receive_op& got) {
  const bool member =
      std::any_of(rooms_.begin(), rooms_.end(), [&](size_t i) { return shared_.rooms[i].node == got.room; });
  if (!member || got.sender == account_.node) return;
  recall_task task;
  task.op.actor = account_.node;
  task.op.room = got.room;
  task.op.body = got.body;
  task.op.mid = got.mid;
  task.op.attempts = 0;
  task.op.entitled = false;
  task.due = shared_.loop.now();
  recalls_.push_back(std::move(task));
}

void workload::person::send_recall(seat& at, const recall_task& task) {
  wire::tim_message message;
  message.ms_type = task.op.room.empty() ? 2 : 3;
  message.od_type = task.burn ? 3 : 2;
  message.mid = task.op.mid;
  if (task.op.room.empty()) {
    message.to_tid.emplace().node = task.op.other;
  } else {
    message.room_tid.emplace().node = task.op.room;
  }
  at.terminal().send(task.burn ? wire::frame_type::burnmessage : wire::frame_type::revokemessage, message);
}

void workload::person::tick_recalls() {
  auto* at = any_seat();
  if (recalls_.empty() || at == nullptr) return;
  auto& task = recalls_.front();
  const auto now_at = shared_.loop.now();
  if (!task.begun && now_at >= task.due) {
    task.begun = true;
    task.op.invoked = now();
    task.index = shared_.seen.recalls.size();
    shared_.seen.recalls.push_back(task.op);
  } else if (!task.begun || now_at - task.last < owner_.how_.retry_after) {
    return;
  }
  task.last = now_at;
  auto& record = shared_.seen.recalls[task.index];
  ++record.attempts;
  send_recall(*at, task);
  if (now() - record.invoked > std::chrono::nanoseconds(owner_.how_.stall_after).count()) {
    shared_.seen.stalls.push_back(account_.name + ": no answer to the recall of " + record.body);
    recalls_.pop_front();
  }
}

void workload::person::recall_seen(seat& at, const wire::tim_message& message) {
  const auto from = node_of(message.from_tid);
  recall_notice notice;
  notice.account = account_.node;
  notice.terminal = at.label();
  notice.connection = at.name();
  notice.room = node_of(message.room_tid);
  if (notice.room.empty()) notice.other = from == account_.node ? node_of(message.to_tid) : from;
  notice.mid = message.mid.value_or(0);
  notice.at = shared_.loop.now().time_since_epoch().count();
  shared_.seen.notices.push_back(notice);
  if (from != account_.node || recalls_.empty() || !recalls_.front().begun) return;
  auto& record = shared_.seen.recalls[recalls_.front().index];
  if (record.mid != notice.mid || record.room != notice.room || record.other != notice.other) return;
  record.result = outcome::ok;
  record.completed = now();
  recalls_.pop_front();
}

void workload::person::recall_refused(int32_t code) {
  if (recalls_.empty() || !recalls_.front().begun) return;
  auto& record = shared_.seen.recalls[recalls_.front().index];
  record.result = outcome::fail;
  record.completed = now();
  if (record.entitled) {
    shared_.seen.stalls.push_back(account_.name + ": the recall of " + record.body + " was refused with " +
                                  std::to_string(code));
  }
  recalls_.pop_front();
}

}  // namespace tern::verify
