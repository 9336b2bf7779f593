// One big room: everybody on line gets every message.
#include <algorithm>
#include <cstdlib>
#include <unordered_map>
#include <utility>

#include "tools/bench/costs.hpp"
#include "tools/bench/pair_probe.hpp"

namespace tern::bench {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

constexpr int32_t business_new_room = 8;
constexpr int32_t business_apply = 9;
constexpr int32_t business_pull_in = 12;
constexpr int32_t open_room = 2;
constexpr int32_t notice_joined = 10;
constexpr size_t joins_at_once = 500;

int64_t now_ns() { return steady::now().time_since_epoch().count(); }

/// Makes the room and brings everybody in.
class room_maker {
 public:
  room_maker(client::loop& loop, std::vector<std::unique_ptr<member>>& online, const progress_function& progress)
      : loop_(loop), online_(online), progress_(progress) {}
  ~room_maker() {
    for (auto& each : online_) {
      each->on_text = {};
      each->on_answer = {};
    }
  }

  result<std::string> make() {
    watch();
    wire::tim_req request;
    const std::string name = "bench " + std::to_string(now_ns());
    request.rtype = business_new_room;
    request.node = name;
    request.req_int = open_room;
    online_[0]->terminal().send(wire::frame_type::business, request);
    if (!loop_.run_until([&] { return !room_.empty() || !failure_.empty(); }, 10s) || !failure_.empty()) {
      return error{errc::unavailable, "new room: " + (failure_.empty() ? "no answer" : failure_)};
    }
    return room_;
  }

  /// Those on line join by themselves, many at a time.
  result<void> join_online() {
    joined_ = 1;
    next_ = 1;
    for (size_t i = 0; i < joins_at_once; ++i) join_next();
    return wait("joined", online_.size(), joined_);
  }

  /// Those off line are pulled in by those on line: each asks for its share, one after the other.
  result<void> pull_in(std::vector<std::string> nodes) {
    absent_ = std::move(nodes);
    pulled_ = 0;
    next_absent_ = 0;
    for (size_t i = 0; i < std::min(online_.size(), joins_at_once / 2); ++i) pull_next(*online_[i]);
    return wait("pulled in", absent_.size(), pulled_);
  }

 private:
  void watch() {
    for (auto& each : online_) {
      each->on_text = [this](member&, const wire::tim_message& message, bool) {
        if (message.bn_type != notice_joined) return;
        ++joined_;
        join_next();
      };
      each->on_answer = [this](member& self, const wire::tim_ack& ack) { answered(self, ack); };
    }
  }

  void answered(member& self, const wire::tim_ack& ack) {
    if (!ack.ok) {
      const int32_t code = ack.error ? ack.error->code.value_or(0) : 0;
      if (failure_.empty()) failure_ = "refused: " + std::to_string(code);
      return;
    }
    if (ack.t == business_new_room) room_ = ack.n.value_or("");
    if (ack.t != business_pull_in) return;
    ++pulled_;
    pull_next(self);
  }

  void join_next() {
    if (next_ >= online_.size()) return;
    wire::tim_req request;
    request.rtype = business_apply;
    request.node = room_;
    online_[next_++]->terminal().send(wire::frame_type::business, request);
  }

  void pull_next(member& by) {
    if (next_absent_ >= absent_.size()) return;
    wire::tim_req request;
    request.rtype = business_pull_in;
    request.node = room_;
    request.node2 = absent_[next_absent_++];
    by.terminal().send(wire::frame_type::business, request);
  }

