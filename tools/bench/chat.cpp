#include <algorithm>
#include <cmath>
#include <cstring>
#include <unordered_map>

#include "tools/bench/costs.hpp"

namespace tern::bench {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

int64_t now_ns() { return steady::now().time_since_epoch().count(); }

/// One run: who has sent what, and what came back.
class chat_run {
 public:
  chat_run(client::loop& loop, std::vector<std::unique_ptr<member>>& members, const chat_options& how)
      : loop_(loop), members_(members), how_(how), lanes_(members.size()) {
    padding_.assign(how.body_bytes > stamp_bytes ? how.body_bytes - stamp_bytes : 0, 'x');
    for (size_t i = 0; i < members.size(); ++i) {
      lanes_[i].self = members[i].get();
      lanes_[i].peer = members[i ^ 1U]->node();
      members[i]->on_text = [this, i](member& self, const wire::tim_message& message, bool) {
        received(i, self, message);
      };
      members[i]->on_answer = [this, i](member&, const wire::tim_ack& ack) { answered(i, ack); };
      members[i]->on_lost = [this](member&, std::string_view why) {
        ++lost_connections;
        if (first_loss.empty()) first_loss = why;
      };
    }
  }

  ~chat_run() {
    for (auto& each : members_) {
      each->on_text = {};
      each->on_answer = {};
      each->on_lost = {};
    }
  }

  void start() {
    next_due_ = now_ns();
    if (how_.rate > 0) {
      tick();
    } else {
      for (size_t i = 0; i < lanes_.size(); ++i) fill(i);
    }
  }
  void stop_sending() { sending_ = false; }
  void reset_counts() {
    receipts = deliveries = errors = shed = sent = 0;
    receipt_latency.clear();
    delivery_latency.clear();
    wire_latency.clear();
    measured_from_ = written_ns_.size();
  }
  /// At a rate: that many of the messages sent since reset_counts() have not come.
  size_t missing() const { return how_.rate > 0 ? written_ns_.size() - measured_from_ - wire_latency.count() : 0; }
  size_t outstanding() const {
    size_t all = 0;
    for (const auto& each : lanes_) all += each.unanswered;
    return all;
  }

  uint64_t receipts = 0;
  uint64_t deliveries = 0;
  uint64_t errors = 0;
  uint64_t shed = 0;  // of the errors: 5104
  uint64_t sent = 0;
  uint64_t lost_connections = 0;
  std::string first_loss;
  int32_t first_error = 0;
  histogram receipt_latency;
  histogram delivery_latency;
  histogram wire_latency;  // at a rate: written to the socket to read from the other's

 private:
  struct lane {
    member* self = nullptr;
    std::string peer;
    size_t unanswered = 0;
  };
  static constexpr size_t time_bytes = 20;
  static constexpr size_t stamp_bytes = time_bytes + 11;

  static void append_digits(std::string& out, int64_t number, size_t digits) {
    const auto text = std::to_string(number);
    out.append(digits - std::min(digits, text.size()), '0').append(text).append(" ");
  }

  /// The body starts with the intended send time, 19 digits and a space, and the message's number, 10 and a space.
  void send_one(size_t i, int64_t intended) {
    auto& from = lanes_[i];
    if (!from.self->online()) return;
    body_.clear();
    append_digits(body_, intended, time_bytes - 1);
    append_digits(body_, static_cast<int64_t>(written_ns_.size()), stamp_bytes - time_bytes - 1);
    body_.append(padding_);
    if (how_.rate > 0) written_ns_.push_back(0);
    ++from.unanswered;
    ++sent;
    from.self->terminal().send_text(from.peer, body_, ++next_id_);
  }

  void fill(size_t i) {
    while (sending_ && lanes_[i].self->online() && lanes_[i].unanswered < how_.window) send_one(i, now_ns());
  }

  /// Open loop: what is due is sent, whatever is still unanswered; latency counts from the due time.
  void tick() {
    if (!sending_) return;
    const auto now = now_ns();
    const auto step = static_cast<int64_t>(1e9 / how_.rate);
    const size_t first = written_ns_.size();
    while (next_due_ <= now) {
      send_one(turn_++ / how_.burst % lanes_.size(), next_due_);
      next_due_ += step;
    }
    // Connections write at the end of the round, and this comes behind them.
    if (written_ns_.size() > first) {
      loop_.at_round_end([this, first] {
        std::fill(written_ns_.begin() + static_cast<ptrdiff_t>(first), written_ns_.end(), now_ns());
      });
    }
    const int64_t least = std::chrono::nanoseconds(how_.round).count();
    const int64_t most = std::max<int64_t>(least, 1'000'000);
    loop_.after(std::chrono::nanoseconds(std::clamp(next_due_ - now, least, most)), [this] { tick(); });
  }

  void received(size_t i, member& self, const wire::tim_message& message) {
    if (message.od_type != 1 || !message.data_string || message.data_string->size() < stamp_bytes) return;
    const auto intended = std::strtoll(message.data_string->data(), nullptr, 10);
    const bool own = message.from_tid && message.from_tid->node == self.node();
    if (!own) return delivered(intended, *message.data_string);
    ++receipts;
    receipt_latency.add(now_ns() - intended);
    if (lanes_[i].unanswered > 0) --lanes_[i].unanswered;
    if (how_.rate <= 0) fill(i);
  }

