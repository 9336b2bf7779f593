#include <algorithm>
#include <charconv>

#include "tools/bench/costs.hpp"

namespace tern::bench {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

constexpr size_t most_under_way = 1024;  // messages of all together: more would be refused for load

/// Each even member writes to the odd one after it, which is away.
class writing {
 public:
  writing(client::loop& loop, std::vector<std::unique_ptr<member>>& members, const offline_options& how)
      : loop_(loop), members_(members), how_(how), lanes_(members.size() / 2) {
    window_ = std::clamp<size_t>(most_under_way / lanes_.size(), 1, how.window);
    padding_.assign(how.body_bytes > 8 ? how.body_bytes - 8 : 0, 'x');
    for (size_t i = 0; i < lanes_.size(); ++i) {
      auto& from = *members_[2 * i];
      from.on_text = [this, i](member&, const wire::tim_message&, bool) { receipt(i); };
      from.on_answer = [this](member&, const wire::tim_ack& ack) {
        if (!ack.ok && why_.empty()) why_ = "refused: " + std::to_string(ack.error ? ack.error->code.value_or(0) : 0);
      };
      from.on_lost = [this](member&, std::string_view why) {
        why_ = "a sender's connection was lost: " + std::string(why);
      };
    }
  }
  ~writing() {
    for (auto& each : members_) each->on_text = {}, each->on_answer = {}, each->on_lost = {};
  }

  result<void> run(const progress_function& progress) {
    // In a round of the loop: connections write at its end.
    loop_.after(1ms, [this] {
      for (size_t i = 0; i < lanes_.size(); ++i) fill(i);
    });
    const size_t all = lanes_.size() * how_.messages;
    while (receipts_ < all && why_.empty()) {
      const size_t before = receipts_;
      loop_.run_until([&] { return receipts_ == all || !why_.empty(); }, 5s);
      if (progress) progress("written " + std::to_string(receipts_) + "/" + std::to_string(all));
      if (receipts_ == before && why_.empty()) return error{errc::deadline, "no receipts for 5 s"};
    }
    return why_.empty() ? result<void>{} : result<void>{error{errc::unavailable, why_}};
  }

 private:
  struct lane {
    size_t sent = 0, receipts = 0;
  };
  void receipt(size_t i) {
    ++lanes_[i].receipts;
    ++receipts_;
    fill(i);
  }
  void fill(size_t i) {
    auto& at = lanes_[i];
    while (at.sent < how_.messages && at.sent - at.receipts < window_) {
      const auto text = std::to_string(++at.sent) + " " + padding_;
      members_[2 * i]->terminal().send_text(members_[2 * i + 1]->node(), text, static_cast<int64_t>(++next_id_));
    }
  }

  client::loop& loop_;
  std::vector<std::unique_ptr<member>>& members_;
  const offline_options& how_;
  std::vector<lane> lanes_;
  size_t window_;
  std::string padding_, why_;
  size_t receipts_ = 0;
  uint64_t next_id_ = static_cast<uint64_t>(steady::now().time_since_epoch().count());
};

/// Somebody who comes back and gets everything.
class returning {
 public:
  void start(client::loop& loop, const setting& with, size_t gateway, const client::account& who,
             const std::string& token) {
    began_ = steady::now();
    self_.on_result = [this](member& self) {
      logged_in = since();
      if (!self.online()) return fail(self.why());
      self.terminal().request_offline();
    };
    self_.on_text = [this](member&, const wire::tim_message& message, bool) { take(message); };
    self_.on_lost = [this](member&, std::string_view text) { fail(text); };
    self_.start(loop, with.where.gateway(gateway), with.encoding, who, token);
  }
  void close() {
    self_.on_lost = {};
    self_.terminal().abort("measured");
  }

  bool failed = false;
  std::string why;  // it failed
  size_t received = 0;
  size_t wrong = 0;                            // not the next one
  int64_t logged_in = 0, first = 0, last = 0;  // nanoseconds since the connection was begun