  result<void> wait(const std::string& what, size_t wanted, const size_t& count) {
    size_t shown = 0;
    const bool done = loop_.run_until(
        [&] {
          if (progress_ && count >= shown + 1000) {
            shown = count;
            progress_(what + " " + std::to_string(count) + "/" + std::to_string(wanted));
          }
          return count >= wanted || !failure_.empty();
        },
        std::chrono::milliseconds(30'000 + wanted * 20));
    if (!failure_.empty()) return error{errc::unavailable, what + ": " + failure_};
    if (!done) return error{errc::deadline, what + ": " + std::to_string(count) + " of " + std::to_string(wanted)};
    return {};
  }

  client::loop& loop_;
  std::vector<std::unique_ptr<member>>& online_;
  const progress_function& progress_;
  std::string room_;
  std::string failure_;
  std::vector<std::string> absent_;
  size_t joined_ = 0, next_ = 0, pulled_ = 0, next_absent_ = 0;
};

/// One run: which messages were sent and who has got them.
class room_run {
 public:
  room_run(client::loop& loop, std::vector<std::unique_ptr<member>>& online, pair_probe& pair, std::string room,
           const room_options& how)
      : loop_(loop), online_(online), pair_(pair), room_(std::move(room)), how_(how), seen_(online.size(), 0) {
    padding_.assign(how.body_bytes > stamp_bytes ? how.body_bytes - stamp_bytes : 0, 'x');
    for (size_t i = 0; i < online.size(); ++i) {
      online[i]->on_text = [this, i](member& self, const wire::tim_message& message, bool) {
        received(i, self, message);
      };
      online[i]->on_answer = [this](member&, const wire::tim_ack& ack) { answered(ack); };
      online[i]->on_lost = [this](member&, std::string_view why) {
        ++lost_connections;
        if (first_loss.empty()) first_loss = why;
      };
    }
  }
  ~room_run() {
    for (auto& each : online_) {
      each->on_text = {};
      each->on_answer = {};
      each->on_lost = {};
    }
  }

  void start() {
    sending_ = true;
    next_due_ = now_ns();
    if (how_.rate > 0) {
      tick();
    } else {
      send_one(now_ns());
    }
  }
  void stop_sending() { sending_ = false; }
  const pair_probe& pair() const noexcept { return pair_; }
  /// Messages that not everybody has.
  size_t open() const { return open_.size(); }
  void reset_counts() {
    receipts = deliveries = errors = sent = completed = 0;
    receipt_latency.clear();
    delivery_latency.clear();
    last_latency.clear();
    pair_.reset();
  }

  uint64_t receipts = 0, deliveries = 0, errors = 0, sent = 0, completed = 0;
  uint64_t out_of_order = 0, repeated = 0, lost_connections = 0;
  std::string first_loss;
  int32_t first_error = 0;
  histogram receipt_latency, delivery_latency, last_latency;

 private:
  static constexpr size_t stamp_bytes = 20;

  void send_one(int64_t intended) {
    member& from = *online_[turn_++ % online_.size()];
    if (!from.online()) return;
    auto stamp = std::to_string(intended);
    stamp.insert(0, stamp_bytes - 1 - stamp.size(), '0');
    body_.assign(stamp).append(" ").append(padding_);
    wire::tim_message message;
    message.ms_type = 3;
    message.od_type = 1;
    message.id = ++next_id_;
    message.room_tid.emplace().node = room_;
    message.data_string = body_;
    open_[intended] = 0;
    ++sent;
    from.terminal().send(wire::frame_type::message, message);
  }

  /// Open loop: what is due is sent, whatever has come of what was sent before; latency counts from the due time.
  /// Half way between two messages to the room one goes from friend to friend.
  void tick() {
    if (!sending_) return;
    const auto now = now_ns();
    const auto step = static_cast<int64_t>(1e9 / how_.rate);
    while (next_due_ <= now) {
      send_one(next_due_);
      pair_due_ = next_due_ + step / 2;
      next_due_ += step;
    }
    if (pair_due_ != 0 && pair_due_ <= now) pair_.send(std::exchange(pair_due_, 0));
    loop_.after(std::chrono::nanoseconds(std::min<int64_t>(next_due_ - now, 1'000'000)), [this] { tick(); });
  }

  void received(size_t i, member& self, const wire::tim_message& message) {
    if (message.ms_type != 3 || !message.data_string || message.data_string->size() < stamp_bytes) return;
    const auto intended = std::strtoll(message.data_string->data(), nullptr, 10);
    const auto took = now_ns() - intended;
    const auto mid = message.mid.value_or(0);
    if (mid == seen_[i]) ++repeated;
    if (mid < seen_[i]) ++out_of_order;
    seen_[i] = std::max(seen_[i], mid);
    ++deliveries;
    delivery_latency.add(took);
    if (message.from_tid && message.from_tid->node == self.node()) {
      ++receipts;
      receipt_latency.add(took);
    }
    const auto at = open_.find(intended);
    if (at == open_.end() || ++at->second < online_.size()) return;
    open_.erase(at);
    ++completed;
    last_latency.add(took);
    if (how_.rate <= 0 && sending_) loop_.post([this] { send_one(now_ns()); });
  }

  void answered(const wire::tim_ack& ack) {
    if (ack.ok) return;
    ++errors;
    if (first_error == 0) first_error = ack.error ? ack.error->code.value_or(0) : 0;
  }

  client::loop& loop_;
  std::vector<std::unique_ptr<member>>& online_;
  pair_probe& pair_;
  const std::string room_;
  const room_options& how_;
  std::vector<int64_t> seen_;                 // newest mid, by member
  std::unordered_map<int64_t, size_t> open_;  // by stamp: how many have it
  std::string padding_;
  std::string body_;
  bool sending_ = false;
  size_t turn_ = 0;
  int64_t next_due_ = 0;
  int64_t pair_due_ = 0;  // 0: not yet
  int64_t next_id_ = now_ns();
};

struct counts {
  double messages = 0, rows = 0, statements = 0;
};
counts counts_of(const setting& with) {
  if (!with.counter) return {};
  return {with.counter("tern_storage_messages_total"), with.counter("tern_storage_batch_rows_sum"),
          with.counter("tern_storage_statements_total")};
}

void fill_costs(report& made, const setting& with, const room_run& run, const counts& before, const counts& after) {
  double ours = 0;
  for (const watched& one : with.processes) {
    const double each = made.costs[one.name].microseconds_per_operation;
    if (!one.with_children) ours += each;  // databases are shown apart
    made.values["cpu_us_per_recipient_" + one.name] = each;
  }
  made.values["cpu_us_per_recipient"] = ours;
  made.units["cpu_us_per_recipient"] = "all service processes";
  if (!with.counter || run.sent == 0) return;
  const auto per_message = [&run](double much) { return much / static_cast<double>(run.sent); };
  made.values["history_rows_per_message"] =
      per_message(after.messages - before.messages - static_cast<double>(run.pair().receipt_latency.count()));
  made.values["rows_per_message"] = per_message(after.rows - before.rows);
  made.units["rows_per_message"] = "with positions of members";
  made.values["statements_per_message"] = per_message(after.statements - before.statements);
}

void fill_report(report& made, const room_run& run, const room_options& how) {
  auto& values = made.values;
  values["members"] = static_cast<double>(how.members);
  values["online"] = static_cast<double>(how.online);
  values["sent"] = static_cast<double>(run.sent);
  values["reached_everybody"] = static_cast<double>(run.completed);
  values["receipts_per_second"] = static_cast<double>(run.receipts) / made.seconds;
  values["deliveries_per_second"] = static_cast<double>(run.deliveries) / made.seconds;
  values["errors"] = static_cast<double>(run.errors);
  values["out_of_order"] = static_cast<double>(run.out_of_order);
  values["repeated"] = static_cast<double>(run.repeated);
  values["connections_lost"] = static_cast<double>(run.lost_connections);
  made.latencies["receipt"] = run.receipt_latency;
  made.latencies["delivery"] = run.delivery_latency;
  made.latencies["last_receiver"] = run.last_latency;
  if (run.errors > 0) made.notes.push_back("first error answered: " + std::to_string(run.first_error));
  if (run.lost_connections > 0) {
    made.notes.push_back(std::to_string(run.lost_connections) + " connections lost: " + run.first_loss);
  }
}

void fill_pair(report& made, const histogram& lone) {
  if (lone.count() == 0) return;
  const auto ratio = [&](double part) {
    return static_cast<double>(made.latencies["receipt"].percentile(part)) /
           static_cast<double>(lone.percentile(part));
  };
  made.values["receipt_p99_of_1_to_1"] = ratio(0.99);
  made.units["receipt_p99_of_1_to_1"] = "receipt p99 divided by that of 1:1 messages sent in between";
  made.values["receipt_p50_of_1_to_1"] = ratio(0.5);
  made.latencies["receipt_1_to_1"] = lone;
}

result<void> measure(report& made, client::loop& loop, const setting& with, room_run& run, const room_options& how) {
  const auto run_for = [&](double seconds) {
    loop.run_until([] { return false; }, std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000)));
  };
  run.start();
  run_for(how.warmup_seconds);
  run.stop_sending();
  if (!loop.run_until([&] { return run.open() <= run.errors; }, 30s) || run.open() > 0) {
    return error{errc::deadline, "room: a message of the warm-up did not reach everybody"};
  }
  run_for(3);  // acknowledgements and positions of the warm-up are not measured
  run.reset_counts();
  const auto before = counts_of(with);
  const cost_meter meter(with);
  const auto began = steady::now();
  run.start();
  run_for(how.seconds);
  run.stop_sending();
  if (!loop.run_until([&] { return run.open() <= run.errors; }, 30s) || run.open() > 0) {
    made.notes.push_back(std::to_string(run.open()) + " messages did not reach everybody");
  }
  made.seconds = std::chrono::duration<double>(steady::now() - began).count();
  run_for(3);  // acknowledgements and positions belong to the cost of a message
  meter.finish(made, static_cast<double>(run.deliveries));
  fill_report(made, run, how);
  fill_costs(made, with, run, before, counts_of(with));
  return {};
}

}  // namespace

