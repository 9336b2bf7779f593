// What a person changes in rooms and takes back. One change and one recall are under way at a time, all at the first
// terminal, so that answers are known to belong to them.
#include <algorithm>
#include <utility>

#include "tests/sim/people.hpp"

namespace tern::sim {

using namespace std::chrono_literals;

namespace {

constexpr auto enc = wire::encoding::thrift;
constexpr int8_t od_revoke = 2;
constexpr int32_t code_exists = 4101, code_parameter = 4104, code_denied = 4105;
constexpr int64_t room_closed = 1, room_open = 2;

std::string_view node_of(const wire::opt<wire::tid>& tid) { return tid ? tid->node : std::string_view{}; }

bool joins(person::move what) { return what != person::move::kick && what != person::move::leave; }

}  // namespace

// ---- changes -----------------------------------------------------------------------------------------------------

std::vector<room*> person::rooms_of() {
  std::vector<room*> out;
  for (auto& each : all_.rooms) {
    const bool in = std::any_of(each.guests.begin(), each.guests.end(), [this](const room::guest& one) {
      return one.who == this && one.inside && !one.moving;
    });
    if (!each.node.empty() && (each.founder == this || in)) out.push_back(&each);
  }
  return out;
}

room::guest* person::guest_of(size_t index, const person* who) {
  for (auto& each : all_.rooms[index].guests) {
    if (each.who == who) return &each;
  }
  return nullptr;
}

/// Somebody comes or goes: by itself where the room is open, else by the founder.
void person::want_changes() {
  const duration now = all_.in->now();
  for (size_t i = 0; i < all_.rooms.size(); ++i) {
    room& where = all_.rooms[i];
    if (where.founder == this && where.node.empty() && changes_.empty()) {
      changes_.push_back({.what = move::create, .room = i, .whom = this});
    }
    if (where.node.empty() || !all_.writing) continue;
    for (auto& one : where.guests) {
      if ((where.open ? one.who : where.founder) != this || one.moving || now < one.next) continue;
      if (one.inside && (one.stays || one.who->writes_to(where))) continue;
      one.moving = true;
      const move what = one.inside   ? (where.open ? move::leave : move::kick)
                        : where.open ? move::apply
                                     : move::pull_in;
      changes_.push_back({.what = what, .room = i, .whom = one.who});
    }
  }
}

void person::tick_changes() {
  if (changes_.empty()) return;
  auto& first = changes_.front();
  if (first.attempts == 0 || all_.in->now() - first.last > all_.retry_after) begin(first);
  if (first.attempts > 0 && all_.in->now() - first.first > all_.stall_after) {
    settle(false, "no answer to change " + std::to_string(static_cast<int>(first.what)));
  }
}

void person::begin(change& what) {
  if (!terminals_.front()->online()) return;
  const room& where = all_.rooms[what.room];
  const duration now = all_.in->now();
  if (what.attempts++ == 0) {
    what.index = all_.seen->members.size();
    what.first = now;
    all_.seen->members.push_back(
        {where.node, what.whom->node, joins(what.what), now.count(), 0, verify::outcome::unknown});
  }
  what.last = now;
  all_.in->trace("%s asks change %d of %s for %s", terminals_.front()->connection().c_str(),
                 static_cast<int>(what.what), where.name.c_str(), what.whom->name.c_str());
  wire::tim_req request;
  request.rtype = static_cast<int32_t>(what.what);
  request.node = what.what == move::create ? std::string_view(where.name) : std::string_view(where.node);
  if (what.what == move::create) request.req_int = where.open ? room_open : room_closed;
  if (what.what == move::pull_in || what.what == move::kick) request.node2 = what.whom->node;
  terminals_.front()->send(wire::frame_type::business, wire::encode(enc, request));
}

void person::settle(bool done, const std::string& complaint) {
  const change was = changes_.front();
  changes_.pop_front();
  auto& random = all_.in->random();
  auto& op = all_.seen->members[was.index];
  op.completed = all_.in->now().count();
  op.result = done ? verify::outcome::ok : verify::outcome::fail;
  room& where = all_.rooms[was.room];
  op.room = where.node;  // not known when its creation began
  all_.in->trace("%s: change %d of %s is %s", name.c_str(), static_cast<int>(was.what), where.name.c_str(),
                 done ? "done" : "refused");
  if (!complaint.empty()) all_.seen->stalls.push_back(name + ": " + complaint + " of " + where.name);
  if (auto* one = guest_of(was.room, was.whom)) {
    if (done) one->inside = op.joins;
    one->moving = false;
    one->next = all_.in->now() + random.between(500ms, 5s);
  }
  // Some answers do not name the room: those to the other attempts must not be taken for the next change's.
  if (was.attempts > 1) terminals_.front()->drop(random.between(10ms, 200ms));
}

bool person::answered_change(const wire::tim_ack& ack) {
  if (changes_.empty() || changes_.front().attempts == 0) return false;
  const change& first = changes_.front();
  room& where = all_.rooms[first.room];
  if (ack.t.value_or(0) != static_cast<int64_t>(first.what)) return false;
  if (first.what == move::create) {
    if (!ack.ok || !ack.n) return true;  // once more later
    where.node = std::string(*ack.n);
    settle(true, "");
    return true;
  }
  if (ack.n && *ack.n != where.node) return false;
  if (ack.ok) {
    if (first.what != move::apply) settle(true, "");
    return true;
  }
  const int32_t code = ack.error ? ack.error->code.value_or(0) : 0;
  if (code >= 5101) return true;  // unknown or later: once more
  const bool before =
      joins(first.what) ? code == code_exists : first.attempts > 1 && (code == code_parameter || code == code_denied);
  settle(before, before ? ""
                        : "change " + std::to_string(static_cast<int>(first.what)) + " was refused with " +
                              std::to_string(code));
  return true;
}

void person::admitted(std::string_view room_node) {
  if (changes_.empty() || changes_.front().attempts == 0 || changes_.front().what != move::apply) return;
  if (all_.rooms[changes_.front().room].node == room_node) settle(true, "");
}

// ---- recalls -----------------------------------------------------------------------------------------------------

void person::may_recall(const verify::send_op& sent) {
  auto& random = all_.in->random();
  if (!all_.writing || !random.chance(0.05)) return;
  // A member that leaves may not take back any more.
  if (!sent.room.empty() && churns()) return;
  recall next;
  next.op.actor = node;
  next.op.room = sent.room;
  next.op.other = sent.recipient;
  next.op.body = sent.body;
  next.op.mid = sent.mid;
  next.op.attempts = 0;
  next.due = all_.in->now() + (random.chance(0.5) ? 0ms : random.between(0ms, 3s));
  recalls_.push_back(std::move(next));
}

void person::tick_recalls() {
  if (recalls_.empty() || !terminals_.front()->online()) return;
  auto& first = recalls_.front();
  const duration now = all_.in->now();
  if (!first.begun && now >= first.due) {
    first.begun = true;
    first.first = now;
    first.op.invoked = now.count();
    first.index = all_.seen->recalls.size();
    all_.seen->recalls.push_back(first.op);
  } else if (!first.begun || now - first.last < all_.retry_after) {
    return;
  }
  first.last = now;
  auto& record = all_.seen->recalls[first.index];
  ++record.attempts;
  if (now - first.first > all_.stall_after) {
    all_.seen->stalls.push_back(name + ": no answer to the recall of " + record.body);
    return end_recall(verify::outcome::unknown);
  }
  all_.in->trace("%s takes back %s, mid %lld", terminals_.front()->connection().c_str(), record.body.c_str(),
                 static_cast<long long>(record.mid));
  wire::tim_message message;
  message.ms_type = record.room.empty() ? 2 : 3;
  message.od_type = od_revoke;
  message.mid = record.mid;
  if (record.room.empty()) {
    message.to_tid.emplace().node = record.other;
  } else {
    message.room_tid.emplace().node = record.room;
  }
  terminals_.front()->send(wire::frame_type::revokemessage, wire::encode(enc, message));
}

void person::end_recall(verify::outcome result) {
  auto& record = all_.seen->recalls[recalls_.front().index];
  record.result = result;
  record.completed = all_.in->now().count();
  recalls_.pop_front();
  // The answer to another attempt must not be taken for the next recall's.
  if (record.attempts > 1) terminals_.front()->drop(all_.in->random().between(10ms, 200ms));
}

void person::recall_seen(const wire::tim_message& message, const verify::recall_notice& notice) {
  if (node_of(message.from_tid) != node || recalls_.empty() || !recalls_.front().begun) return;
  const auto& record = all_.seen->recalls[recalls_.front().index];
  if (record.mid != notice.mid || record.room != notice.room || record.other != notice.other) return;
  end_recall(verify::outcome::ok);
}

void person::recall_refused(int32_t code) {
  if (recalls_.empty() || !recalls_.front().begun) return;
  const auto& record = all_.seen->recalls[recalls_.front().index];
  all_.seen->stalls.push_back(name + ": the recall of " + record.body + " was refused with " + std::to_string(code));
  end_recall(verify::outcome::fail);
}

}  // namespace tern::sim