 private:
  void fail(std::string_view text) {
    failed = true;
    why = text;
  }
  int64_t since() const { return (steady::now() - began_).count(); }
  void take(const wire::tim_message& message) {
    if (message.od_type != 1 || !message.data_string) return;
    size_t number = 0;
    std::from_chars(message.data_string->data(), message.data_string->data() + message.data_string->size(), number);
    if (first == 0) first = since();
    last = since();
    wrong += number == received + 1 ? 0 : 1;
    ++received;
  }
  member self_;
  steady::time_point began_;
};

struct sums {
  size_t missing = 0, wrong = 0, failed = 0;
  std::string why;
  void add(const returning& one, size_t messages) {
    missing += messages - std::min(messages, one.received);
    wrong += one.wrong;
    failed += one.failed ? 1 : 0;
    if (why.empty()) why = one.why;
  }
};

/// Members of the odd numbers go away, and everybody else stays.
void send_away(client::loop& loop, std::vector<std::unique_ptr<member>>& members) {
  for (size_t i = 1; i < members.size(); i += 2) members[i]->terminal().abort("away");
  // Until the gateways have seen it and sessions know; what comes before that would be delivered to nobody.
  loop.run_until([] { return false; }, 1s);
}

}  // namespace

result<report> run_offline(const setting& with, const offline_options& how) {
  const size_t alone = std::min(how.alone, how.users);
  auto accounts = make_accounts(with.where, with.prefix, how.users * 2, with.progress);
  if (!accounts) return accounts.error();
  client::loop loop;
  loop.be_punctual();
  std::vector<std::unique_ptr<member>> members;
  if (auto done = log_in_all(loop, with.where, with.encoding, members, *accounts, 100, with.progress); !done) {
    return done.error();
  }
  if (auto done = befriend_pairs(loop, members, with.progress); !done) return done.error();
  send_away(loop, members);
  if (auto done = writing(loop, members, how).run(with.progress); !done) return done.error();
  for (size_t i = 0; i < members.size(); i += 2) members[i]->terminal().abort("done");
  loop.run_until([] { return false; }, 2s);  // until all that waits is known to wait

  std::vector<client::account> away;
  for (size_t i = 1; i < accounts->size(); i += 2) away.push_back((*accounts)[i]);
  auto tokens = fetch_tokens(with.where, away, with.progress);
  if (!tokens) return tokens.error();
  report made;
  made.scenario = "log in with " + std::to_string(how.messages) + " off-line messages";
  histogram login, first, all, first_together, all_together;
  sums total;
  std::vector<std::unique_ptr<returning>> back;
  for (size_t i = 0; i < alone; ++i) {
    auto& one = *back.emplace_back(std::make_unique<returning>());
    one.start(loop, with, i, away[i], (*tokens)[i]);
    loop.run_until([&] { return one.received >= how.messages || one.failed; }, 20s);
    loop.run_until([] { return false; }, 50ms);  // its last acknowledgements
    total.add(one, how.messages);
    login.add(one.logged_in);
    first.add(one.first);
    all.add(one.last);
    one.close();
  }
  const auto together = std::chrono::milliseconds(10'000 + 100 * how.users);
  cost_meter meter(with);
  const auto began = steady::now();
  for (size_t i = alone; i < how.users; ++i) {
    back.emplace_back(std::make_unique<returning>())->start(loop, with, i, away[i], (*tokens)[i]);
  }
  const auto finished = [&] {
    return std::all_of(back.begin() + static_cast<std::ptrdiff_t>(alone), back.end(),
                       [&](const auto& one) { return one->received >= how.messages || one->failed; });
  };
  loop.run_until(finished, together);
  made.seconds = std::chrono::duration<double>(steady::now() - began).count();
  size_t drained = 0;
  for (size_t i = alone; i < how.users; ++i) {
    total.add(*back[i], how.messages);
    drained += back[i]->received;
    first_together.add(back[i]->first);
    all_together.add(back[i]->last);
  }
  meter.finish(made, static_cast<double>(drained));
  made.values["users_together"] = static_cast<double>(how.users - alone);
  if (how.users > alone) made.values["drained_per_second"] = static_cast<double>(drained) / made.seconds;
  made.values["missing"] = static_cast<double>(total.missing);
  made.values["out_of_order_or_doubled"] = static_cast<double>(total.wrong);
  made.values["connections_failed"] = static_cast<double>(total.failed);
  made.latencies["alone: connecting to the answer to AUTH"] = login;
  made.latencies["alone: connecting to the first message"] = first;
  made.latencies["alone: connecting to the last message"] = all;
  if (how.users > alone) {
    made.latencies["together: connecting to the first message"] = first_together;
    made.latencies["together: connecting to the last message"] = all_together;
  }
  if (!total.why.empty()) made.notes.push_back("first failure: " + total.why);
  return made;
}

}  // namespace tern::bench
