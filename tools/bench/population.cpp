#include "tools/bench/population.hpp"

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

namespace tern::bench {
namespace {

using namespace std::chrono_literals;

constexpr size_t blocking_threads = 8;
constexpr int attempts = 20;  // of one request that was refused for load
constexpr int32_t business_add = 4;

/// Runs `work(i)` for 0..count-1 on a few threads; the first error ends it.
result<void> in_parallel(size_t count, const std::string& what, const progress_function& progress,
                         const std::function<result<void>(size_t)>& work) {
  std::atomic<size_t> next{0};
  std::atomic<size_t> done{0};
  std::mutex mutex;
  result<void> outcome;
  const auto run = [&] {
    for (size_t i = next++; i < count; i = next++) {
      if (auto one = work(i); !one) {
        const std::lock_guard lock(mutex);
        if (outcome) outcome = one;
        next = count;
      }
      ++done;
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 0; i < std::min(blocking_threads, count); ++i) threads.emplace_back(run);
  while (done < count && next < count) {
    std::this_thread::sleep_for(200ms);
    if (progress) progress(what + " " + std::to_string(done) + "/" + std::to_string(count));
  }
  for (auto& thread : threads) thread.join();
  return outcome;
}

/// A reply that says "later" is asked again; others are final.
result<std::string> patiently(const std::function<result<std::string>()>& ask) {
  result<std::string> reply = errc::overload;
  for (int i = 0; i < attempts; ++i) {
    reply = ask();
    const auto code = reply.code();
    if (code != errc::overload && code != errc::unavailable && code != errc::rate_limited) break;
    std::this_thread::sleep_for(100ms);
  }
  return reply;
}

}  // namespace

result<std::vector<client::account>> make_accounts(const target& where, const std::string& prefix, size_t count,
                                                   const progress_function& progress) {
  std::vector<client::account> accounts(count);
  auto outcome = in_parallel(count, "accounts", progress, [&](size_t i) -> result<void> {
    accounts[i].name = prefix + std::to_string(i);
    accounts[i].password = "bench-" + accounts[i].name;
    auto node =
        patiently([&] { return client::register_account(where.gateway(i), accounts[i], wire::encoding::thrift); });
    if (node) {
      accounts[i].node = *node;
    } else if (node.code() != errc::exists) {
      return error{node.code(), "REGISTER " + accounts[i].name + ": " + std::string(to_string(node.code())) + " " +
                                    node.error().detail};
    }
    return {};
  });
  if (!outcome) return outcome.error();
  return accounts;
}

result<std::vector<std::string>> fetch_tokens(const target& where, const std::vector<client::account>& accounts,
                                              const progress_function& progress) {
  std::vector<std::string> tokens(accounts.size());
  auto outcome = in_parallel(accounts.size(), "tokens", progress, [&](size_t i) -> result<void> {
    auto token =
        patiently([&] { return client::fetch_token(where.gateway(i), accounts[i], wire::encoding::thrift); });
    if (!token) return error{token.code(), "TOKEN " + accounts[i].name + ": " + std::string(to_string(token.code()))};
    tokens[i] = *token;
    return {};
  });
  if (!outcome) return outcome.error();
  return tokens;
}

void member::start(client::loop& loop, const client::endpoint& to, wire::encoding encoding,
                   const client::account& who, const std::string& token) {
  who_ = who;
  token_ = token;
  state_ = state::connecting;
  terminal_ = std::make_unique<client::terminal>(loop, to, encoding, *this);
}

void member::on_open(client::terminal& self) {
  state_ = state::logging_in;
  wire::tim_auth auth;
  if (token_.empty()) {
    auth.name = who_.name;
    auth.pwd = who_.password;
  } else {
    auth.token = token_;
  }
  auth.resource = "bench";
  auth.termtyp = 1;
  self.login(auth);
}

void member::on_message(client::terminal&, const wire::tim_message& message, bool batch) {
  if (on_text) on_text(*this, message, batch);
}

void member::on_ack(client::terminal&, const wire::tim_ack& ack, bool logout) {
  if (logout) {
    why_ = "logged out by the server";
    return;
  }
  if (state_ != state::logging_in || ack.tim_type != static_cast<int8_t>(wire::frame_type::auth)) {
    if (on_answer) on_answer(*this, ack);
    return;
  }
  if (ack.ok) {
    state_ = state::online;
    node_ = ack.n.value_or("");
  } else {
    state_ = state::failed;
    why_ = "AUTH refused: " + std::to_string(ack.error ? ack.error->code.value_or(0) : 0);
  }
  if (on_result) on_result(*this);
}

void member::on_closed(client::terminal&, std::string_view why) {
  const bool before_login = state_ != state::online && state_ != state::failed;
  state_ = state::failed;
  if (why_.empty()) why_ = why;
  if (before_login) {
    if (on_result) on_result(*this);
  } else if (on_lost) {
    on_lost(*this, why);
  }
}

result<void> log_in_all(client::loop& loop, const target& where, wire::encoding encoding,
                        std::vector<std::unique_ptr<member>>& members, const std::vector<client::account>& accounts,
                        size_t concurrency, const progress_function& progress) {
  members.clear();
  size_t started = 0;
  size_t finished = 0;
  std::string failure;
  std::function<void()> start_next = [&] {
    if (started == accounts.size()) return;
    const auto i = started++;
    members.push_back(std::make_unique<member>());
    auto& fresh = *members.back();
    fresh.on_result = [&](member& self) {
      ++finished;
      if (!self.online() && failure.empty()) failure = self.why();
      start_next();
    };
    fresh.start(loop, where.gateway(i), encoding, accounts[i], {});
  };
  members.reserve(accounts.size());
  for (size_t i = 0; i < std::min(concurrency, accounts.size()); ++i) start_next();
  size_t shown = 0;
  const bool complete = loop.run_until(
      [&] {
        if (progress && finished >= shown + 500) {
          shown = finished;
          progress("logged in " + std::to_string(finished) + "/" + std::to_string(accounts.size()));
        }
        return finished == accounts.size() || !failure.empty();
      },
      std::chrono::milliseconds(30'000 + accounts.size() * 40));
  for (auto& each : members) each->on_result = {};
  if (!failure.empty()) return error{errc::unavailable, "log in: " + failure};
  if (!complete) return error{errc::deadline, "log in: " + std::to_string(finished) + " of all in time"};
  return {};
}

result<void> befriend_pairs(client::loop& loop, std::vector<std::unique_ptr<member>>& members,
                            const progress_function& progress) {
  const size_t pairs = members.size() / 2;
  size_t ready = 0;
  std::string failure;
  const auto ask = [](member& from, const member& to) {
    wire::tim_req request;
    request.rtype = business_add;
    request.node = to.node();
    from.terminal().send(wire::frame_type::business, request);
  };
  // A few hundred pairs at a time: thousands of requests at once would be refused for load.
  constexpr size_t pairs_at_once = 200;
  size_t asked = 0;
  const auto ask_next = [&] {
    if (asked >= pairs) return;
    const size_t i = asked++;
    ask(*members[2 * i], *members[2 * i + 1]);
  };
  const auto is_ready = [&] {
    ++ready;
    ask_next();
  };
  // Both ask. The second of the two requests makes them friends; both sides then see notice 5 or an answer "already".
  for (size_t i = 0; i < pairs; ++i) {
    auto& one = *members[2 * i];
    auto& other = *members[2 * i + 1];
    one.on_text = [&](member&, const wire::tim_message& message, bool) {
      if (message.bn_type == 5) is_ready();
    };
    one.on_answer = [&](member&, const wire::tim_ack& ack) {
      const int32_t code = ack.error ? ack.error->code.value_or(0) : 0;
      if (!ack.ok && code == static_cast<int32_t>(errc::repeated)) {
        is_ready();
      } else if (!ack.ok && failure.empty()) {
        failure = "add friend refused: " + std::to_string(code);
      }
    };
    // The other side asks back when it has been asked: then it is the second, and `one` gets notice 5.
    other.on_text = [&, ask, i](member& self, const wire::tim_message& message, bool) {
      if (message.bn_type == 4) ask(self, *members[2 * i]);
    };
  }
  for (size_t i = 0; i < pairs_at_once; ++i) ask_next();
  const bool complete = loop.run_until([&] { return ready >= pairs || !failure.empty(); },
                                       std::chrono::milliseconds(30'000 + pairs * 20));
  for (auto& each : members) {
    each->on_text = {};
    each->on_answer = {};
  }
  if (progress) progress("friends " + std::to_string(ready) + "/" + std::to_string(pairs));
  if (!failure.empty()) return error{errc::unavailable, failure};
  if (!complete)
    return error{errc::deadline, std::to_string(ready) + " of " + std::to_string(pairs) + " pairs became friends"};
  return {};
}

}  // namespace tern::bench
