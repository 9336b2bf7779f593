#include "tests/chaos/crowd.hpp"

#include <algorithm>
#include <future>

namespace tern::chaos {

using namespace std::chrono_literals;

namespace {

constexpr size_t registering_threads = 8;
constexpr int register_attempts = 50;
constexpr auto ping_every = 20s;
constexpr auto talk_every = 20ms;
constexpr auto retry_first = 100ms;
constexpr auto retry_most = 1000ms;
constexpr int little_room = 4096;
constexpr int32_t business_add = 4;

}  // namespace

/// One terminal. On the loop's thread.
class crowd::member final : public client::terminal_observer {
 public:
  member(crowd& owner, size_t number)
      : owner_(owner), number_(number), next_(owner.how_.first_gateway ? 0 : number) {}

  void connect() {
    const auto& gateways = owner_.how_.gateways;
    terminal_ = std::make_unique<client::terminal>(owner_.loop_, gateways[next_ % gateways.size()],
                                                   wire::encoding::thrift, *this);
    ++next_;
  }
  void reconnect() {
    ours_ = true;
    if (terminal_) terminal_->abort("again");
  }
  void stall() {
    if (!online_) return;
    terminal_->transport().limit_receive_buffer(little_room);
    terminal_->transport().pause_reading(true);
  }
  void ask_friend(const std::string& node) {
    wire::tim_req request;
    request.rtype = business_add;
    request.node = node;
    if (online_) terminal_->send(wire::frame_type::business, request);
  }
  void write(const std::string& node, const std::string& text, int64_t id) {
    if (online_) terminal_->send_text(node, text, id);
  }
  void ping() {
    if (online_) terminal_->ping();
  }

 private:
  void on_open(client::terminal& self) override {
    const auto& account = owner_.accounts_[number_ / owner_.how_.terminals_each];
    wire::tim_auth auth;
    auth.name = account.name;
    auth.pwd = account.password;
    auth.resource = "chaos";
    auth.termtyp = static_cast<int8_t>(number_ % owner_.how_.terminals_each + 1);
    self.login(auth);
  }
  void on_message(client::terminal&, const wire::tim_message&, bool) override {}
  void on_ack(client::terminal& self, const wire::tim_ack& ack, bool logout) override {
    if (logout || online_ || ack.tim_type != static_cast<int8_t>(wire::frame_type::auth)) return;
    if (!ack.ok) return self.abort("AUTH refused");
    online_ = true;
    delay_ = retry_first;
    ++owner_.online_;
  }
  void on_closed(client::terminal&, std::string_view) override {
    if (online_) {
      --owner_.online_;
      if (!ours_ && !owner_.ending_) ++owner_.dropped_;
    }
    const bool at_once = ours_;
    online_ = false;
    ours_ = false;
    if (owner_.ending_) return;
    owner_.loop_.after(at_once ? 0ms : delay_, [this] { connect(); });
    delay_ = std::min<std::chrono::milliseconds>(delay_ * 2, retry_most);
  }

  crowd& owner_;
  size_t number_;
  size_t next_;
  bool online_ = false;
  bool ours_ = false;
  std::chrono::milliseconds delay_{retry_first};
  std::unique_ptr<client::terminal> terminal_;
};

crowd::crowd(crowd_options how) : how_(std::move(how)) {}

crowd::~crowd() {
  if (!thread_.joinable()) return;
  run_on_loop([this] {
    ending_ = true;
    talking_ = false;
    members_.clear();
  });
  loop_.stop();
  thread_.join();
}

void crowd::run_on_loop(const std::function<void()>& work) {
  std::promise<void> done;
  loop_.post([&] {
    work();
    done.set_value();
  });
  done.get_future().wait();
}

result<void> crowd::register_all() {
  for (size_t i = 0; i < how_.accounts; ++i) {
    const auto name = how_.prefix + std::to_string(i);
    accounts_.push_back({name, "secret-" + name, "", ""});
  }
  std::atomic<size_t> next{0};
  std::atomic<size_t> failed{0};
  const auto register_some = [&] {
    for (size_t i = next++; i < accounts_.size(); i = next++) {
      result<std::string> node = errc::unavailable;
      for (int tries = 0; tries < register_attempts && !node; ++tries) {
        if (tries > 0) std::this_thread::sleep_for(100ms);
        node =
            client::register_account(how_.gateways[i % how_.gateways.size()], accounts_[i], wire::encoding::thrift);
      }
      if (node) {
        accounts_[i].node = *node;
      } else {
        ++failed;
      }
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 0; i < registering_threads; ++i) threads.emplace_back(register_some);
  for (auto& each : threads) each.join();
  if (failed > 0) return error{errc::unavailable, std::to_string(failed) + " accounts could not be registered"};
  return {};
}

result<void> crowd::start(std::chrono::milliseconds limit) {
  if (auto done = register_all(); !done) return done;
  thread_ = std::thread([this] { loop_.run(); });
  run_on_loop([this] {
    for (size_t i = 0; i < terminals(); ++i) {
      members_.push_back(std::make_unique<member>(*this, i));
      // In the order of a queue at the door: all of them at one moment is another case.
      loop_.after(std::chrono::milliseconds(i / 2), [one = members_.back().get()] { one->connect(); });
    }
    const auto again = std::make_shared<std::function<void()>>();
    *again = [this, again] {
      if (ending_) return;
      for (auto& each : members_) each->ping();
      loop_.after(ping_every, [again] { (*again)(); });
    };
    loop_.after(ping_every, [again] { (*again)(); });
  });
  if (!wait_online(terminals(), limit)) {
    return error{errc::deadline, "only " + std::to_string(online_) + " of the crowd logged in"};
  }
  if (!how_.pairs) return {};
  run_on_loop([this] {
    for (size_t i = 0; i < members_.size(); ++i)
      members_[i]->ask_friend(accounts_[(i / how_.terminals_each) ^ 1U].node);
  });
  return {};
}

bool crowd::wait_online(size_t count, std::chrono::milliseconds limit) const {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (online_ < count) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(10ms);
  }
  return true;
}

void crowd::stall_and_talk(double messages_per_second, size_t bytes) {
  run_on_loop([&] {
    for (size_t i = 1; i < members_.size(); i += 2) members_[i]->stall();
    rate_ = messages_per_second;
    text_ = std::string(bytes, 'x');
    talking_ = true;
    talk(0);
  });
}

void crowd::talk(double carried) {
  if (!talking_) return;
  double due = carried + rate_ * std::chrono::duration<double>(talk_every).count();
  for (; due >= 1; due -= 1, next_writer_ += 2) {
    const auto writer = next_writer_ % members_.size();
    members_[writer]->write(accounts_[writer ^ 1U].node, text_, ++next_id_);
  }
  loop_.after(talk_every, [this, due] { talk(due); });
}

void crowd::stop_talk() {
  run_on_loop([this] { talking_ = false; });
}

void crowd::reconnect_all() {
  run_on_loop([this] {
    for (auto& each : members_) each->reconnect();
  });
}

}  // namespace tern::chaos
