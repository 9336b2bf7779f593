// Many small rooms: whether a message costs more when there are more of them.
#include <algorithm>

#include "tools/bench/costs.hpp"

namespace tern::bench {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

constexpr int32_t business_new_room = 8;
constexpr int32_t business_apply = 9;
constexpr int32_t open_room = 2;
constexpr int32_t notice_joined = 10;

int64_t now_ns() { return steady::now().time_since_epoch().count(); }

/// The even member of each pair makes the pair's rooms, one after the other; the odd one joins them.
class rooms_run {
 public:
  rooms_run(client::loop& loop, std::vector<std::unique_ptr<member>>& members, const rooms_options& how)
      : loop_(loop), members_(members), how_(how), rooms_(members.size() / 2) {
    padding_.assign(how.body_bytes > stamp_bytes ? how.body_bytes - stamp_bytes : 0, 'x');
    for (size_t i = 0; i < members.size(); ++i) {
      members[i]->on_text = [this, i](member& self, const wire::tim_message& what, bool) { received(i, self, what); };
      members[i]->on_answer = [this, i](member&, const wire::tim_ack& ack) { answered(i, ack); };
    }
  }
  ~rooms_run() {
    for (auto& each : members_) {
      each->on_text = {};
      each->on_answer = {};
    }
  }

  result<void> make_rooms(const progress_function& progress) {
    for (size_t pair = 0; pair < rooms_.size(); ++pair) make_next(pair);
    size_t shown = 0;
    const bool done = loop_.run_until(
        [&] {
          if (progress && made_ >= shown + 1000) progress("rooms " + std::to_string(shown = made_));
          return made_ >= how_.rooms || errors > 0;
        },
        std::chrono::milliseconds(30'000 + how_.rooms * 20));
    if (errors > 0) return error{errc::unavailable, "a room was refused: " + std::to_string(first_error)};
    if (!done) return error{errc::deadline, std::to_string(made_) + " of " + std::to_string(how_.rooms) + " rooms"};
    return {};
  }

  void start() {
    sending_ = true;
    next_due_ = now_ns();
    tick();
  }
  void stop_sending() { sending_ = false; }
  void reset_counts() {
    deliveries = errors = sent = 0;
    delivery_latency.clear();
  }

  uint64_t deliveries = 0, errors = 0, sent = 0;
  int32_t first_error = 0;
  histogram delivery_latency;

 private:
  static constexpr size_t stamp_bytes = 20;

  void make_next(size_t pair) {
    // Pair p gets rooms p, p + pairs, p + 2 pairs, …
    if (pair + rooms_[pair].size() * rooms_.size() >= how_.rooms) return;
    wire::tim_req request;
    request.rtype = business_new_room;
    request.node = "bench";
    request.req_int = open_room;
    members_[2 * pair]->terminal().send(wire::frame_type::business, request);
  }

  void answered(size_t i, const wire::tim_ack& ack) {
    if (!ack.ok) {
      ++errors;
      if (first_error == 0) first_error = ack.error ? ack.error->code.value_or(0) : 0;
      return;
    }
    if (ack.t != business_new_room || !ack.n) return;
    joining_ = std::string(*ack.n);
    rooms_[i / 2].push_back(joining_);
    wire::tim_req request;
    request.rtype = business_apply;
    request.node = joining_;
    members_[i + 1]->terminal().send(wire::frame_type::business, request);
  }

  void received(size_t i, member& self, const wire::tim_message& message) {
    if (message.bn_type == notice_joined) {
      ++made_;
      return make_next(i / 2);
    }
    if (message.ms_type != 3 || !message.data_string || message.data_string->size() < stamp_bytes) return;
    if (message.from_tid && message.from_tid->node == self.node()) return;
    ++deliveries;
    delivery_latency.add(now_ns() - std::strtoll(message.data_string->data(), nullptr, 10));
  }

  void send_one(int64_t intended) {
    const size_t turn = turn_++;
    const size_t from = turn % members_.size();
    const auto& rooms = rooms_[from / 2];
    if (rooms.empty()) return;
    auto stamp = std::to_string(intended);
    stamp.insert(0, stamp_bytes - 1 - stamp.size(), '0');
    body_.assign(stamp).append(" ").append(padding_);
    wire::tim_message message;
    message.ms_type = 3;
    message.od_type = 1;
    message.id = ++next_id_;
    message.room_tid.emplace().node = rooms[turn / members_.size() % rooms.size()];
    message.data_string = body_;
    ++sent;
    members_[from]->terminal().send(wire::frame_type::message, message);
  }

  void tick() {
    if (!sending_) return;
    const auto now = now_ns();
    const auto step = static_cast<int64_t>(1e9 / how_.rate);
    for (; next_due_ <= now; next_due_ += step) send_one(next_due_);
    loop_.after(std::chrono::nanoseconds(std::min<int64_t>(next_due_ - now, 1'000'000)), [this] { tick(); });
  }

  client::loop& loop_;
  std::vector<std::unique_ptr<member>>& members_;
  const rooms_options& how_;
  std::vector<std::vector<std::string>> rooms_;  // by pair
  std::string padding_, body_, joining_;
  bool sending_ = false;
  size_t turn_ = 0, made_ = 0;
  int64_t next_due_ = 0;
  int64_t next_id_ = now_ns();
};

}  // namespace

result<report> run_rooms(const setting& with, const rooms_options& how) {
  if (how.rate <= 0) return error{errc::config, "rooms: a rate above 0 is needed"};
  auto accounts = make_accounts(with.where, with.prefix, how.pairs * 2, with.progress);
  if (!accounts) return accounts.error();
  client::loop loop;
  loop.be_punctual();
  std::vector<std::unique_ptr<member>> members;
  if (auto done = log_in_all(loop, with.where, with.encoding, members, *accounts, 100, with.progress); !done) {
    return done.error();
  }
  report made;
  made.scenario = std::to_string(how.rooms) + " rooms of two, " + std::to_string(static_cast<int64_t>(how.rate)) +
                  " messages/s in all";
  rooms_run run(loop, members, how);
  if (auto done = run.make_rooms(with.progress); !done) return done.error();
  const auto run_for = [&](double seconds) {
    loop.run_until([] { return false; }, std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000)));
  };
  run.start();
  // Every room is written to before: what its first message costs (its actors, its members' subscriptions) is paid
  // once.
  run_for(std::max(how.warmup_seconds, 1.2 * static_cast<double>(how.rooms) / how.rate));
  run.reset_counts();
  cost_meter meter(with);
  const auto began = steady::now();
  run_for(how.seconds);
  made.seconds = std::chrono::duration<double>(steady::now() - began).count();
  meter.finish(made, static_cast<double>(run.deliveries));
  made.values["deliveries_per_second"] = static_cast<double>(run.deliveries) / made.seconds;
  made.values["errors"] = static_cast<double>(run.errors);
  made.latencies["delivery"] = run.delivery_latency;
  run.stop_sending();
  run_for(0.5);
  return made;
}

}  // namespace tern::bench
