#include "tests/verify/person.hpp"

#include <algorithm>

namespace tern::verify {

using namespace std::chrono_literals;

namespace {

constexpr int32_t business_add = 4;
constexpr int32_t notice_request = 4;
constexpr int32_t notice_friends = 5;
constexpr int32_t pull_user = 1;
constexpr int64_t live_page = 20;
constexpr int64_t final_page = 200;
constexpr auto answer_limit = 5s;
constexpr auto reconnect_first = 100ms;
constexpr auto reconnect_most = 2000ms;
constexpr int stranger_percent = 1;

std::string_view node_of(const wire::opt<wire::tid>& tid) { return tid ? tid->node : std::string_view{}; }

}  // namespace

/// One terminal of a person, with its present connection.
class workload::person::seat final : public client::terminal_observer {
 public:
  seat(person& owner, size_t number) : owner_(owner), number_(number), delay_(reconnect_first) {}

  void connect() {
    auto& how = owner_.owner_.how_;
    const auto& gateways = how.gateways;
    order_ = ++owner_.connections_;
    name_ = owner_.account_.name + "/" + std::to_string(number_) + "#" + std::to_string(order_);
    const auto at = (owner_.index_ + number_ + static_cast<size_t>(order_)) % gateways.size();
    terminal_ = std::make_unique<client::terminal>(
        owner_.shared_.loop, gateways[at], owner_.index_ % 3 == 0 ? wire::encoding::json : wire::encoding::thrift,
        *this);
  }

  bool online() const { return online_; }
  bool drained() const { return drained_; }
  const std::string& name() const { return name_; }
  std::string label() const { return owner_.account_.name + "/" + std::to_string(number_); }
  int64_t order() const { return order_; }
  client::terminal& terminal() { return *terminal_; }
  void note(size_t receive) { received_.push_back(receive); }
  void ask_offline() {
    drained_ = false;
    terminal_->request_offline();
  }
  void leave() {
    leaving_ = true;
    if (terminal_) terminal_->abort("the run is over");
  }

 private:
  void on_open(client::terminal& self) override {
    wire::tim_auth auth;
    auth.name = owner_.account_.name;
    auth.pwd = owner_.account_.password;
    auth.resource = "verify";
    auth.termtyp = static_cast<int8_t>(number_ + 1);
    self.login(auth);
  }

  void on_message(client::terminal&, const wire::tim_message& message, bool batch) override {
    owner_.received(*this, message, batch);
  }

  void on_ack(client::terminal& self, const wire::tim_ack& ack, bool logout) override {
    if (logout) return;
    if (ack.tim_type != static_cast<int8_t>(wire::frame_type::auth)) return owner_.answered(*this, ack);
    if (!ack.ok) return self.abort("AUTH refused");
    if (online_) return;
    online_ = true;
    delay_ = reconnect_first;
    ++owner_.owner_.online_;
    ask_offline();
  }

  void on_history(client::terminal&, const wire::tim_message_list& list) override { owner_.history_page(list); }
  void on_offline_end(client::terminal&) override { drained_ = true; }

  void on_closed(client::terminal&, std::string_view) override {
    const auto now = owner_.shared_.loop.now().time_since_epoch().count();
    const auto grace = std::chrono::nanoseconds(owner_.owner_.how_.grace).count();
    for (const auto index : received_) {
      auto& op = owner_.shared_.seen.receives[index];
      op.acknowledged = now - op.at > grace;
    }
    received_.clear();
    if (online_) --owner_.owner_.online_;
    online_ = false;
    owner_.lost(*this);
    if (leaving_) return;
    owner_.shared_.loop.after(delay_, [this] { connect(); });
    delay_ = std::min<std::chrono::milliseconds>(delay_ * 2, reconnect_most);
  }

  person& owner_;
  size_t number_;
  std::chrono::milliseconds delay_;
  int64_t order_ = 0;
  bool online_ = false;
  bool drained_ = false;
  bool leaving_ = false;
  std::string name_;
  std::vector<size_t> received_;
  std::unique_ptr<client::terminal> terminal_;
};

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
  if (at == nullptr || befriended_.contains(other.account_.node)) return;
  wire::tim_req request;
  request.rtype = business_add;
  request.node = other.account_.node;
  at->terminal().send(wire::frame_type::business, request);
}

void workload::person::write() {
  auto* at = any_seat();
  const bool refused_open = !open_.empty() && !befriended_.contains(open_.begin()->second.to_node);
  if (at == nullptr || refused_open || friends_.empty()) return;
  std::uniform_int_distribution<size_t> pick(0, friends_.size() - 1);
  std::string to = friends_[pick(shared_.random)]->account_.node;
  const bool stranger =
      open_.empty() && std::uniform_int_distribution<int>(1, 100)(shared_.random) <= stranger_percent;
  if (stranger) to = owner_.people_[(index_ + owner_.people_.size() / 2) % owner_.people_.size()]->account_.node;
  const auto id = ++next_id_;
  send_op op;
  op.sender = account_.node;
  op.recipient = to;
  op.id = id;
  op.body = account_.name + "-" + std::to_string(id);
  op.terminal = at->name();
  op.invoked = client::loop::time_point::clock::now().time_since_epoch().count();
  op.attempts = 0;
  shared_.seen.sends.push_back(op);
  open_op fresh{shared_.seen.sends.size() - 1, to, shared_.loop.now(), shared_.loop.now()};
  attempt(id, open_.emplace(id, fresh).first->second);
}

