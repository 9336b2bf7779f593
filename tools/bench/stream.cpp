// Publishers and viewers of virtual rooms: what is delivered, how late, and what it costs; with viewers that stall.
#include <algorithm>
#include <cmath>
#include <random>

#include "tools/bench/costs.hpp"
#include "tools/bench/frame_account.hpp"
#include "tools/bench/live_rooms.hpp"
#include "tools/bench/memory_sampler.hpp"

namespace tern::bench {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

// To fill the kernel's buffers of those who stall; loopback gives a socket some megabytes.
constexpr size_t fill_frame_bytes = 32 * 1024;
constexpr double fill_bytes_per_viewer = 4.0 * (1 << 20);
constexpr double fill_bytes_per_second = 250e6;  // over all viewers
constexpr int stalled_receive_buffer = 128 * 1024;
constexpr int usual_receive_buffer = 1024 * 1024;

int64_t now_ns() { return steady::now().time_since_epoch().count(); }

struct publisher {
  member* self = nullptr;
  std::string room;
  uint64_t next_sequence = 0;
};

struct viewer {
  member* self = nullptr;
  size_t of = 0;  // publisher
  bool slow = false;
  frame_account account;
};

/// What a group of viewers has had in a span.
struct tally {
  uint64_t expected = 0, delivered = 0, missed = 0, stale = 0;
};

class stream_run {
 public:
  stream_run(client::loop& loop, std::vector<std::unique_ptr<member>>& members, const stream_options& how)
      : loop_(loop), members_(members), how_(how), publishers_(how.publishers) {
    viewers_.reserve(how.publishers * how.viewers);
    for (size_t i = 0; i < members.size(); ++i) {
      if (i < how.publishers) {
        publishers_[i].self = members[i].get();
      } else {
        viewers_.push_back({members[i].get(), (i - how.publishers) / how.viewers, false, {}});
      }
    }
    pick_slow();
  }
  ~stream_run() {
    for (auto& each : members_) {
      each->on_frame = {};
      each->on_answer = {};
      each->on_lost = {};
    }
  }

  result<void> make_rooms() {
    std::vector<live_request> create;
    for (const auto& each : publishers_) create.push_back({each.self, live_command::create});
    auto rooms = command_rooms(loop_, create, 50);
    if (!rooms) return rooms.error();
    for (size_t i = 0; i < publishers_.size(); ++i) publishers_[i].room = (*rooms)[i];
    std::vector<live_request> subscribe;
    for (const auto& each : viewers_) {
      subscribe.push_back({each.self, live_command::subscribe, publishers_[each.of].room, "", how_.binary});
    }
    if (auto done = command_rooms(loop_, subscribe, 200); !done) return done.error();
    watch();
    return {};
  }

  /// Sends frames of `bytes`, `rate` per second and publisher, evenly spread, until the next call or stop().
  void start(double rate, size_t bytes) {
    step_ = static_cast<int64_t>(1e9 / rate / static_cast<double>(publishers_.size()));
    body_.assign(bytes, 'x');
    next_due_ = now_ns();
    const auto generation = ++generation_;
    tick(generation);
  }
  void stop() { ++generation_; }

  /// Accounts of those who read begin anew with the next frame; of the slow ones when `slow_too`.
  void open_span(bool slow_too) {
    span_start_ = total_sent();
    for (auto& each : viewers_) {
      if (!each.slow || slow_too) each.account.open(publishers_[each.of].next_sequence);
    }
    latency.clear();
  }
  /// Frames of the span so far.
  uint64_t frames() const { return total_sent() - span_start_; }

