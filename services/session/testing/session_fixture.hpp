// A session node without links: real dispatch, real actors under the test coordinator, a fake storage, a gateway and
// a dispatcher played by the test.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "libs/crypto/identity.hpp"
#include "libs/shards/testing/fake_storage.hpp"
#include "libs/testing/actor_fixture.hpp"
#include "libs/wire/codec.hpp"
#include "services/session/actors/session_actor.hpp"
#include "services/session/actors/supervisor_actor.hpp"
#include "services/session/directory.hpp"
#include "services/session/links/attach_server.hpp"
#include "services/session/links/deliver_server.hpp"
#include "services/session/links/peer_client.hpp"
#include "services/session/links/peer_server.hpp"
#include "services/session/presence/presence_outbox.hpp"
#include "services/session/rooms/hub.hpp"
#include "services/session/wheel.hpp"

namespace tern::session {

template <class Item>
class collecting_sink final : public rpc::sink<Item> {
 public:
  bool send(Item item) override {
    if (closed) return false;
    items.push_back(std::move(item));
    return true;
  }
  bool send_all(std::vector<Item>& all) override {
    if (closed) return false;
    for (Item& one : all) items.push_back(std::move(one));
    all.clear();
    return true;
  }
  void close() override { closed = true; }
  std::vector<Item> take() { return std::exchange(items, {}); }

  std::vector<Item> items;
  bool closed = false;
};

/// Answers 4107 like the group service.
class fake_groups final : public group_port {
 public:
  void ask(group::v1::GroupRequest request, group_callback then) override {
    asked.push_back(std::move(request));
    group_answer got{errc::bad_interface, {}};
    then(got);
  }
  std::vector<group::v1::GroupRequest> asked;
};

/// What goes to other session nodes.
class recording_peers final : public peer_port {
 public:
  void send(const std::string& node, std::vector<v1::PeerItem>& items) override {
    for (auto& one : items) sent.emplace_back(node, std::move(one));
    items.clear();
  }
  std::vector<std::pair<std::string, v1::PeerItem>> sent;
};

class session_fixture : public testing::actor_fixture {
 public:
  static constexpr const char* identity_key = "key";

  session_fixture()
      : metrics(registry),
        timers(time),
        dir([this](account_id account) { return actors.spawn(session_behavior, &env, account); }),
        env{options, time, metrics, "session-0"} {
    storage.time_ns = time.wall_ns();
    options.identity_key = identity_key;
    options.auth_min_interval = std::chrono::seconds(10);
    publish("session-0", 1);
    env.cluster = &cluster;
    env.lease_valid = [this] { return lease; };
    env.storage = &storage;
    env.groups = &groups;
    env.directory = &dir;
    env.wheel = &timers;
    env.peers = &peers;
    env.presence = &presence;
    env.hub = &rooms;
    attach = connect_gateway(1);
    dispatcher = deliver_acceptor(env)({"storage", "storage-0", 1}, replies);
    for (const account_id id : {alice, bob}) storage.add_account(id);
    storage.befriend(alice, bob, talk());
  }
  ~session_fixture() override {
    dir.end_if([](account_id) { return true; });
    run();
  }

  /// A stream of gateway-0 whose process is `incarnation`.
  std::shared_ptr<rpc::server_handler<rpc::attach_stream>> connect_gateway(uint64_t incarnation) {
    gateway = std::make_shared<collecting_sink<v1::SessionItem>>();
    return attach_acceptor(env, [this](const gateway_ptr& stream, bool up) { streams.emplace_back(stream, up); })(
        {"gateway", "gateway-0", incarnation}, gateway);
  }

  void publish(const std::string& owner, uint64_t epoch) {
    auto map = std::make_shared<placement::snapshot>();
    map->version = ++map_version;
    map->sessions = placement::range_map{{{0, slot_count - 1, owner, epoch}}};
    map->groups = placement::range_map{{{0, slot_count - 1, "group-0", 1}}};
    cluster.publish(map);
  }

  static conversation_id talk(account_id one = alice, account_id other = bob) {
    return crypto::pair_conversation(identity_key, one, other);
  }

  // ---- what a gateway sends ----

  void send(v1::GatewayItem item) {
    std::vector<v1::GatewayItem> items;
    items.push_back(std::move(item));
    attach->on_items(items);
  }
  v1::Bind bind_of(uint64_t conn, account_id account, bool fresh, int32_t termtyp = 1) {
    v1::Bind bind;
    bind.set_conn(conn);
    bind.set_account(account.value);
    bind.set_fresh(fresh);
    bind.set_termtyp(termtyp);
    bind.set_resource("phone");
    bind.set_login_ns(time.wall_ns());
    bind.set_next_seq(1);
    return bind;
  }
  void bind(v1::Bind what) {
    v1::GatewayItem item;
    *item.mutable_bind() = std::move(what);
    send(std::move(item));
    settle();
  }
  /// Logs a terminal on; false when it was refused. Its LoginResult and what followed stay in the gateway's list.
  bool log_on(uint64_t conn, account_id account, int32_t termtyp = 1) {
    bind(bind_of(conn, account, true, termtyp));
    for (const auto& item : gateway->items) {
      if (item.has_login_result() && item.login_result().conn() == conn) return item.login_result().code() == 0;
    }
    return false;
  }
  template <class Struct>
  void frame(uint64_t conn, account_id account, wire::frame_type type, const Struct& payload, uint64_t seq = 0) {
    raw_frame(conn, account, type, wire::encode(wire::encoding::thrift, payload), seq);
  }
  void raw_frame(uint64_t conn, account_id account, wire::frame_type type, std::string payload, uint64_t seq = 0,
                 bool again = false) {
    v1::GatewayItem item;
    v1::Frame& what = *item.mutable_frame();
    what.set_conn(conn);
    what.set_account(account.value);
    what.set_seq(seq != 0 ? seq : ++seqs[conn]);
    what.set_type(static_cast<uint32_t>(type));
    what.set_payload(std::move(payload));
    what.set_received_ns(time.wall_ns());
    what.set_again(again);
    send(std::move(item));
  }
  void ack(uint64_t conn, account_id account, const v1::DeliveryRef& ref) {
    v1::GatewayItem item;
    item.mutable_acked()->set_conn(conn);
    item.mutable_acked()->set_account(account.value);
    *item.mutable_acked()->add_refs() = ref;
    send(std::move(item));
  }
  void close(uint64_t conn, account_id account) {
    v1::GatewayItem item;
    item.mutable_closed()->set_conn(conn);
    item.mutable_closed()->set_account(account.value);
    send(std::move(item));
    settle();
  }