result<report> run_room(const setting& with, const room_options& how) {
  if (how.online < 2 || how.members < how.online) return error{errc::bad_parameter, "room: members >= online >= 2"};
  auto floor = run_send_floor({how.online, how.body_bytes + 60, 1.5});
  if (!floor) return floor.error();
  auto accounts = make_accounts(with.where, with.prefix, how.members, with.progress);
  if (!accounts) return accounts.error();
  std::vector<std::string> absent;
  for (size_t i = how.online; i < how.members; ++i) absent.push_back((*accounts)[i].node);
  if (std::find(absent.begin(), absent.end(), "") != absent.end()) {
    return error{errc::bad_parameter, "room: with members off line the accounts must be new; choose another prefix"};
  }
  accounts->resize(how.online);
  client::loop loop;
  std::vector<std::unique_ptr<member>> online;
  if (auto done = log_in_all(loop, with.where, with.encoding, online, *accounts, 200, with.progress); !done) {
    return done.error();
  }
  report made;
  std::string room;
  {
    room_maker maker(loop, online, with.progress);
    const auto began = steady::now();
    auto named = maker.make();
    if (!named) return named.error();
    room = *named;
    if (auto done = maker.join_online(); !done) return done.error();
    if (auto done = maker.pull_in(std::move(absent)); !done) return done.error();
    const double seconds = std::chrono::duration<double>(steady::now() - began).count();
    made.values["joins_per_second"] = static_cast<double>(how.members) / seconds;
  }
  made.scenario = "room of " + std::to_string(how.members) + ", " + std::to_string(how.online) + " on line, " +
                  (how.rate > 0 ? std::to_string(how.rate).substr(0, 4) + " messages/s" : "one message at a time");
  auto pair = pair_probe::make(loop, with.where, with.encoding, with.prefix, with.progress);
  if (!pair) return pair.error();
  {
    room_run run(loop, online, **pair, room, how);
    if (auto done = measure(made, loop, with, run, how); !done) return done.error();
  }
  fill_pair(made, (*pair)->receipt_latency);
  const double least = floor->values["cpu_us_per_recipient"];
  made.values["floor_cpu_us_per_recipient"] = least;
  made.units["floor_cpu_us_per_recipient"] = "send() to as many sockets, in this run";
  made.values["ratio_to_floor"] = least > 0 ? made.values["cpu_us_per_recipient"] / least : 0;
  made.latencies["floor_last"] = floor->latencies["last_receiver"];
  return made;
}

}  // namespace tern::bench
