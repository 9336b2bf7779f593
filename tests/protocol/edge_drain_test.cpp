// A gateway gets rid of its clients: paced, with a reason to come back elsewhere, and after what they asked was
// answered.
#include <algorithm>
#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "tests/protocol/fake_cluster.hpp"

namespace tern::testing {
namespace {

using std::chrono::milliseconds;
using wire::encoding;
using wire::frame_type;

/// A session node that stores messages: each is answered with a receipt and confirmed a while after it came. Serves
/// any number of gateways. Thread-safe.
class storing_session {
 public:
  storing_session(rpc::network& network, milliseconds takes) : takes_(takes), worker_([this] { work(); }) {
    network.serve<rpc::attach_stream>("local:storing", [this](const rpc::peer&, sink out) {
      ++streams_;
      return std::make_shared<handler>(*this, std::move(out));
    });
  }
  ~storing_session() {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    worker_.join();
  }
  void wait_streams(size_t count) {
    const auto limit = std::chrono::steady_clock::now() + patience;
    while (streams_ < count && std::chrono::steady_clock::now() < limit) std::this_thread::sleep_for(milliseconds{2});
    ASSERT_GE(streams_, count);
  }
  /// How often each text came.
  std::map<std::string, size_t> stored() const {
    const std::lock_guard lock(mutex_);
    return stored_;
  }

 private:
  using sink = std::shared_ptr<rpc::sink<session::v1::SessionItem>>;
  struct pending {
    std::chrono::steady_clock::time_point due;
    sink out;
    session::v1::SessionItem item;
  };
  class handler final : public rpc::server_handler<rpc::attach_stream> {
   public:
    handler(storing_session& of, sink out) : of_(of), out_(std::move(out)) {}
    void on_items(std::vector<session::v1::GatewayItem>& items) override {
      for (const auto& each : items) of_.take(out_, each);
    }
    void on_down() override {}

   private:
    storing_session& of_;
    const sink out_;
  };

  void take(const sink& out, const session::v1::GatewayItem& what) {
    if (what.has_login()) {
      session::v1::SessionItem item;
      item.mutable_login_result()->set_conn(what.login().conn());
      item.mutable_login_result()->set_account(what.login().slot_key());
      out->send(std::move(item));
    }
    if (!what.has_frame()) return;
    wire::arena memory;
    const auto message = wire::decode<wire::tim_message>(encoding::thrift, what.frame().payload(), memory);
    if (!message || !message->data_string) return;
    const std::lock_guard lock(mutex_);
    pending next{std::chrono::steady_clock::now() + takes_, out, {}};
    session::v1::Out& receipt = *next.item.mutable_out();
    receipt.set_conn(what.frame().conn());
    receipt.set_type(static_cast<uint32_t>(frame_type::message));
    receipt.set_payload(message_bytes(++mids_, *message->data_string));
    receipt.set_confirm(what.frame().seq());
    *receipt.mutable_ref() = message_ref(1, mids_);
    receipt.mutable_ref()->set_kind(session::v1::DeliveryRef::RECEIPT);
    ++stored_[std::string(*message->data_string)];
    waiting_.push_back(std::move(next));
    changed_.notify_all();
  }

  void work() {
    std::unique_lock lock(mutex_);
    while (!over_) {
      if (waiting_.empty()) {
        changed_.wait(lock);
        continue;
      }
      if (waiting_.front().due > std::chrono::steady_clock::now()) {
        changed_.wait_until(lock, waiting_.front().due);
        continue;
      }
      pending next = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      next.out->send(std::move(next.item));
      lock.lock();
    }
  }

  const milliseconds takes_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<pending> waiting_;
  std::map<std::string, size_t> stored_;
  uint64_t mids_ = 0;
  std::atomic<size_t> streams_{0};
  bool over_ = false;
  std::thread worker_;
};

/// A user who talks, and comes back at the other gateway when told to go.
class talker {
 public:
  talker(size_t number, uint16_t here, uint16_t elsewhere) : number_(number), elsewhere_(elsewhere) { log_in(here); }