void workload::person::attempt(int64_t id, open_op& op) {
  auto* at = any_seat();
  if (at == nullptr) return;
  auto& record = shared_.seen.sends[op.index];
  ++record.attempts;
  op.last = shared_.loop.now();
  at->terminal().send_text(op.to_node, record.body, id);
}

void workload::person::tick() {
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
  if (message.od_type == 4) {
    const auto kind = message.bn_type.value_or(0);
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
  op.mid = message.mid.value_or(0);
  op.body = message.data_string.value_or("");
  op.how = batch ? via::batch : via::live;
  op.is_offline = message.is_offline.value_or(false);
  op.at = shared_.loop.now().time_since_epoch().count();
  has_history_[op.sender] = true;
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
  op.mid = message.mid.value_or(0);
  op.body = message.data_string.value_or("");
  op.how = batch ? via::batch : via::receipt;
  op.at = shared_.loop.now().time_since_epoch().count();
  has_history_[op.recipient] = true;
  const auto open = open_.find(message.id.value_or(0));
  if (open != open_.end()) {
    auto& record = shared_.seen.sends[open->second.index];
    record.result = outcome::ok;
    record.mid = op.mid;
    record.completed = client::loop::time_point::clock::now().time_since_epoch().count();
    open_.erase(open);
    ++owner_.receipts_;
  }
  shared_.seen.receives.push_back(std::move(op));
}

void workload::person::answered(seat&, const wire::tim_ack& ack) {
  const int32_t code = ack.error ? ack.error->code.value_or(0) : 0;
  if (ack.ok || ack.tim_type != static_cast<int8_t>(wire::frame_type::message)) return;
  if (code >= 5101) return;  // unknown or later: the same id again after a while
  if (open_.size() == 1 && !befriended_.contains(open_.begin()->second.to_node)) {
    auto& record = shared_.seen.sends[open_.begin()->second.index];
    record.result = outcome::fail;
    record.completed = client::loop::time_point::clock::now().time_since_epoch().count();
    open_.clear();
    return;
  }
  shared_.seen.stalls.push_back(account_.name + ": a message to a friend was refused with " + std::to_string(code));
}

void workload::person::pull() {
  auto* at = any_seat();
  if (at == nullptr || pulling_ || reading_ || has_history_.empty()) return;
  std::uniform_int_distribution<size_t> pick(0, has_history_.size() - 1);
  const auto& node = std::next(has_history_.begin(), static_cast<std::ptrdiff_t>(pick(shared_.random)))->first;
  wire::tim_req request;
  request.rtype = pull_user;
  request.node = node;
  request.req_int = 0;
  request.req_int2 = live_page;
  pulling_ = true;
  page_asked_ = shared_.loop.now();
  pull_ = {account_.node, node, client::loop::time_point::clock::now().time_since_epoch().count(), 0};
  at->terminal().send(wire::frame_type::pullmessage, request);
}

void workload::person::history_page(const wire::tim_message_list& list) {
  if (!list.message_list || list.message_list->empty()) return;
  const auto& rows = *list.message_list;
  const auto from = node_of(rows.front().from_tid);
  const auto other = from == account_.node ? node_of(rows.front().to_tid) : from;
  if (pulling_ && other == pull_.other) {
    for (const auto& row : rows) pull_.newest_mid = std::max(pull_.newest_mid, row.mid.value_or(0));
    shared_.seen.pulls.push_back(pull_);
    pulling_ = false;
    return;
  }
  if (!reading_ || other != page_.other) return;
  int64_t lowest = INT64_MAX;
  for (const auto& row : rows) {
    lowest = std::min(lowest, row.mid.value_or(0));
    page_.messages.emplace_back(row.mid.value_or(0), std::string(row.data_string.value_or("")));
  }
  if (lowest > 1) {
    wire::tim_req request;
    request.rtype = pull_user;
    request.node = page_.other;
    request.req_int = lowest - 1;
    request.req_int2 = final_page;
    page_asked_ = shared_.loop.now();
    if (auto* at = any_seat()) at->terminal().send(wire::frame_type::pullmessage, request);
    return;
  }
  std::sort(page_.messages.begin(), page_.messages.end());
  shared_.seen.finals.push_back(page_);
  std::erase_if(histories_wanted_, [this](const person* each) { return each->account_.node == page_.other; });
  reading_ = false;
  next_history();
}

void workload::person::read_histories() {
  histories_wanted_.clear();
  for (auto* each : friends_) {
    if (has_history_.contains(each->account_.node)) histories_wanted_.push_back(each);
  }
  next_history();
}

void workload::person::next_history() {
  auto* at = any_seat();
  if (reading_ || histories_wanted_.empty()) return;
  reading_ = true;
  pulling_ = false;
  page_asked_ = shared_.loop.now();
  page_ = {account_.node, histories_wanted_.front()->account_.node, {}};
  wire::tim_req request;
  request.rtype = pull_user;
  request.node = page_.other;
  request.req_int = 0;
  request.req_int2 = final_page;
  if (at != nullptr) at->terminal().send(wire::frame_type::pullmessage, request);
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

void workload::person::disconnect() {
  for (auto& each : seats_) each->leave();
}

}  // namespace tern::verify
