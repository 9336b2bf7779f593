// A gateway alone in a process, with a routing service and session nodes that do what the test says.
#pragma once

#include <gtest/gtest.h>
#include <tern/routing/v1/routing.pb.h>
#include <tern/session/v1/session.pb.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "libs/base/errc.hpp"
#include "libs/base/ids.hpp"
#include "libs/rpc/network.hpp"
#include "libs/rpc/streams.hpp"
#include "services/gateway/config.hpp"
#include "tests/protocol/client.hpp"

namespace tern::gateway {
class gateway_service;
}

namespace tern::testing {

/// A session node's end of the gateway's link. Thread-safe.
class fake_session {
 public:
  using item = session::v1::GatewayItem;
  using answer = session::v1::SessionItem;

  explicit fake_session(std::string node) : node_(std::move(node)) {}
  const std::string& node() const noexcept { return node_; }
  std::string address() const { return "local:" + node_; }

  /// Logins are answered ok with the account of the slot key, Binds ok, unless switched off.
  void answer_logins(bool does);
  void answer_binds(bool does);
  void send(answer one);
  void send_out(uint64_t conn, wire::frame_type type, std::string payload,
                std::optional<session::v1::DeliveryRef> ref = {}, uint64_t confirm = 0);
  /// One message of a room for these connections.
  void send_room(uint64_t room, uint64_t mid, const std::vector<uint64_t>& conns, std::string_view text);
  void confirm(uint64_t conn, uint64_t seq);
  /// Drops all items received.
  void forget();
  /// Ends the stream; the gateway makes a new one.
  void cut();

  /// The first item received since the last call that satisfies `is`; fails the test when none comes.
  item expect(const std::function<bool(const item&)>& is, std::chrono::milliseconds wait = patience);
  item expect_login() {
    return expect([](const item& one) { return one.has_login(); });
  }
  item expect_bind() {
    return expect([](const item& one) { return one.has_bind(); });
  }
  item expect_frame() {
    return expect([](const item& one) { return one.has_frame(); });
  }
  item expect_closed() {
    return expect([](const item& one) { return one.has_closed(); });
  }
  /// Frames received and not taken by expect().
  size_t frames() const;
  void wait_stream();
  /// Nothing that satisfies `is` comes for a moment.
  bool nothing(const std::function<bool(const item&)>& is);

  // Called by the stream's handler.
  void on_open(std::shared_ptr<rpc::sink<answer>> out);
  void on_items(std::vector<item>& items);
  void on_down();

 private:
  void answer_one(const item& one, std::vector<answer>& out);

  const std::string node_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<rpc::sink<answer>> out_;
  std::vector<item> items_;
  bool answer_logins_ = true, answer_binds_ = true;
};

/// Snapshots for whoever joins. Thread-safe.
class fake_routing {
 public:
  /// The whole slot space belongs to `node` (nobody if empty) with this epoch; `all` are the live session nodes.
  void publish(const std::string& node, uint64_t epoch, const std::vector<std::string>& all);

  /// An operator drains all nodes that have joined, or takes that back.
  void drain(bool on);

  void on_open(std::shared_ptr<rpc::sink<routing::v1::RoutingItem>> out);

 private:
  std::mutex mutex_;
  routing::v1::RoutingItem current_;
  uint64_t version_ = 0;
  std::vector<std::shared_ptr<rpc::sink<routing::v1::RoutingItem>>> streams_;
};

/// Fixture: options first, then start(), then clients.
class edge_test : public ::testing::Test {
 protected:
  edge_test();
  ~edge_test() override;

  /// Starts the gateway; with `owner`, session-0 owns everything and its link is up.
  void start(bool owner = true);
  /// What a further gateway with the current options says when it is started.
  errc start_code();
  uint16_t port() const;
  /// Starts another gateway with the current options; its port. Ended by stop().
  uint16_t start_another();
  rpc::network& network();
  /// What the first gateway says of itself.
  bool ready() const;
  /// A client logged on at session-0; its connection id in `conn`.
  tim_client logged_on(wire::encoding enc, uint64_t& conn, std::string_view name = "alice");
  void drain(std::chrono::milliseconds limit);
  /// Value of a series as /metrics shows it, e.g. `name{reason="rate"}`; 0 when there is none.
  double metric(const std::string& series);
  void stop();

  gateway::gateway_config options;
  fake_routing routing;
  fake_session session{"session-0"};
  fake_session other{"session-1"};

  struct parts;
  std::unique_ptr<parts> parts_;
};

/// A reference to a delivered message.
session::v1::DeliveryRef message_ref(uint64_t conversation, uint64_t mid);
/// A reference to a list of a conversation.
session::v1::DeliveryRef batch_ref(uint64_t conversation, uint64_t number);
/// A stored message as session nodes send it: Thrift compact.
std::string message_bytes(uint64_t mid, std::string_view text);

}  // namespace tern::testing
