#include "tests/protocol/fake_cluster.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>

#include "libs/actor/actor.hpp"
#include "libs/app/service.hpp"
#include "libs/metrics/metrics.hpp"
#include "libs/rpc/local_network.hpp"
#include "services/gateway/app.hpp"

namespace tern::testing {

namespace {

constexpr const char* routing_address = "local:routing-0";

class session_handler final : public rpc::server_handler<rpc::attach_stream> {
 public:
  explicit session_handler(fake_session& to) : to_(to) {}
  void on_items(std::vector<session::v1::GatewayItem>& items) override { to_.on_items(items); }
  void on_down() override { to_.on_down(); }

 private:
  fake_session& to_;
};

class routing_handler final : public rpc::server_handler<rpc::join_stream> {
 public:
  explicit routing_handler(std::shared_ptr<rpc::sink<routing::v1::RoutingItem>> out) : out_(std::move(out)) {}
  void on_items(std::vector<routing::v1::NodeItem>& items) override {
    for (const auto& one : items) {
      if (!one.has_heartbeat()) continue;
      routing::v1::RoutingItem lease;
      lease.mutable_lease()->set_sequence(one.heartbeat().sequence());
      lease.mutable_lease()->set_duration_ms(6000);
      out_->send(lease);
    }
  }
  void on_down() override {}

 private:
  std::shared_ptr<rpc::sink<routing::v1::RoutingItem>> out_;
};

class noted_health final : public app::health {
 public:
  void set_ready(const std::string& condition, bool ready, const std::string&) override {
    const std::lock_guard lock(mutex_);
    conditions_[condition] = ready;
  }
  bool ready() const {
    const std::lock_guard lock(mutex_);
    return std::all_of(conditions_.begin(), conditions_.end(), [](const auto& one) { return one.second; });
  }
  void add_liveness(const std::string&, std::function<bool()>) override {}

 private:
  mutable std::mutex mutex_;
  std::map<std::string, bool> conditions_;
};

}  // namespace

// ---- session ------------------------------------------------------------------------------------------------------

void fake_session::answer_logins(bool does) {
  const std::lock_guard lock(mutex_);
  answer_logins_ = does;
}

void fake_session::answer_binds(bool does) {
  const std::lock_guard lock(mutex_);
  answer_binds_ = does;
}

void fake_session::send(answer one) {
  std::shared_ptr<rpc::sink<answer>> out;
  {
    const std::lock_guard lock(mutex_);
    out = out_;
  }
  ASSERT_TRUE(out);
  ASSERT_TRUE(out->send(std::move(one)));
}

void fake_session::send_out(uint64_t conn, wire::frame_type type, std::string payload,
                            std::optional<session::v1::DeliveryRef> ref, uint64_t confirm) {
  answer one;
  auto& out = *one.mutable_out();
  out.set_conn(conn);
  out.set_type(static_cast<uint32_t>(type));
  out.set_payload(std::move(payload));
  out.set_confirm(confirm);
  if (ref) *out.mutable_ref() = *ref;
  send(std::move(one));
}

void fake_session::send_room(uint64_t room, uint64_t mid, const std::vector<uint64_t>& conns, std::string_view text) {
  answer one;
  auto& out = *one.mutable_room_out();
  out.set_room(room);
  out.set_mid(mid);
  out.set_payload(message_bytes(mid, text));
  for (const uint64_t conn : conns) out.add_conns(conn);
  send(std::move(one));
}

void fake_session::confirm(uint64_t conn, uint64_t seq) {
  answer one;
  one.mutable_confirm()->set_conn(conn);
  one.mutable_confirm()->set_seq(seq);
  send(std::move(one));
}

void fake_session::forget() {
  const std::lock_guard lock(mutex_);
  std::vector<item>().swap(items_);
}

void fake_session::cut() {
  std::shared_ptr<rpc::sink<answer>> out;
  {
    const std::lock_guard lock(mutex_);
    out = out_;
  }
  ASSERT_TRUE(out);
  out->close();
}

fake_session::item fake_session::expect(const std::function<bool(const item&)>& is, std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  item found;
  const bool came = changed_.wait_for(lock, wait, [&] {
    const auto it = std::find_if(items_.begin(), items_.end(), is);
    if (it == items_.end()) return false;
    found = std::move(*it);
    items_.erase(items_.begin(), std::next(it));
    return true;
  });
  if (!came) ADD_FAILURE() << "the session node did not get what was expected";
  return found;
}

size_t fake_session::frames() const {
  const std::lock_guard lock(mutex_);
  return static_cast<size_t>(
      std::count_if(items_.begin(), items_.end(), [](const item& one) { return one.has_frame(); }));
}

void fake_session::wait_stream() {
  std::unique_lock lock(mutex_);
  ASSERT_TRUE(changed_.wait_for(lock, patience, [&] { return out_ != nullptr; }));
}

bool fake_session::nothing(const std::function<bool(const item&)>& is) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, silence, [&] { return std::any_of(items_.begin(), items_.end(), is); });
}

