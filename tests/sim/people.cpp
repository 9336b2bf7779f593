#include "tests/sim/people.hpp"

#include <algorithm>
#include <utility>

namespace tern::sim {

using namespace std::chrono_literals;

namespace {

constexpr auto enc = wire::encoding::thrift;
constexpr duration acknowledged_after = 2500ms;
constexpr duration room_acknowledged_after = 6s;  // positions in rooms are told and stored in bulk
constexpr int8_t od_message = 1, od_revoke = 2, od_burn = 3, od_notice = 4;
constexpr int32_t notice_admitted = 10;
constexpr int32_t pull_user = 1, pull_room = 2;
constexpr int32_t code_denied = 4105;

std::string_view node_of(const wire::opt<wire::tid>& tid) { return tid ? tid->node : std::string_view{}; }

wire::decode_limits from_server() {
  wire::decode_limits limits;
  limits.container_items = 100'000;
  limits.body_bytes = 16U << 20U;
  limits.string_bytes = 1U << 20U;
  return limits;
}

}  // namespace

// ---- terminal ----------------------------------------------------------------------------------------------------

terminal::terminal(person& of, size_t number) : person_(of), number_(number) {}

std::string terminal::label() const { return person_.name + "/" + std::to_string(number_); }

void terminal::connect() {
  if (leaving_) return;
  crowd& all = person_.all();
  gateway_process* to = all.gateway();
  if (to == nullptr) {
    all.in->after(200ms, [this] { connect(); });
    return;
  }
  order_ = person_.next_order();
  opened_ = all.in->now();
  name_ = label() + "#" + std::to_string(order_);
  all.in->trace("%s connects to %s", name_.c_str(), to->on().name.c_str());
  socket_ = to->connect(*this);
  log_on();
}

void terminal::log_on() {
  wire::tim_auth auth;
  auth.name = person_.name;
  auth.pwd = "secret";
  auth.resource = "sim";
  auth.termtyp = static_cast<int8_t>(number_ + 1);
  send(wire::frame_type::auth, wire::encode(enc, auth));
  watch_login(order_);
}

/// A gateway whose machine stands still answers nobody.
void terminal::watch_login(uint64_t connection) {
  person_.all().in->after(7s, [this, connection] {
    if (order_ == connection && socket_ && !online_) drop(100ms);
  });
}

void terminal::send(wire::frame_type type, std::string_view payload) {
  if (!socket_) return;
  socket_->send(std::string(1, static_cast<char>(type)) + std::string(payload));
}

void terminal::ask_offline() {
  drained_ = false;
  send(wire::frame_type::offlinemsg, {});
  // Who asked is not known to the next owner of the account: clients ask again.
  person_.all().in->after(10s, [this, connection = order_] {
    if (online_ && !drained_ && order_ == connection) ask_offline();
  });
}

void terminal::drop(duration away) {
  if (!socket_) return;
  crowd& all = person_.all();
  all.in->trace("%s drops", name_.c_str());
  socket_->abort(all.in->random().between(0ms, 300ms));
  settle();
  all.in->after(away, [this] { connect(); });
}

void terminal::leave() {
  leaving_ = true;
  if (socket_) socket_->abort(0ms);
  settle();
}

void terminal::on_closed() {
  crowd& all = person_.all();
  all.in->trace("%s was closed", name_.c_str());
  settle();
  back_ = std::min<duration>(back_ * 2, 1s);
  all.in->after(all.in->random().between(back_ / 2, back_), [this] { connect(); });
}

/// The connection is over: which acknowledgements must have counted?
void terminal::settle() {
  crowd& all = person_.all();
  const duration now = all.in->now();
  for (const auto& [index, at] : acknowledged_) {
    auto& op = all.seen->receives[index];
    const duration least = op.room.empty() ? acknowledged_after : room_acknowledged_after;
    op.acknowledged = now - at > least && !all.faulty(at, now);
  }
  acknowledged_.clear();
  if (std::exchange(online_, false)) all.seen->connections[connection_].ended = now.count();
  drained_ = false;
  socket_ = nullptr;
}

void terminal::on_message(std::string_view bytes) {
  if (bytes.empty() || !socket_) return;
  const auto byte = static_cast<uint8_t>(bytes[0]);
  const auto type = static_cast<wire::frame_type>(byte & 0x7FU);
  bytes.remove_prefix(1);
  int32_t sync_id = 0;
  if ((byte & 0x80U) != 0) {
    const auto parsed = wire::parse_sync_id(bytes.substr(0, 4));
    if (!parsed) return person_.all().in->violation(name_ + ": a frame without its sync id");
    sync_id = *parsed;
    bytes.remove_prefix(4);
  }
  std::vector<size_t> receives;
  take(type, bytes, receives);
  if (sync_id != 0) acknowledge(sync_id, std::move(receives));
}

void terminal::acknowledge(int32_t sync_id, std::vector<size_t> receives) {
  world& in = *person_.all().in;
  duration delay = in.random().between(0ms, 20ms);
  if (person_.all().restless && in.random().chance(0.05)) delay = in.random().between(0ms, 3s);
  in.after(delay, [this, sync_id, connection = order_, receives = std::move(receives), &in] {
    if (!socket_ || order_ != connection) return;
    char bytes[4];
    for (unsigned i = 0; i < 4; ++i) bytes[i] = static_cast<char>(static_cast<uint32_t>(sync_id) >> (24U - 8U * i));
    send(wire::frame_type::ack, {bytes, 4});
    for (const size_t index : receives) acknowledged_[index] = in.now();
  });
}

void terminal::take(wire::frame_type type, std::string_view payload, std::vector<size_t>& receives) {
  static const auto limits = from_server();
  wire::arena memory;
  switch (type) {
    case wire::frame_type::message:
    case wire::frame_type::revokemessage:
    case wire::frame_type::burnmessage:
      if (auto message = wire::decode<wire::tim_message>(enc, payload, memory, limits)) {
        return received(*message, false, receives);
      }
      break;
    case wire::frame_type::offlinemsg:
      if (auto list = wire::decode<wire::tim_message_list>(enc, payload, memory, limits)) {
        if (!list->message_list) return;
        for (const auto& message : *list->message_list) received(message, true, receives);
        return;
      }
      break;
    case wire::frame_type::pullmessage:
      if (auto list = wire::decode<wire::tim_message_list>(enc, payload, memory, limits)) return person_.page(*list);
      break;
    case wire::frame_type::ack:
      if (auto ack = wire::decode<wire::tim_ack>(enc, payload, memory, limits)) {
        if (ack->tim_type != static_cast<int8_t>(wire::frame_type::auth)) return person_.refused(*ack);
        if (!ack->ok || online_) return;
        online_ = true;
        back_ = 50ms;
        person_.all().in->trace("%s is on line", name_.c_str());
        connection_ = person_.all().seen->connections.size();
        person_.all().seen->connections.push_back(
            {person_.node, label(), name_, person_.all().in->now().count(), 0, opened_.count()});
        ask_offline();
        return;
      }
      break;
    case wire::frame_type::offlinemsgend: drained_ = true; return;
    default: return;
  }
  person_.all().in->violation(name_ + ": a frame that cannot be read");
}

verify::recall_notice terminal::notice_of(const wire::tim_message& message) const {
  const auto from = node_of(message.from_tid);
  verify::recall_notice notice;
  notice.account = person_.node;
  notice.terminal = label();
  notice.connection = name_;
  notice.room = node_of(message.room_tid);
  if (notice.room.empty()) notice.other = from == person_.node ? node_of(message.to_tid) : from;
  notice.mid = message.mid.value_or(0);
  notice.at = person_.all().in->now().count();
  return notice;
}

void terminal::received(const wire::tim_message& message, bool batch, std::vector<size_t>& receives) {
  if (message.od_type == od_revoke || message.od_type == od_burn) {
    const auto notice = notice_of(message);
    person_.all().in->trace("%s is told that mid %lld of %s%s is gone", name_.c_str(),
                            static_cast<long long>(notice.mid), notice.room.c_str(), notice.other.c_str());
    person_.all().seen->notices.push_back(notice);
    return person_.recall_seen(message, notice);
  }
  if (message.od_type == od_notice && message.bn_type.value_or(0) == notice_admitted) {
    return person_.admitted(node_of(message.room_tid));
  }
  if (message.od_type != od_message) return;
  crowd& all = person_.all();
  verify::receive_op op;
  op.account = person_.node;
  op.terminal = label();
  op.connection = name_;
  op.connection_order = static_cast<int64_t>(order_);
  op.sender = node_of(message.from_tid);
  op.recipient = node_of(message.to_tid);
  op.room = node_of(message.room_tid);
  op.mid = message.mid.value_or(0);
  op.body = message.data_string.value_or("");
  op.is_offline = message.is_offline.value_or(false);
  op.at = all.in->now().count();
  const bool own = op.sender == person_.node;
  op.how = batch ? verify::via::batch : own ? verify::via::receipt : verify::via::live;
  all.in->trace("%s gets %s mid %lld %s%s", name_.c_str(), op.body.c_str(), static_cast<long long>(op.mid),
                own ? "receipt" : "message", batch ? " in a list" : "");
  if (own) person_.receipt(message, op.mid);
  if (!own || batch) receives.push_back(all.seen->receives.size());
  all.seen->receives.push_back(std::move(op));
}

// ---- person ------------------------------------------------------------------------------------------------------

person::person(crowd& all, std::string called, account_id who, size_t count)
    : name(std::move(called)), id(who), node(to_node(who)), all_(all) {
  for (size_t i = 0; i < count; ++i) terminals_.push_back(std::make_unique<terminal>(*this, i));
  last_id_ = static_cast<int64_t>(who.value >> 40U) << 20U;
}

void person::begin() {
  for (auto& each : terminals_) {
    all_.in->after(all_.in->random().between(0ms, 500ms), [one = each.get()] { one->connect(); });
  }
  tick();
}

terminal* person::any() {
  std::vector<terminal*> there;
  for (auto& each : terminals_) {
    if (each->online()) there.push_back(each.get());
  }
  return there.empty() ? nullptr : there[all_.in->random().below(there.size())];
}

void person::tick() {
  auto& random = all_.in->random();
  const duration now = all_.in->now();
  if (all_.writing && random.chance(0.5)) write();
  if (all_.writing && random.chance(0.03)) pull();
  if (!all_.rooms.empty()) {
    want_changes();
    tick_changes();
    tick_recalls();
  }
  if (!all_.rooms.empty() && all_.restless && random.chance(0.002)) {
    const duration away = random.between(500ms, 4s);  // nobody of the account is there
    for (auto& each : terminals_) each->drop(away + random.between(0ms, 100ms));
  }
  if (all_.restless && random.chance(0.01)) {
    terminals_[random.below(terminals_.size())]->drop(random.between(10ms, 3s));
  }
  for (auto& [key, op] : open_) {
    if (now - op.last > all_.retry_after) attempt(key, op);
    if (now - op.first > all_.stall_after && !std::exchange(op.stalled, true)) {
      all_.seen->stalls.push_back(name + ": no receipt for " + all_.seen->sends[op.index].body);
    }
  }
  all_.in->after(random.between(10ms, 200ms), [this] { tick(); });
}

void person::write() {
  if (any() == nullptr || open_.size() > 40) return;
  auto& random = all_.in->random();
  verify::send_op op;
  if (const auto rooms = all_.rooms.empty() ? std::vector<room*>{} : rooms_of();
      !rooms.empty() && random.chance(0.4)) {
    op.room = rooms[random.below(rooms.size())]->node;
    return send_new(std::move(op));
  }
  std::vector<person*> others;
  for (auto& each : all_.people) {
    if (each.get() != this) others.push_back(each.get());
  }
  op.recipient = others[random.below(others.size())]->node;
  send_new(std::move(op));
}

void person::send_new(verify::send_op op) {
  const int64_t key = ++last_id_;
  op.sender = node;
  op.id = key;
  op.body = name + "-" + std::to_string(key & 0xFFFFF);
  op.invoked = all_.in->now().count();
  op.attempts = 0;
  open_op fresh{all_.seen->sends.size(), all_.in->now(), all_.in->now()};
  all_.seen->sends.push_back(std::move(op));
  attempt(key, open_.emplace(key, fresh).first->second);
}

bool person::writes_to(const room& where) const {
  return std::any_of(open_.begin(), open_.end(),
                     [&](const auto& each) { return all_.seen->sends[each.second.index].room == where.node; });
}

void person::attempt(int64_t key, open_op& op) {
  terminal* at = any();
  if (at == nullptr) return;
  auto& record = all_.seen->sends[op.index];
  if (record.attempts++ == 0) record.terminal = at->connection();
  op.last = all_.in->now();
  all_.in->trace("%s sends %s", at->connection().c_str(), record.body.c_str());
  wire::tim_message message;
  message.ms_type = record.room.empty() ? 2 : 3;
  message.od_type = od_message;
  message.id = key;
  if (record.room.empty()) {
    message.to_tid.emplace().node = record.recipient;
  } else {
    message.room_tid.emplace().node = record.room;
  }
  message.data_string = record.body;
  at->send(wire::frame_type::message, wire::encode(enc, message));
}

void person::receipt(const wire::tim_message& message, int64_t mid) {
  const auto open = open_.find(message.id.value_or(0));
  if (open == open_.end()) return;
  auto& record = all_.seen->sends[open->second.index];
  record.result = verify::outcome::ok;
  record.mid = mid;
  record.completed = all_.in->now().count();
  open_.erase(open);
  if (!all_.rooms.empty()) may_recall(record);
}

void person::refused(const wire::tim_ack& ack) {
  const int32_t code = ack.error ? ack.error->code.value_or(0) : 0;
  if (ack.tim_type == static_cast<int8_t>(wire::frame_type::business)) {
    (void)answered_change(ack);
    return;
  }
  if (ack.ok || code >= 5101) return;
  if (ack.tim_type == static_cast<int8_t>(wire::frame_type::revokemessage)) return recall_refused(code);
  if (ack.tim_type != static_cast<int8_t>(wire::frame_type::message)) return;
  // A further attempt of a message to a room it has left since.
  if (code == code_denied && churns()) return;
  all_.seen->stalls.push_back(name + ": a message that is allowed was refused with " + std::to_string(code));
}

bool person::churns() const {
  return std::any_of(all_.rooms.begin(), all_.rooms.end(), [this](const room& each) {
    return std::any_of(each.guests.begin(), each.guests.end(),
                       [this](const room::guest& one) { return one.who == this && !one.stays; });
  });
}

void person::pull() {
  terminal* at = any();
  if (at == nullptr || pulling_) return;
  auto& random = all_.in->random();
  pull_ = {node, "", 0, 0, "", {}};
  const auto rooms = all_.rooms.empty() ? std::vector<room*>{} : rooms_of();
  if (!rooms.empty() && random.chance(0.4)) {
    const auto& where = *rooms[random.below(rooms.size())];
    if (where.founder != this) return;  // others may be on their way out
    pull_.room = where.node;
  } else {
    const auto& other = all_.people[random.below(all_.people.size())];
    if (other.get() == this) return;
    pull_.other = other->node;
  }
  const std::string of = pull_.room + pull_.other;
  if (given_up_.contains(of)) return;
  pulling_ = true;
  pull_.invoked = all_.in->now().count();
  wire::tim_req request;
  request.rtype = pull_.room.empty() ? pull_user : pull_room;
  request.node = of;
  request.req_int = 0;
  request.req_int2 = 20;
  at->send(wire::frame_type::pullmessage, wire::encode(enc, request));
  all_.in->after(5s, [this, of, began = pull_.invoked] {
    if (!pulling_ || pull_.invoked != began) return;
    pulling_ = false;
    given_up_.insert(of);  // the answer may still come, and must not be taken for a later one's
  });
}

void person::page(const wire::tim_message_list& list) {
  if (!pulling_ || !list.message_list || list.message_list->empty()) return;
  const auto& first = list.message_list->front();
  const auto in = node_of(first.room_tid);
  const auto other = !in.empty()                       ? std::string_view{}
                     : node_of(first.from_tid) == node ? node_of(first.to_tid)
                                                       : node_of(first.from_tid);
  if (other != pull_.other || in != pull_.room) return;
  for (const auto& row : *list.message_list) {
    pull_.newest_mid = std::max(pull_.newest_mid, row.mid.value_or(0));
    pull_.bodies.emplace_back(row.data_string.value_or(""));
  }
  all_.seen->pulls.push_back(std::move(pull_));
  pulling_ = false;
}

std::vector<std::string> person::waits_for() const {
  std::vector<std::string> out;
  if (!open_.empty()) out.push_back(name + " waits for " + std::to_string(open_.size()) + " receipts");
  for (const auto& each : changes_) {
    out.push_back(name + " waits for change " + std::to_string(static_cast<int>(each.what)) + " of " +
                  all_.rooms[each.room].name);
  }
  for (const auto& each : recalls_) out.push_back(name + " waits for the recall of " + each.op.body);
  return out;
}

bool person::drained() const {
  return std::all_of(terminals_.begin(), terminals_.end(),
                     [](const auto& each) { return each->online() && each->drained(); });
}

}  // namespace tern::sim
