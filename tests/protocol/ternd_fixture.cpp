#include "tests/protocol/ternd_fixture.hpp"

#include <atomic>
#include <chrono>

#include "libs/app/health.hpp"
#include "libs/app/host.hpp"
#include "libs/log/log.hpp"
#include "libs/testing/temp_dir.hpp"
#include "services/ternd/app.hpp"

namespace tern::testing {

using wire::frame_type;

struct shared_ternd::parts {
  temp_dir where{"ternd-protocol"};
  ternd::ternd_config options;
  std::unique_ptr<app::host> host;
};

namespace {

std::unique_ptr<shared_ternd>& shared() {
  static std::unique_ptr<shared_ternd> one;
  return one;
}

class after_all_tests final : public ::testing::Environment {
 public:
  void TearDown() override { shared_ternd::stop(); }
};

[[maybe_unused]] const ::testing::Environment* const registered =
    ::testing::AddGlobalTestEnvironment(new after_all_tests);

}  // namespace

shared_ternd& shared_ternd::get() {
  if (!shared()) shared() = std::make_unique<shared_ternd>();
  return *shared();
}

void shared_ternd::stop() { shared().reset(); }

shared_ternd::shared_ternd() : parts_(std::make_unique<parts>()) {
  log::init({log::level::error, true, "test"});
  auto& o = parts_->options;
  const std::string dir = parts_->where.path().string();
  o.gateway.listen_address = "127.0.0.1:0";
  o.gateway.identity_key = o.session.identity_key = "the identity key of the protocol tests";
  o.gateway.max_bad_frames = 100;
  o.session.device_limit = 2;
  o.session.auth_min_interval = std::chrono::milliseconds{0};
  o.routing.meta_dsn = ternd::default_meta_dsn(dir);
  o.routing.shards = {ternd::shard_name};
  o.routing.settle = std::chrono::milliseconds{0};
  o.storage.shards = {ternd::default_shard(dir)};
  auto made = app::host::make({});
  if (!made) return;
  parts_->host = std::move(*made);
  const auto started = parts_->host->start(ternd::service_entries(o));
  EXPECT_TRUE(started) << started.error().detail;
  port_ = ternd::client_port(*parts_->host);
}

shared_ternd::~shared_ternd() {
  if (parts_->host) parts_->host->stop();
}

std::string protocol::fresh_name(std::string_view stem) {
  static std::atomic<int> counter{0};
  return std::string(stem) + "-" + std::to_string(++counter);
}

std::string protocol::register_account(const std::string& name, std::string_view domain) {
  const auto answer = account_call(port(), frame_type::reg, enc(), name, "secret", domain);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.code, 0);
  return answer.n;
}

protocol::client_ptr protocol::log_in(const std::string& name) {
  auto client = anonymous();
  EXPECT_TRUE(client->login(name, "secret").ok);
  return client;
}

protocol::client_ptr protocol::new_user(std::string_view stem, std::string* name) {
  const std::string chosen = fresh_name(stem);
  register_account(chosen);
  if (name != nullptr) *name = chosen;
  return log_in(chosen);
}

void protocol::business(tim_client& who, int32_t what, std::string_view node, std::string_view text) {
  wire::tim_req req;
  req.rtype = what;
  if (!node.empty()) req.node = node;
  if (!text.empty()) req.req_str = text;
  who.send(frame_type::business, req);
}

void protocol::befriend(tim_client& one, tim_client& other) {
  business(one, 4, other.node());
  expect_notice(other, one.node(), 4);
  business(other, 4, one.node());
  expect_notice(one, other.node(), 5);
}

wire::tim_message protocol::text_message(std::string_view to, std::string_view text, int64_t id) {
  wire::tim_message message;
  message.ms_type = 2;
  message.od_type = 1;
  if (id != 0) message.id = id;
  wire::tid recipient;
  recipient.node = to;
  message.to_tid = recipient;
  message.data_string = text;
  return message;
}

int64_t protocol::send_text(tim_client& from, std::string_view to, std::string_view text, int64_t id) {
  from.send(frame_type::message, text_message(to, text, id));
  const auto frame = from.next(frame_type::message);
  EXPECT_TRUE(frame) << "no receipt";
  if (!frame) return 0;
  const auto receipt = from.read<wire::tim_message>(*frame);
  EXPECT_EQ(receipt.data_string, text);
  EXPECT_EQ(receipt.from_tid ? receipt.from_tid->node : "", from.node());
  EXPECT_TRUE(receipt.timestamp);
  return receipt.mid.value_or(0);
}

void protocol::expect_text(tim_client& at, std::string_view from, std::string_view text, int64_t mid) {
  const auto frame = at.next(frame_type::message);
  ASSERT_TRUE(frame) << text;
  EXPECT_TRUE(frame->sync_id);
  const auto message = at.read<wire::tim_message>(*frame);
  EXPECT_EQ(message.data_string, text);
  EXPECT_EQ(message.mid, mid);
  ASSERT_TRUE(message.from_tid);
  EXPECT_EQ(message.from_tid->node, from);
}

void protocol::expect_notice(tim_client& at, std::string_view from, int32_t bn_type) {
  const auto frame = at.next(frame_type::message);
  ASSERT_TRUE(frame) << "no notice " << bn_type;
  const auto message = at.read<wire::tim_message>(*frame);
  EXPECT_EQ(message.od_type, 4);
  EXPECT_EQ(message.bn_type, bn_type);
  ASSERT_TRUE(message.from_tid);
  EXPECT_EQ(message.from_tid->node, from);
}

void protocol::expect_refused(tim_client& at, frame_type type, int code) {
  const auto ack = at.next_ack();
  EXPECT_FALSE(ack.ok);
  EXPECT_EQ(static_cast<uint8_t>(ack.tim_type), static_cast<uint8_t>(type));
  ASSERT_TRUE(ack.error);
  EXPECT_EQ(ack.error->code, code);
}

std::string encoding_name(const ::testing::TestParamInfo<wire::encoding>& info) {
  return info.param == wire::encoding::json ? "json" : "thrift";
}

INSTANTIATE_TEST_SUITE_P(both, protocol, ::testing::Values(wire::encoding::thrift, wire::encoding::json),
                         encoding_name);

}  // namespace tern::testing
