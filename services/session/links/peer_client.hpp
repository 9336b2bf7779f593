// Links to other session nodes: for what is not stored, so nothing is kept longer than a moment and nothing is
// repeated.
#pragma once

#include <tern/session/v1/session.pb.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "libs/base/clock.hpp"
#include "libs/placement/view.hpp"
#include "libs/rpc/network.hpp"
#include "libs/rpc/streams.hpp"
#include "services/session/presence/metrics.hpp"

namespace tern::session {

class peer_port {
 public:
  virtual ~peer_port() = default;
  /// Items for accounts that `node` owns. Thread-safe, never blocks; those of one caller keep their order. What the
  /// node's queue has no room for is dropped and counted. `items` is left empty.
  virtual void send(const std::string& node, std::vector<v1::PeerItem>& items) = 0;
};

/// One link per node, made at the first item for it. While it is not up its items wait, at most `queue_items` of them
/// with `queue_bytes` of payload, and about two seconds.
class peer_client final : public peer_port {
 public:
  peer_client(rpc::network& network, rpc::peer self, const clock& time, const presence_metrics& metrics,
              size_t queue_items, size_t queue_bytes = 64U << 20U);
  ~peer_client() override;

  void send(const std::string& node, std::vector<v1::PeerItem>& items) override;
  /// Supervisor only.
  void apply(const placement::snapshot_ptr& current);
  void sweep();
  void stop();

 private:
  class node_link;
  using peer_sink = rpc::sink<v1::PeerItem>;
  struct node_entry {
    std::string address;
    std::unique_ptr<rpc::link> link;
    std::shared_ptr<peer_sink> out;  // null: not up
    std::vector<v1::PeerItem> waiting;
    size_t waiting_bytes = 0;  // of their payloads
    clock::time_point waits_since{};
    bool wanted = false;   // somebody has sent: the link is to be made
    bool sending = false;  // a thread is handing over; it takes what comes meanwhile
  };
  using entry_ptr = std::shared_ptr<node_entry>;
  using lock = std::unique_lock<std::mutex>;

  size_t queue(node_entry& to, std::vector<v1::PeerItem>& items) const;
  void hand_over(peer_sink& out, std::vector<v1::PeerItem>& batch) const;
  void pass_on(lock& held, const entry_ptr& to);
  void connect(const std::string& node, const entry_ptr& to);

  rpc::network& network_;
  const rpc::peer self_;
  const clock& time_;
  const presence_metrics& metrics_;
  const size_t queue_items_;
  const size_t queue_bytes_;
  std::mutex connecting_;  // one link is made or unmade at a time; taken before mutex_
  std::mutex mutex_;       // guards what follows; not held during calls of sinks, links and the network
  std::map<std::string, entry_ptr> nodes_;
  bool stopped_ = false;
};

}  // namespace tern::session