  void delivered(int64_t intended, std::string_view body) {
    ++deliveries;
    const int64_t now = now_ns();
    if (how_.rate <= 0) return delivery_latency.add(now - intended);
    const size_t number = std::strtoull(body.data() + time_bytes, nullptr, 10);
    if (number < measured_from_ || number >= written_ns_.size()) return;
    delivery_latency.add(now - intended);
    wire_latency.add(now - written_ns_[number]);
  }

  void answered(size_t i, const wire::tim_ack& ack) {
    if (ack.ok) return;
    ++errors;
    const int32_t code = ack.error ? ack.error->code.value_or(0) : 0;
    if (code == static_cast<int32_t>(errc::overload)) ++shed;
    if (first_error == 0) first_error = code;
    if (lanes_[i].unanswered > 0) --lanes_[i].unanswered;
    if (how_.rate > 0 || !sending_) return;
    loop_.after(10ms, [this, i] { fill(i); });  // refused for load: not at once again
  }

  client::loop& loop_;
  std::vector<std::unique_ptr<member>>& members_;
  const chat_options& how_;
  std::vector<lane> lanes_;
  std::string padding_;
  std::string body_;
  bool sending_ = true;
  size_t turn_ = 0;
  int64_t next_due_ = 0;
  int64_t next_id_ = now_ns();
  std::vector<int64_t> written_ns_;  // at a rate: of each message, by number
  size_t measured_from_ = 0;         // the first number that counts
};

void run_for(client::loop& loop, chat_run& run, double seconds, const progress_function& progress) {
  const auto end = steady::now() + std::chrono::duration<double>(seconds);
  while (steady::now() < end) {
    const auto before = run.receipts;
    const auto slice = std::min<double>(1.0, std::chrono::duration<double>(end - steady::now()).count());
    loop.run_until([] { return false; }, std::chrono::milliseconds(static_cast<int64_t>(slice * 1000) + 1));
    if (progress) {
      progress("chat " + std::to_string(static_cast<uint64_t>(static_cast<double>(run.receipts - before) / slice)) +
               " receipts/s, receipt p99 " +
               show_duration(static_cast<double>(run.receipt_latency.percentile(0.99))) + ", errors " +
               std::to_string(run.errors));
    }
  }
}

void fill_report(report& made, chat_run& run, const chat_options& how) {
  made.values["receipts_per_second"] = static_cast<double>(run.receipts) / made.seconds;
  made.values["deliveries_per_second"] = static_cast<double>(run.deliveries) / made.seconds;
  made.values["errors"] = static_cast<double>(run.errors);
  made.values["refused_5104"] = static_cast<double>(run.shed);
  made.values["connections_lost"] = static_cast<double>(run.lost_connections);
  if (how.rate > 0) made.values["sent_per_second"] = static_cast<double>(run.sent) / made.seconds;
  made.values["pairs"] = static_cast<double>(how.pairs);
  if (how.rate > 0) made.values["rate_asked"] = how.rate;
  made.latencies["receipt"] = run.receipt_latency;
  if (run.errors > 0) made.notes.push_back("first error answered: " + std::to_string(run.first_error));
  if (run.lost_connections > 0) {
    made.notes.push_back(std::to_string(run.lost_connections) + " connections lost: " + run.first_loss);
  }
}

}  // namespace

result<report> run_chat(const setting& with, const chat_options& how) {
  auto accounts = make_accounts(with.where, with.prefix, how.pairs * 2, with.progress);
  if (!accounts) return accounts.error();
  client::loop loop;
  if (how.round.count() == 0) loop.be_punctual();
  std::vector<std::unique_ptr<member>> members;
  if (auto done = log_in_all(loop, with.where, with.encoding, members, *accounts, 100, with.progress); !done) {
    return done.error();
  }
  if (how.stored) {
    if (auto done = befriend_pairs(loop, members, with.progress); !done) return done.error();
  }
  report made;
  made.scenario =
      how.rate > 0 ? "chat at " + std::to_string(static_cast<int64_t>(how.rate)) + "/s" : "chat, saturation";
  {
    chat_run run(loop, members, how);
    run.start();
    if (how.warmup_seconds > 0) {
      run_for(loop, run, how.warmup_seconds, with.progress);
      run.reset_counts();
    }
    cost_meter meter(with);
    const auto began = steady::now();
    run_for(loop, run, how.seconds, with.progress);
    made.seconds = std::chrono::duration<double>(steady::now() - began).count();
    meter.finish(made, static_cast<double>(run.receipts));
    fill_report(made, run, how);
    run.stop_sending();
    const bool quiet = loop.run_until([&] { return run.outstanding() == 0 && run.missing() == 0; }, 10s);
    if (!quiet) made.notes.push_back(std::to_string(run.outstanding()) + " messages never answered");
    made.latencies["delivery"] = run.delivery_latency;  // at a rate of all that were sent, whenever they came
    if (how.rate > 0) made.latencies["delivery, socket to socket"] = run.wire_latency;
  }
  return made;
}

}  // namespace tern::bench
