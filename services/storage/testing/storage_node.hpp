// A storage node without routing, for tests: the map and the lease are set by hand; fake session nodes around it.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <caf/all.hpp>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "libs/metrics/metrics.hpp"
#include "libs/placement/view.hpp"
#include "libs/rpc/local_network.hpp"
#include "services/storage/grpc/storage_service.hpp"
#include "services/storage/supervisor.hpp"
#include "services/storage/testing/requests.hpp"

namespace tern::storage::testing {

/// A session node's Deliver server. Remembers what came; answers as told.
class fake_session {
 public:
  enum class mood { confirms, silent, refuses };
  fake_session(rpc::network& network, const std::string& address);

  void set_mood(mood now);
  /// Ends every stream after so many more items, again and again; 0: never.
  void break_every(size_t items);
  void break_now();
  /// Until `count` different entries have come; false after 20 s.
  bool wait_for_entries(size_t count);
  /// Everything that came, repeats included, in order.
  std::vector<session::v1::Delivery> received();
  /// Until so many streams have been opened.
  bool wait_for_streams(size_t count);

 private:
  struct stream;
  using reply_out = std::shared_ptr<rpc::sink<session::v1::DeliveryReply>>;
  void take(const reply_out& out, std::vector<session::v1::Delivery>& items);

  std::mutex mutex_;
  std::condition_variable wake_;
  mood mood_ = mood::confirms;
  size_t break_every_ = 0;
  size_t until_break_ = 0;
  size_t accepted_ = 0;
  std::vector<reply_out> outs_;
  std::vector<session::v1::Delivery> received_;
  std::map<uint64_t, size_t> entries_;
};

/// A session node's Exchange client: sends requests, resends the unanswered in order as the protocol demands.
class fake_client final : public rpc::client_handler<rpc::storage_stream> {
 public:
  static std::shared_ptr<fake_client> connect(rpc::network& network, const std::string& address,
                                              std::unique_ptr<rpc::link>& link);
  void on_up(std::shared_ptr<rpc::sink<v1::StorageRequest>> out) override;
  void on_items(std::vector<v1::StorageReply>& items) override;
  void on_down() override;

  /// Sent now, and again after wrong_owner or a new stream until another answer comes.
  void send(v1::StorageRequest request);
  /// The epoch for this and later sends; everything unanswered goes again with it.
  void set_epoch(uint64_t epoch);
  /// The answer to a call; fails the test after 20 s.
  v1::StorageReply answer(uint64_t call);
  v1::StorageReply ask(v1::StorageRequest request);
  bool wait_for_all();
  std::map<uint64_t, v1::StorageReply> answers();
  size_t wrong_owner_answers();
  /// wrong_owner is an answer like any other.
  bool keep_wrong_owner = false;

 private:
  void resend();

  // Recursive: with local links a refusal comes from within the send.
  std::recursive_mutex mutex_;
  std::condition_variable_any wake_;
  std::shared_ptr<rpc::sink<v1::StorageRequest>> out_;
  uint64_t epoch_ = 1;
  std::map<uint64_t, v1::StorageRequest> open_;
  std::map<uint64_t, v1::StorageReply> answers_;
  size_t wrong_owner_ = 0;
};

struct node_options {
  std::string dsn = "memory:";
  store_holder::open_function open = open_store;
  slot_options slots;
  dispatch_options dispatch;
  login_options logins;
  std::shared_ptr<soft_store> soft;
};

/// One storage node "storage-0" with one shard "s0", served at "local:storage-0".
class storage_node {
 public:
  explicit storage_node(node_options how = {});
  ~storage_node();

  /// The shard belongs to `owner` in `epoch`, all accounts to session-0 (lower half) and session-1.
  /// `incarnation`: the process of storage-0 that routing knows; this one is 1.
  void publish(uint64_t epoch, const std::string& owner = "storage-0", uint64_t session_epoch = 1,
               const std::string& upper = "session-1", uint64_t incarnation = 1);
  void stop();
  /// What is left in the outbox; after stop().
  size_t outbox_left();
  /// Waits until the outbox of the database is empty: all was confirmed and deleted.
  bool wait_until_drained();
  double metric(const std::string& series);

  caf::actor_system& actors() { return *actors_; }
  rpc::network& network() { return *network_; }
  shard_slot& slot() { return *shards_->find("s0"); }

  /// Waits until it says that it is not ready for this reason; empty: that it is ready.
  bool wait_unready(const std::string& why);

  std::atomic<bool> lease{true};
  metrics::registry registry;
  placement::view cluster;  // empty: nobody is refused for what the maps say
  std::shared_ptr<storage_metrics> metrics;

 private:
  actor::system_config config_{2};
  std::unique_ptr<caf::actor_system> actors_ = std::make_unique<caf::actor_system>(config_);
  std::unique_ptr<rpc::network> network_ = rpc::make_local_network();
  std::shared_ptr<login_desk> logins_;
  std::shared_ptr<store_holder> store_;
  std::shared_ptr<const shard_slots> shards_;
  caf::actor supervisor_;
  uint64_t version_ = 0;
  std::mutex readiness_mutex_;
  std::condition_variable readiness_changed_;
  std::string unready_ = "never told";
};

}  // namespace tern::storage::testing