  // ---- what the dispatcher and time do ----

  /// Runs actors, storage and dispatcher until nothing moves.
  void settle() {
    for (;;) {
      run();
      const size_t answered = storage.answer();
      std::vector<v1::Delivery> fresh;
      for (const auto& [entry, delivery] : storage.outbox) {
        if (dispatched.insert(entry).second) fresh.push_back(delivery);
      }
      const bool any = !fresh.empty();
      if (any) dispatcher->on_items(fresh);
      run();
      for (const auto& reply : replies->take()) {
        for (const uint64_t entry : reply.done()) storage.outbox.erase(entry);
        for (const uint64_t entry : reply.wrong_owner()) refused.insert(entry);
      }
      if (answered == 0 && !any && !sched.has_job()) return;
    }
  }
  /// The dispatcher starts again: everything not done comes once more.
  void redispatch() {
    replies = std::make_shared<collecting_sink<v1::DeliveryReply>>();
    dispatcher = deliver_acceptor(env)({"storage", "storage-0", 1}, replies);
    dispatched.clear();
    settle();
  }
  void pass(std::chrono::milliseconds by) {
    time.advance(by);
    timers.turn();
    settle();
    end_window();
  }
  /// Presences gathered so far go out.
  void end_window() {
    presence.flush(*cluster.get());
    settle();
  }

  // ---- what a client sees ----

  std::vector<v1::Out> frames(uint64_t conn, std::optional<wire::frame_type> type = std::nullopt) {
    std::vector<v1::Out> found;
    std::vector<v1::SessionItem> rest;
    for (auto& item : gateway->take()) {
      const bool wanted =
          item.has_out() && item.out().conn() == conn && (!type || item.out().type() == static_cast<uint32_t>(*type));
      if (wanted) {
        found.push_back(std::move(*item.mutable_out()));
      } else {
        rest.push_back(std::move(item));
      }
    }
    gateway->items = std::move(rest);
    return found;
  }
  wire::tim_ack ack_of(const v1::Out& out) {
    auto decoded = wire::decode<wire::tim_ack>(wire::encoding::thrift, out.payload(), memory);
    EXPECT_TRUE(decoded) << "not a TimAck";
    return decoded ? *decoded : wire::tim_ack{};
  }
  wire::tim_message message_of(const v1::Out& out) {
    auto decoded = wire::decode<wire::tim_message>(wire::encoding::thrift, out.payload(), memory);
    EXPECT_TRUE(decoded) << "not a TimMessage";
    return decoded ? *decoded : wire::tim_message{};
  }
  std::vector<wire::tim_message> list_of(const v1::Out& out) {
    auto decoded = wire::decode<wire::tim_message_list>(wire::encoding::thrift, out.payload(), memory);
    EXPECT_TRUE(decoded) << "not a TimMessageList";
    return decoded && decoded->message_list ? *decoded->message_list : std::vector<wire::tim_message>{};
  }
  /// The code of the one error answer the connection got; 0 when there is none.
  int32_t error_of(uint64_t conn) {
    const auto found = frames(conn, wire::frame_type::ack);
    if (found.empty()) return 0;
    kept.push_back(found.front());
    const auto ack = ack_of(kept.back());
    return ack.ok || !ack.error ? 0 : ack.error->code.value_or(-1);
  }

  static constexpr account_id alice{0x1111'0000'0000'0001};
  static constexpr account_id bob{0x2222'0000'0000'0002};
  static constexpr account_id stranger{0x3333'0000'0000'0003};

  session_config options;
  metrics::registry registry;
  session_metrics metrics;
  placement::view cluster;
  uint64_t map_version = 0;
  bool lease = true;
  shards::fake_storage storage;
  fake_groups groups;
  recording_peers peers;
  presence_outbox presence{metrics.presence, 100'000, [] {},
                           [this](const std::string& node, std::vector<v1::PeerItem>& items) {
                             if (node == env.node) return deliver_here(env, items);
                             peers.send(node, items);
                           }};
  wheel timers;
  directory dir;
  environment env;
  hub rooms{env};
  std::shared_ptr<collecting_sink<v1::SessionItem>> gateway;
  std::shared_ptr<collecting_sink<v1::DeliveryReply>> replies =
      std::make_shared<collecting_sink<v1::DeliveryReply>>();
  std::shared_ptr<rpc::server_handler<rpc::attach_stream>> attach;
  std::shared_ptr<rpc::server_handler<rpc::deliver_stream>> dispatcher;
  std::vector<std::pair<gateway_ptr, bool>> streams;
  std::map<uint64_t, uint64_t> seqs;
  std::set<uint64_t> dispatched;
  std::set<uint64_t> refused;
  std::deque<v1::Out> kept;
  wire::arena memory;
};

}  // namespace tern::session
