// Notices from the system through real storage: on line, off line, at several terminals, once.
#include <future>

#include "libs/base/clock.hpp"
#include "libs/placement/membership.hpp"
#include "libs/shards/storage_client.hpp"
#include "services/session/notify.hpp"
#include "tests/integration/session_storage_fixture.hpp"

namespace tern::testing {
namespace {

class system_notice_test : public session_storage_fixture {
 protected:
  system_notice_test() { device_limit_ = 2; }
  void SetUp() override {
    session_storage_fixture::SetUp();
    const app::context& with = host_->context_of("session");
    const rpc::peer self{"session", "notifier", 1};
    storage_ =
        std::make_unique<shards::storage_client>(with.network, self, with.time, shards::shard_channel::limits{});
    placement::membership_options options;
    options.self = self;
    options.address = "local:notifier";
    options.routing_address = with.routing_address;
    maps_ = std::make_unique<placement::membership>(with.network, with.time, options);
    maps_->start();
  }
  void TearDown() override {
    if (maps_) maps_->stop();
    if (storage_) storage_->stop();
    session_storage_fixture::TearDown();
  }
  /// What a supervisor does many times a second.
  void turn() {
    const auto map = maps_->cluster().get();
    if (map->version != applied_) storage_->apply(map);
    applied_ = map->version;
    storage_->sweep();
  }
  errc notify(const std::string& key, const std::string& text) {
    const app::context& with = host_->context_of("session");
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    for (;;) {
      turn();
      auto done = std::make_shared<std::promise<errc>>();
      auto answer = done->get_future();
      session::notify_account(*storage_, with.time, {bob_, "", key, text},
                              [done](errc code) { done->set_value(code); });
      while (answer.wait_for(std::chrono::milliseconds(10)) != std::future_status::ready) {
        turn();
        if (std::chrono::steady_clock::now() > limit) return errc::deadline;
      }
      const errc code = answer.get();
      if (code != errc::unavailable || std::chrono::steady_clock::now() > limit)
        return code;  // the maps are on their way
    }
  }
  std::string text_of(const Out& out) {
    wire::arena memory;
    if (out.type() == static_cast<uint32_t>(frame_type::message)) {
      const auto one = wire::decode<wire::tim_message>(wire::encoding::thrift, out.payload(), memory);
      return one ? std::string(one->data_string.value_or("")) : "undecodable";
    }
    const auto list = wire::decode<wire::tim_message_list>(wire::encoding::thrift, out.payload(), memory);
    if (!list || !list->message_list || list->message_list->size() != 1) return "no list of one";
    return std::string(list->message_list->front().data_string.value_or(""));
  }
  size_t notices_at(uint64_t conn) {
    return gateway_->count([&](const SessionItem& one) {
      return one.has_out() && one.out().conn() == conn && one.out().has_ref() &&
             one.out().ref().kind() == DeliveryRef::NOTICE;
    });
  }

  std::unique_ptr<shards::storage_client> storage_;
  std::unique_ptr<placement::membership> maps_;
  uint64_t applied_ = 0;
};

TEST_F(system_notice_test, both_terminals_of_an_account_get_it_once) {
  ASSERT_EQ(log_in(1, "bob"), errc::ok);
  ASSERT_EQ(log_in(2, "bob"), errc::ok);
  ASSERT_EQ(notify("one", "hello"), errc::ok);
  for (const uint64_t conn : {1U, 2U}) {
    const auto got = message_at(conn, DeliveryRef::NOTICE);
    ASSERT_TRUE(got) << conn;
    EXPECT_EQ(text_of(*got), "hello");
    if (conn == 2) ack(conn, bob_, *got);
  }
  ASSERT_EQ(notify("one", "hello"), errc::ok);  // again: nothing
  ASSERT_EQ(notify("two", "next"), errc::ok);
  const auto next = message_at(1, DeliveryRef::NOTICE);
  ASSERT_TRUE(next);
  EXPECT_EQ(text_of(*next), "next");
  EXPECT_EQ(notices_at(1), 0U);
}

TEST_F(system_notice_test, it_waits_for_an_account_that_is_off_line_and_goes_when_acknowledged) {
  ASSERT_EQ(notify("one", "while you were away"), errc::ok);
  ASSERT_EQ(notify("one", "while you were away"), errc::ok);
  ASSERT_EQ(log_in(1, "bob"), errc::ok);
  frame(1, bob_, 1, frame_type::offlinemsg, wire::tim_req{});
  // In a list, or live when the dispatcher brings it only now.
  const auto got = message_at(1, DeliveryRef::NOTICE);
  ASSERT_TRUE(got);
  EXPECT_EQ(text_of(*got), "while you were away");
  ack(1, bob_, *got);
  // Another terminal may still find it until its deletion is stored; then nothing is left.
  ASSERT_EQ(log_in(2, "bob"), errc::ok);
  bool left = true;
  for (uint64_t seq = 1; left && seq < 300; ++seq) {
    frame(2, bob_, seq, frame_type::offlinemsg, wire::tim_req{});
    left = false;
    for (bool ended = false; !ended;) {
      const auto item = gateway_->wait([](const SessionItem& one) {
        return one.has_out() && one.out().conn() == 2 &&
               (one.out().has_ref() || one.out().type() == static_cast<uint32_t>(frame_type::offlinemsgend));
      });
      ASSERT_TRUE(item);
      ended = !item->out().has_ref();
      if (ended) continue;
      left = true;
      EXPECT_EQ(text_of(item->out()), "while you were away");
      ack(2, bob_, item->out());
    }
  }
  EXPECT_FALSE(left);
}

}  // namespace
}  // namespace tern::testing
