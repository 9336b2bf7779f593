// One terminal of a person, with its present connection.
#pragma once

#include <algorithm>

#include "tests/verify/person.hpp"

namespace tern::verify {

inline constexpr std::chrono::milliseconds reconnect_first{100};
inline constexpr std::chrono::milliseconds reconnect_most{2000};

inline std::string_view node_of(const wire::opt<wire::tid>& tid) { return tid ? tid->node : std::string_view{}; }

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
  /// The connection ends; the next one begins after the nap.
  void nap(std::chrono::milliseconds length) {
    if (!online_) return;
    delay_ = length;
    terminal_->abort("a nap");
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
    connection_ = owner_.shared_.seen.connections.size();
    owner_.shared_.seen.connections.push_back({owner_.account_.node, label(), name_, person::now(), 0});
    ask_offline();
  }

  void on_history(client::terminal&, const wire::tim_message_list& list) override { owner_.history_page(list); }
  void on_offline_end(client::terminal&) override { drained_ = true; }

  void on_closed(client::terminal&, std::string_view) override {
    const auto now = owner_.shared_.loop.now().time_since_epoch().count();
    const auto& how = owner_.owner_.how_;
    for (const auto index : received_) {
      auto& op = owner_.shared_.seen.receives[index];
      op.acknowledged = now - op.at > std::chrono::nanoseconds(op.room.empty() ? how.grace : how.room_grace).count();
    }
    received_.clear();
    if (online_) {
      --owner_.owner_.online_;
      owner_.shared_.seen.connections[connection_].ended = person::now();
    }
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
  size_t connection_ = 0;  // into history.connections, while on line
  bool online_ = false;
  bool drained_ = false;
  bool leaving_ = false;
  std::string name_;
  std::vector<size_t> received_;
  std::unique_ptr<client::terminal> terminal_;
};

}  // namespace tern::verify