  tally count(bool slow) const {
    tally sum;
    for (const auto& each : viewers_) {
      if (each.slow != slow) continue;
      sum.delivered += each.account.delivered();
      sum.missed += each.account.missed(publishers_[each.of].next_sequence);
      sum.stale += each.account.stale();
    }
    sum.expected = sum.delivered + sum.missed;
    return sum;
  }
  /// Everybody on line has the newest frame.
  bool caught_up() const {
    return std::all_of(viewers_.begin(), viewers_.end(), [this](const viewer& each) {
      return !each.self->online() || each.account.expected_next() >= publishers_[each.of].next_sequence;
    });
  }
  /// Everybody who reads has every frame.
  bool all_there() const { return count(false).missed == 0; }
  size_t lost(bool slow) const {
    return static_cast<size_t>(std::count_if(viewers_.begin(), viewers_.end(), [&](const viewer& each) {
      return each.slow == slow && !each.self->online();
    }));
  }
  size_t slow_viewers() const {
    return static_cast<size_t>(
        std::count_if(viewers_.begin(), viewers_.end(), [](const viewer& each) { return each.slow; }));
  }
  /// The slow ones stop, or go on, reading.
  void stall(bool stalled) {
    for (auto& each : viewers_) {
      if (!each.slow || !each.self->online()) continue;
      auto& transport = each.self->terminal().transport();
      transport.limit_receive_buffer(stalled ? stalled_receive_buffer : usual_receive_buffer);
      transport.pause_reading(stalled);
    }
  }

  uint64_t errors = 0;
  int32_t first_error = 0;
  std::string first_loss;
  histogram latency;  // of those who read

 private:
  /// The same ones each time, spread over rooms and gateways.
  void pick_slow() {
    std::vector<size_t> order(viewers_.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), std::mt19937(1));
    const auto many = static_cast<size_t>(std::lround(how_.slow_fraction * static_cast<double>(order.size())));
    for (size_t i = 0; i < std::min(many, order.size()); ++i) viewers_[order[i]].slow = true;
  }

  void watch() {
    for (auto& each : viewers_) {
      each.self->on_frame = [this, &each](member&, std::string_view room, std::string_view body) {
        received(each, room, body);
      };
      each.self->on_lost = [this](member&, std::string_view why) {
        if (first_loss.empty()) first_loss = why;
      };
    }
    for (auto& each : publishers_) {
      each.self->on_answer = [this](member&, const wire::tim_ack& ack) {
        if (ack.ok) return;
        ++errors;
        if (first_error == 0) first_error = ack.error ? ack.error->code.value_or(0) : 0;
      };
    }
  }

  void received(viewer& by, std::string_view room, std::string_view body) {
    const auto stamp = read_stamp(body);
    if (!stamp || room != publishers_[by.of].room) return;
    if (by.account.take(stamp->sequence) && !by.slow) latency.add(now_ns() - stamp->due_ns);
  }

  /// Open loop: what is due is sent, whatever has come of what was sent before; latency counts from the due time.
  void tick(uint64_t generation) {
    if (generation != generation_) return;
    for (const auto now = now_ns(); next_due_ <= now; next_due_ += step_) send_one(next_due_);
    loop_.after(std::chrono::nanoseconds(std::max<int64_t>(next_due_ - now_ns(), 0)),
                [this, generation] { tick(generation); });
  }

  void send_one(int64_t due) {
    auto& from = publishers_[turn_++ % publishers_.size()];
    if (!from.self->online()) return;
    put_stamp({due, from.next_sequence++}, body_);
    if (how_.binary) return from.self->terminal().send_big_data(wire::frame_type::bigbinarystream, from.room, body_);
    wire::tim_stream frame;
    frame.vnode = from.room;
    frame.dtype = 1;
    frame.body = body_;
    from.self->terminal().send(wire::frame_type::stream, frame);
  }

  uint64_t total_sent() const {
    uint64_t sum = 0;
    for (const auto& each : publishers_) sum += each.next_sequence;
    return sum;
  }

  client::loop& loop_;
  std::vector<std::unique_ptr<member>>& members_;
  const stream_options& how_;
  std::vector<publisher> publishers_;
  std::vector<viewer> viewers_;
  std::string body_;
  uint64_t generation_ = 0, span_start_ = 0;
  size_t turn_ = 0;
  int64_t step_ = 0, next_due_ = 0;
};

/// Bytes of the WebSocket message a viewer gets for a frame.
size_t message_bytes(const stream_options& how, wire::encoding encoding) {
  const std::string node(11, 'x');  // of a virtual room, of an account
  std::string payload;
  const std::string body(how.frame_bytes, 'x');
  if (how.binary) {
    payload = node + "|" + body;
  } else {
    wire::tim_stream frame;
    frame.id = now_ns();
    frame.vnode = node;
    frame.dtype = 1;
    frame.body = body;
    frame.from_node = node;
    wire::encode(encoding, frame, payload);
  }
  const size_t size = payload.size() + 1;
  return size + (size < 126 ? 2 : size <= 0xffff ? 4 : 10);
}