void fake_session::on_open(std::shared_ptr<rpc::sink<answer>> out) {
  {
    const std::lock_guard lock(mutex_);
    out_ = std::move(out);
  }
  changed_.notify_all();
}

void fake_session::on_down() {
  const std::lock_guard lock(mutex_);
  out_.reset();
}

void fake_session::answer_one(const item& one, std::vector<answer>& out) {
  if (one.has_login() && answer_logins_) {
    auto& result = *out.emplace_back().mutable_login_result();
    result.set_conn(one.login().conn());
    result.set_account(one.login().slot_key());
    result.set_domain(one.login().domain());
    result.set_epoch(1);
  }
  if (one.has_bind() && answer_binds_) {
    if (one.bind().fresh()) {
      auto& result = *out.emplace_back().mutable_login_result();
      result.set_conn(one.bind().conn());
      result.set_account(one.bind().account());
    } else {
      out.emplace_back().mutable_bind_result()->set_conn(one.bind().conn());
    }
  }
}

void fake_session::on_items(std::vector<item>& items) {
  std::vector<answer> answers;
  std::shared_ptr<rpc::sink<answer>> out;
  {
    const std::lock_guard lock(mutex_);
    for (item& one : items) {
      answer_one(one, answers);
      items_.push_back(std::move(one));
    }
    out = out_;
  }
  changed_.notify_all();
  if (out && !answers.empty()) out->send_all(answers);
}

// ---- routing ------------------------------------------------------------------------------------------------------

void fake_routing::publish(const std::string& node, uint64_t epoch, const std::vector<std::string>& all) {
  const std::lock_guard lock(mutex_);
  auto& snapshot = *current_.mutable_snapshot();
  snapshot.Clear();
  snapshot.set_version(++version_);
  for (const auto& name : all) {
    auto& one = *snapshot.add_nodes();
    one.set_name(name);
    one.set_service("session");
    one.set_address("local:" + name);
    one.set_incarnation(1);
    one.set_alive(true);
  }
  if (!node.empty()) {
    auto& range = *snapshot.add_sessions();
    range.set_first(0);
    range.set_last(slot_count - 1);
    range.set_owner(node);
    range.set_epoch(epoch);
  }
  for (const auto& stream : streams_) stream->send(current_);
}

void fake_routing::drain(bool on) {
  const std::lock_guard lock(mutex_);
  routing::v1::RoutingItem order;
  order.mutable_drain()->set_on(on);
  for (const auto& stream : streams_) stream->send(order);
}

void fake_routing::on_open(std::shared_ptr<rpc::sink<routing::v1::RoutingItem>> out) {
  const std::lock_guard lock(mutex_);
  if (version_ > 0) out->send(current_);
  streams_.push_back(std::move(out));
}

// ---- fixture ------------------------------------------------------------------------------------------------------

struct edge_test::parts {
  parts() : system(config) {}
  metrics::registry registry;
  actor::system_config config{1};
  caf::actor_system system;
  std::unique_ptr<rpc::network> network = rpc::make_local_network();
  noted_health health, health_of_another;
  std::unique_ptr<app::context> context, context_of_another;
  std::unique_ptr<gateway::gateway_service> service, another;
};