  /// Sends something now and then, and takes what comes.
  void turn(bool talks) {
    if (talks && !client_->ws().ended()) {
      client_->send_bytes(frame_type::message,
                          message_bytes(0, std::to_string(number_) + "." + std::to_string(++said_)));
    }
    while (const auto frame = client_->next(milliseconds{0})) {
      if (frame->type != frame_type::message) continue;
      const auto message = client_->read<wire::tim_message>(*frame);
      if (message.data_string) receipts.emplace(*message.data_string);
    }
    if (!client_->ws().ended()) return;
    code = client_->ws().wait_close(milliseconds{0});
    closed = std::chrono::steady_clock::now();
    log_in(elsewhere_);
  }
  bool has_moved() const noexcept { return code.has_value(); }

  std::set<std::string> receipts;
  std::optional<uint16_t> code;
  std::chrono::steady_clock::time_point closed;
  bool logged_on = true;

 private:
  void log_in(uint16_t port) {
    client_ = std::make_unique<tim_client>(port, encoding::thrift);
    logged_on = client_->login("user" + std::to_string(number_), "secret").ok && logged_on;
  }

  const size_t number_;
  const uint16_t elsewhere_;
  std::unique_ptr<tim_client> client_;
  size_t said_ = 0;
};

class edge_drain : public edge_test {
 protected:
  void start_storing(milliseconds takes) {
    storing = std::make_unique<storing_session>(network(), takes);
    start(false);
    routing.publish("storing", 1, {"storing"});
  }
  void TearDown() override {
    stop();
    storing.reset();
  }
  std::unique_ptr<storing_session> storing;
};

TEST_F(edge_drain, send_250_talking_clients_to_the_other_gateway_at_the_pace_and_lose_nothing_that_was_acknowledged) {
  options.close_per_second = 100;
  options.threads = 2;
  options.max_half_open_per_address = 10'000;
  start_storing(milliseconds{20});
  const uint16_t second = start_another();
  storing->wait_streams(2);
  std::vector<std::unique_ptr<talker>> all;
  for (size_t i = 0; i < 500; ++i) {
    all.push_back(std::make_unique<talker>(i, i % 2 == 0 ? port() : second, second));
  }
  std::atomic<bool> over{false};
  std::vector<std::thread> speakers;
  for (size_t part = 0; part < 4; ++part) {
    speakers.emplace_back([&, part] {
      for (size_t round = 0; !over; ++round) {
        for (size_t i = part; i < all.size(); i += 4) all[i]->turn((round + i) % 8 == 0);
        std::this_thread::sleep_for(milliseconds{10});
      }
    });
  }
  const auto began = std::chrono::steady_clock::now();
  drain(milliseconds{20'000});
  const auto took = std::chrono::steady_clock::now() - began;
  EXPECT_EQ(metric("tern_gateway_draining"), 1);
  EXPECT_FALSE(ready());
  std::this_thread::sleep_for(milliseconds{300});
  over = true;
  for (auto& each : speakers) each.join();
  for (int i = 0; i < 20; ++i) {
    for (auto& each : all) each->turn(false);
    std::this_thread::sleep_for(milliseconds{5});
  }
  EXPECT_LT(took, milliseconds{20'000});
  EXPECT_GE(took, milliseconds{2200});  // 250 at 100 per second
  std::vector<std::chrono::steady_clock::time_point> times;
  std::set<std::string> receipts;
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_TRUE(all[i]->logged_on);
    EXPECT_EQ(all[i]->has_moved(), i % 2 == 0) << i;
    if (all[i]->has_moved()) {
      EXPECT_EQ(all[i]->code, 1001);
      times.push_back(all[i]->closed);
    }
    receipts.insert(all[i]->receipts.begin(), all[i]->receipts.end());
  }
  std::sort(times.begin(), times.end());
  for (size_t i = 0; i < times.size(); ++i) {
    const auto in_a_second =
        std::upper_bound(times.begin(), times.end(), times[i] + milliseconds{950}) - times.begin();
    EXPECT_LE(static_cast<size_t>(in_a_second) - i, 125U);  // 100, and what the client saw late
  }
  // Whatever the gateway took was answered before it let the client go.
  const auto stored = storing->stored();
  EXPECT_EQ(receipts.size(), stored.size());
  for (const auto& [text, times_stored] : stored) {
    EXPECT_TRUE(receipts.contains(text)) << text;
    EXPECT_EQ(times_stored, 1U) << text;
  }
}

TEST_F(edge_drain, answer_what_was_asked_before_the_client_is_closed) {
  start_storing(milliseconds{400});
  storing->wait_streams(1);
  tim_client client(port(), encoding::thrift);
  ASSERT_TRUE(client.login("alice", "secret").ok);
  client.send_bytes(frame_type::message, message_bytes(0, "the last word"));
  client.send_bytes(frame_type::ping, {});
  ASSERT_TRUE(client.next(frame_type::ping));
  std::optional<server_frame> receipt;
  std::optional<uint16_t> code;
  std::thread reader([&] {
    receipt = client.next(frame_type::message);
    code = client.ws().wait_close();
  });
  drain(milliseconds{10'000});
  reader.join();
  EXPECT_TRUE(receipt);
  EXPECT_EQ(code, 1001);
}

TEST_F(edge_drain, close_a_client_that_never_comes_to_rest_when_its_time_is_over) {
  options.drain_client = milliseconds{300};
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  client.send_bytes(frame_type::message, message_bytes(0, "nobody answers"));
  session.expect_frame();
  std::optional<uint16_t> code;
  std::thread reader([&] { code = client.ws().wait_close(); });
  const auto began = std::chrono::steady_clock::now();
  drain(milliseconds{20'000});
  const auto took = std::chrono::steady_clock::now() - began;
  reader.join();
  EXPECT_EQ(code, 1001);
  EXPECT_GE(took, milliseconds{300});
  EXPECT_LT(took, milliseconds{5000});
}

TEST_F(edge_drain, close_everybody_in_time_however_slow_the_pace) {
  options.close_per_second = 1;
  options.drain_client = milliseconds{60'000};
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  client.send_bytes(frame_type::message, message_bytes(0, "nobody answers"));
  session.expect_frame();
  std::optional<uint16_t> code;
  std::thread reader([&] { code = client.ws().wait_close(); });
  const auto began = std::chrono::steady_clock::now();
  drain(milliseconds{1500});
  EXPECT_LE(std::chrono::steady_clock::now() - began, milliseconds{1700});
  reader.join();
  EXPECT_EQ(code, 1001);
}

TEST_F(edge_drain, take_clients_for_the_notice_although_not_ready) {
  options.drain_notice = milliseconds{800};
  start();
  std::thread drainer([&] { drain(milliseconds{20'000}); });
  while (ready()) std::this_thread::sleep_for(milliseconds{1});
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  EXPECT_EQ(client.ws().wait_close(), 1001);
  drainer.join();
  EXPECT_FALSE(raw_socket(port()).is_open());
}

TEST_F(edge_drain, go_and_come_back_by_an_operators_order) {
  options.drain_notice = milliseconds{0};
  start();
  EXPECT_TRUE(ready());
  for (int round = 0; round < 2; ++round) {
    uint64_t conn = 0;
    auto client = logged_on(encoding::json, conn);
    routing.drain(true);
    EXPECT_EQ(client.ws().wait_close(), 1001);
    EXPECT_FALSE(ready());
    EXPECT_EQ(metric("tern_gateway_draining"), 1);
    EXPECT_FALSE(raw_socket(port()).is_open());
    routing.drain(false);
    const auto limit = std::chrono::steady_clock::now() + patience;
    while (!raw_socket(port()).is_open() && std::chrono::steady_clock::now() < limit) {
      std::this_thread::sleep_for(milliseconds{5});
    }
    EXPECT_TRUE(ready());
    EXPECT_EQ(metric("tern_gateway_draining"), 0);
  }
  uint64_t conn = 0;
  auto client = logged_on(encoding::json, conn);
  EXPECT_FALSE(client.ws().wait_close(silence));
}

TEST_F(edge_drain, stay_with_clients_that_have_not_been_closed_when_the_order_is_taken_back) {
  options.drain_notice = milliseconds{0};
  options.drain_client = milliseconds{600};
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  client.send_bytes(frame_type::message, message_bytes(0, "one"));
  session.expect_frame();
  routing.drain(true);
  std::this_thread::sleep_for(milliseconds{450});  // it is not listened to any more
  client.send_bytes(frame_type::message, message_bytes(0, "two"));
  EXPECT_TRUE(session.nothing([](const auto& one) { return one.has_frame(); }));
  routing.drain(false);
  EXPECT_EQ(session.expect_frame().frame().seq(), 2U);
  EXPECT_FALSE(client.ws().wait_close(milliseconds{700}));
}

}  // namespace
}  // namespace tern::testing