class stream_scenario {
 public:
  stream_scenario(const setting& with, const stream_options& how) : with_(with), how_(how) {
    made_.scenario = "stream: " + std::to_string(how.publishers) + (how.publishers == 1 ? " room x " : " rooms x ") +
                     std::to_string(how.viewers) + " viewers, " + std::to_string(static_cast<int64_t>(how.rate)) +
                     " frames/s of " + std::to_string(how.frame_bytes) + " bytes each" +
                     (how.binary ? ", binary" : "");
  }

  result<report> run() {
    if (auto done = floors(); !done) return done.error();
    auto accounts = make_accounts(with_.where, with_.prefix, how_.publishers * (1 + how_.viewers), with_.progress);
    if (!accounts) return accounts.error();
    loop_.be_punctual();
    if (auto done = log_in_all(loop_, with_.where, with_.encoding, members_, *accounts, 200, with_.progress); !done) {
      return done.error();
    }
    stream_run run(loop_, members_, how_);
    if (auto done = run.make_rooms(); !done) return done.error();
    if (with_.progress) with_.progress(made_.scenario);
    everybody_reads(run);
    if (run.slow_viewers() > 0) some_stall(run);
    if (run.errors > 0) {
      made_.notes.push_back(std::to_string(run.errors) +
                            " errors answered, the first: " + std::to_string(run.first_error));
    }
    if (!run.first_loss.empty()) made_.notes.push_back("first connection lost: " + run.first_loss);
    return std::move(made_);
  }

