// Asking the owners of rooms: request and reply with a deadline, over one link per group node.
#pragma once

#include <tern/group/v1/group.pb.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "libs/base/clock.hpp"
#include "libs/base/errc.hpp"
#include "libs/placement/view.hpp"
#include "libs/rpc/network.hpp"
#include "libs/rpc/streams.hpp"

namespace tern::session {

struct group_answer {
  errc code = errc::ok;
  group::v1::Answer answer;  // when code is ok
};
using group_callback = std::function<void(group_answer&)>;

class group_port {
 public:
  virtual ~group_port() = default;
  /// The room of `request` decides the owner; call and epoch are filled in. Thread-safe; the callback comes once, on
  /// any thread, possibly before ask() returns.
  virtual void ask(group::v1::GroupRequest request, group_callback then) = 0;
};

/// Requests of one session node to one owner leave in the order of the calls; after a broken link or wrong_owner they
/// are sent again to whoever owns the room then, until the deadline.
class group_client final : public group_port {
 public:
  group_client(rpc::network& network, rpc::peer self, const clock& time, std::chrono::milliseconds deadline);
  ~group_client() override;

  void ask(group::v1::GroupRequest request, group_callback then) override;
  /// Supervisor only.
  void apply(const placement::snapshot_ptr& current);
  void sweep();
  void stop();

 private:
  class node_link;
  using group_sink = rpc::sink<group::v1::GroupRequest>;
  struct entry {
    group::v1::GroupRequest request;
    group_callback then;
    clock::time_point deadline;
    std::string sent_to;  // node; empty: not sent
  };
  struct node_entry {
    std::string address;
    std::unique_ptr<rpc::link> link;
  };
  using lock = std::unique_lock<std::mutex>;

  void send_unsent(lock& held);
  void on_reply(const std::string& node, group::v1::GroupReply& reply);

  rpc::network& network_;
  const rpc::peer self_;
  const clock& time_;
  const std::chrono::milliseconds deadline_;
  std::mutex mutex_;  // guards what follows; not held during calls to sinks and callbacks
  placement::snapshot_ptr snapshot_ = std::make_shared<const placement::snapshot>();
  std::map<uint64_t, entry> entries_;
  std::map<std::string, std::shared_ptr<group_sink>> sinks_;
  uint64_t last_call_ = 0;
  bool sending_ = false;
  bool stopped_ = false;
  std::map<std::string, node_entry> nodes_;  // supervisor only
};

}  // namespace tern::session