edge_test::edge_test() : parts_(std::make_unique<parts>()) {
  options.listen_address = "127.0.0.1:0";
  options.identity_key = "0123456789abcdef0123456789abcdef";
  options.trace_every = 0;
  parts_->network->serve<rpc::join_stream>(
      routing_address, [this](const rpc::peer&, std::shared_ptr<rpc::sink<routing::v1::RoutingItem>> out) {
        routing.on_open(out);
        return std::make_shared<routing_handler>(out);
      });
  for (fake_session* node : {&session, &other}) {
    parts_->network->serve<rpc::attach_stream>(
        node->address(), [node](const rpc::peer&, std::shared_ptr<rpc::sink<session::v1::SessionItem>> out) {
          node->on_open(out);
          return std::make_shared<session_handler>(*node);
        });
  }
}

edge_test::~edge_test() { stop(); }

void edge_test::start(bool owner) {
  parts& p = *parts_;
  p.context = std::make_unique<app::context>(app::context{system_clock(), p.registry, p.system, *p.network, p.health,
                                                          "gateway-0", 7, "local:gateway-0", routing_address});
  p.service = gateway::make_gateway_service(*p.context, options);
  const auto started = p.service->start();
  ASSERT_TRUE(started) << started.error().detail;
  if (!owner) return;
  routing.publish("session-0", 1, {"session-0"});
  session.wait_stream();
}

errc edge_test::start_code() {
  parts& p = *parts_;
  app::context context{system_clock(), p.registry, p.system,          *p.network,     p.health,
                       "gateway-1",    8,          "local:gateway-1", routing_address};
  const auto service = gateway::make_gateway_service(context, options);
  const errc code = service->start().code();
  service->stop();
  return code;
}

uint16_t edge_test::start_another() {
  parts& p = *parts_;
  p.context_of_another = std::make_unique<app::context>(app::context{system_clock(), p.registry, p.system, *p.network,
                                                                     p.health_of_another, "gateway-1", 8,
                                                                     "local:gateway-1", routing_address});
  p.another = gateway::make_gateway_service(*p.context_of_another, options);
  const auto started = p.another->start();
  EXPECT_TRUE(started) << started.error().detail;
  return p.another->port();
}

rpc::network& edge_test::network() { return *parts_->network; }

bool edge_test::ready() const { return parts_->health.ready(); }

uint16_t edge_test::port() const { return parts_->service->port(); }

tim_client edge_test::logged_on(wire::encoding enc, uint64_t& conn, std::string_view name) {
  tim_client client(port(), enc);
  const auto answer = client.login(name, "secret");
  EXPECT_TRUE(answer.ok);
  conn = session.expect_login().login().conn();
  return client;
}

void edge_test::drain(std::chrono::milliseconds limit) { parts_->service->drain(limit); }

double edge_test::metric(const std::string& series) {
  const std::string all = "\n" + parts_->registry.render();
  const size_t at = all.find("\n" + series + " ");
  return at == std::string::npos ? 0 : std::strtod(all.c_str() + at + series.size() + 2, nullptr);
}

void edge_test::stop() {
  for (auto* each : {&parts_->another, &parts_->service}) {
    if (*each) (*each)->stop();
    each->reset();
  }
  parts_->network->stop();
}

session::v1::DeliveryRef message_ref(uint64_t conversation, uint64_t mid) {
  session::v1::DeliveryRef out;
  out.mutable_conversation()->set_hi(conversation);
  out.set_mid(mid);
  return out;
}

session::v1::DeliveryRef batch_ref(uint64_t conversation, uint64_t number) {
  auto out = message_ref(conversation, number);
  out.set_kind(session::v1::DeliveryRef::BATCH);
  return out;
}

std::string message_bytes(uint64_t mid, std::string_view text) {
  wire::tim_message message;
  message.ms_type = 2;
  message.od_type = 1;
  message.mid = static_cast<int64_t>(mid);
  message.data_string = text;
  return wire::encode(wire::encoding::thrift, message);
}

}  // namespace tern::testing
