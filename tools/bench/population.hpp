// The accounts a benchmark runs with: registered, made friends in pairs, logged in.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libs/client/terminal.hpp"

namespace tern::bench {

struct target {
  std::vector<client::endpoint> gateways;
  const client::endpoint& gateway(size_t i) const { return gateways[i % gateways.size()]; }
};

/// Prints a line of progress to stderr, at most a few per second.
using progress_function = std::function<void(const std::string&)>;

/// Registers `count` accounts named <prefix><i> (those that exist are taken as they are), several at a time.
/// Blocking.
result<std::vector<client::account>> make_accounts(const target& where, const std::string& prefix, size_t count,
                                                   const progress_function& progress);

/// One login token per account. Blocking.
result<std::vector<std::string>> fetch_tokens(const target& where, const std::vector<client::account>& accounts,
                                              const progress_function& progress);

/// A logged-in terminal of a scenario; the scenario's observer sees everything but the login.
class member : public client::terminal_observer {
 public:
  enum class state : uint8_t { idle, connecting, logging_in, online, failed };

  void start(client::loop& loop, const client::endpoint& to, wire::encoding encoding, const client::account& who,
             const std::string& token);

  state current() const noexcept { return state_; }
  bool online() const noexcept { return state_ == state::online; }
  const std::string& why() const noexcept { return why_; }
  const std::string& node() const noexcept { return node_; }
  client::terminal& terminal() { return *terminal_; }

  /// Called once when the login has an answer or the connection ends before.
  std::function<void(member&)> on_result;
  std::function<void(member&, const wire::tim_message&, bool batch)> on_text;
  std::function<void(member&, const wire::tim_ack&)> on_answer;
  std::function<void(member&, std::string_view)> on_lost;
  std::function<void(member&)> on_echo;  // of a ping
  /// A frame of a virtual room, in either form.
  std::function<void(member&, std::string_view room, std::string_view body)> on_frame;

 private:
  void on_open(client::terminal& self) override;
  void on_message(client::terminal& self, const wire::tim_message& message, bool batch) override;
  void on_ack(client::terminal& self, const wire::tim_ack& ack, bool logout) override;
  void on_pong(client::terminal&) override {
    if (on_echo) on_echo(*this);
  }
  void on_stream(client::terminal&, const wire::tim_stream& pushed) override {
    if (on_frame) on_frame(*this, pushed.vnode, pushed.body.value_or(""));
  }
  void on_big_data(client::terminal&, wire::frame_type type, std::string_view node, std::string_view data) override {
    if (on_frame && type == wire::frame_type::bigbinarystream) on_frame(*this, node, data);
  }
  void on_closed(client::terminal& self, std::string_view why) override;

  state state_ = state::idle;
  client::account who_;
  std::string token_;
  std::string node_;
  std::string why_;
  std::unique_ptr<client::terminal> terminal_;
};

/// Logs all members in, at most `concurrency` at a time. errc::unavailable with the first failure's reason.
result<void> log_in_all(client::loop& loop, const target& where, wire::encoding encoding,
                        std::vector<std::unique_ptr<member>>& members, const std::vector<client::account>& accounts,
                        size_t concurrency, const progress_function& progress);

/// Makes members 2i and 2i+1 friends, by both asking.
result<void> befriend_pairs(client::loop& loop, std::vector<std::unique_ptr<member>>& members,
                            const progress_function& progress);

}  // namespace tern::bench