 private:
  void run_for(double seconds) {
    loop_.run_until([] { return false; }, std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000)));
  }
  double mebibytes() const { return static_cast<double>(memory_of(with_.processes).pss_bytes) / (1 << 20); }

  /// The same messages to the same number of sockets at the same pace, and as fast as they are taken.
  result<void> floors() {
    send_floor_options least{.connections = how_.publishers * how_.viewers,
                             .bytes = message_bytes(how_, with_.encoding),
                             .seconds = std::min(3.0, how_.seconds),
                             .rate = how_.rate * static_cast<double>(how_.publishers),
                             .group = how_.viewers};
    auto paced = run_send_floor(least);
    if (!paced) return paced.error();
    least.rate = 0;
    auto fast = run_send_floor(least);
    if (!fast) return fast.error();
    floor_us_ = paced->values["cpu_us_per_recipient"];
    fast_floor_us_ = fast->values["cpu_us_per_recipient"];
    made_.latencies["floor_last"] = paced->latencies["last_receiver"];
    return {};
  }

  /// Drains what is under way, at most for some seconds: what has not come then was dropped.
  void finish(stream_run& run) {
    run.stop();
    loop_.run_until([&] { return run.all_there(); }, 3s);
  }

  void everybody_reads(stream_run& run) {
    auto& values = made_.values;
    run.start(how_.rate, how_.frame_bytes);
    run_for(how_.warmup_seconds);
    values["memory_before_mib"] = mebibytes();
    run.open_span(true);
    const cost_meter meter(with_);
    const auto began = steady::now();
    run_for(how_.seconds);
    made_.seconds = std::chrono::duration<double>(steady::now() - began).count();
    values["frames_sent"] = static_cast<double>(run.frames());
    finish(run);
    auto all = run.count(false);
    const auto slow = run.count(true);
    all.delivered += slow.delivered, all.missed += slow.missed, all.stale += slow.stale;
    meter.finish(made_, static_cast<double>(all.delivered));
    values["memory_after_mib"] = mebibytes();
    values["deliveries"] = static_cast<double>(all.delivered);
    values["deliveries_per_second"] = static_cast<double>(all.delivered) / made_.seconds;
    values["dropped"] = static_cast<double>(all.missed);
    made_.units["dropped"] = "holes in the numbers, over all viewers";
    values["repeated_or_out_of_order"] = static_cast<double>(all.stale);
    values["connections_lost"] = static_cast<double>(run.lost(false) + run.lost(true));
    made_.latencies["delivery"] = run.latency;
    double ours = 0;
    for (const auto& one : with_.processes) ours += made_.costs[one.name].microseconds_per_operation;
    values["cpu_us_per_delivery"] = ours;
    made_.units["cpu_us_per_delivery"] = "all watched processes";
    values["floor_cpu_us_per_delivery"] = floor_us_;
    made_.units["floor_cpu_us_per_delivery"] = "send() of the same message to as many sockets, at the same pace";
    values["floor_cpu_us_without_pace"] = fast_floor_us_;
    made_.units["floor_cpu_us_without_pace"] = "the same, each round as soon as the last was taken";
    values["ratio_to_floor"] = floor_us_ > 0 ? ours / floor_us_ : 0;
    values["ratio_to_floor_without_pace"] = fast_floor_us_ > 0 ? ours / fast_floor_us_ : 0;
  }

  /// Fills the kernel's buffers of those who stall with large frames, then measures as before.
  void some_stall(stream_run& run) {
    auto& values = made_.values;
    const double before = mebibytes();
    const double p99 = static_cast<double>(run.latency.percentile(0.99));
    memory_sampler memory(with_.processes);
    const auto began = steady::now();
    run.open_span(true);
    run.stall(true);
    const double viewers = static_cast<double>(how_.publishers * how_.viewers);
    const double rate =
        std::clamp(fill_bytes_per_second / viewers / static_cast<double>(fill_frame_bytes), 1.0, 200.0);
    run.start(rate, fill_frame_bytes);
    run_for(fill_bytes_per_viewer / static_cast<double>(fill_frame_bytes) / rate);
    run.start(how_.rate, how_.frame_bytes);
    run_for(how_.warmup_seconds);
    run.open_span(false);
    run_for(how_.seconds);
    finish(run);
    const auto others = run.count(false);
    const auto stalled = memory.between(began, steady::now());
    values["slow_viewers"] = static_cast<double>(run.slow_viewers());
    values["slow_closed"] = static_cast<double>(run.lost(true));
    values["slow_dropped_others"] = static_cast<double>(others.missed);
    values["slow_connections_lost_others"] = static_cast<double>(run.lost(false));
    values["slow_memory_before_mib"] = before;
    values["slow_memory_most_mib"] = static_cast<double>(stalled.most_pss) / (1 << 20);
    values["slow_memory_growth_mib"] = std::max(0.0, values["slow_memory_most_mib"] - before);
    const auto late = static_cast<double>(run.latency.percentile(0.99));
    made_.latencies["delivery_beside_slow"] = run.latency;
    run.stall(false);
    if (!loop_.run_until([&] { return run.caught_up(); }, 20s)) {
      made_.notes.emplace_back("slow viewers that read again did not get the newest frame within 20 s");
    }
    const auto slow = run.count(true);
    values["slow_expected"] = static_cast<double>(slow.expected);
    values["slow_delivered"] = static_cast<double>(slow.delivered);
    values["slow_dropped"] = static_cast<double>(slow.missed);
    made_.units["slow_dropped"] = "of the frames sent while they did not read, once they read again";
    values["slow_repeated_or_out_of_order"] = static_cast<double>(slow.stale);
    // Once more without them, so that a machine that changed its pace in between is seen on both sides.
    run.start(how_.rate, how_.frame_bytes);
    run_for(how_.warmup_seconds);
    run.open_span(true);
    run_for(how_.seconds);
    finish(run);
    made_.latencies["delivery_after_slow"] = run.latency;
    const double without = (p99 + static_cast<double>(run.latency.percentile(0.99))) / 2;
    values["slow_p99_of_without"] = without > 0 ? late / without : 0;
    made_.units["slow_p99_of_without"] = "the others' p99 divided by theirs when all read (mean of before and after)";
  }

  const setting& with_;
  const stream_options& how_;
  report made_;
  double floor_us_ = 0, fast_floor_us_ = 0;
  client::loop loop_;
  std::vector<std::unique_ptr<member>> members_;
};

}  // namespace

result<report> run_stream(const setting& with, const stream_options& how) {
  if (how.publishers == 0 || how.viewers == 0 || how.rate <= 0) {
    return error{errc::bad_parameter, "stream: a publisher, a viewer and a rate above 0 are needed"};
  }
  if (how.frame_bytes < frame_stamp_bytes) {
    return error{errc::bad_parameter, "stream: frames have at least " + std::to_string(frame_stamp_bytes) + " bytes"};
  }
  return stream_scenario(with, how).run();
}

}  // namespace tern::bench
