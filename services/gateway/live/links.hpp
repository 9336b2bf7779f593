// Links to group nodes, made when a virtual room of the node is first needed. Requests are queued under locks and
// sent outside of them, since inside one process sending runs the other side's handler.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "libs/placement/view.hpp"
#include "libs/rpc/network.hpp"
#include "libs/rpc/streams.hpp"
#include "services/gateway/live/room.hpp"

namespace tern::gateway::live {

/// What the links tell their owner. Calls come on transport threads (or the sender's), one at a time per link, and
/// never while a link's lock is held.
class link_events {
 public:
  virtual void on_link_up(uint32_t link) = 0;
  virtual void on_link_down(const place& stream) = 0;
  virtual void on_replies(const place& stream, std::vector<group::v1::LiveReply>& items) = 0;

 protected:
  ~link_events() = default;
};

/// Thread-safe.
class group_links {
 public:
  group_links(rpc::network& network, rpc::peer self, link_events& events);
  ~group_links();

  /// The map for place_of(); links to nodes that are gone, or have moved, end.
  void apply(const placement::snapshot_ptr& current);
  /// Where the slot's requests go now: without a stream (and epoch) while there is none to the owner (or no owner). A
  /// missing link is noted for flush() to make.
  place place_of(uint64_t vroom);
  /// Queues a request; a push is dropped (`full`) when there is too much before it.
  enum class queued : uint8_t { ok, full, no_stream };
  queued queue(const place& to, const group::v1::LiveRequest& request);
  /// Makes links that were missing and sends what is queued. Not while holding a lock that link_events' calls take.
  void flush();
  /// Ends all links for good.
  void clear();

 private:
  class one_link;
  struct entry {
    std::string address;
    std::shared_ptr<one_link> handler;
    std::unique_ptr<rpc::link> link;
  };

  void make_wanted();

  rpc::network& network_;
  const rpc::peer self_;
  link_events& events_;
  mutable std::mutex mutex_;
  placement::snapshot_ptr map_ = std::make_shared<const placement::snapshot>();
  std::map<std::string, entry, std::less<>> links_;  // by node
  std::map<uint32_t, std::shared_ptr<one_link>> by_number_;
  std::set<std::string> wanted_;
  uint32_t next_ = 1;
  bool closed_ = false;
};

}  // namespace tern::gateway::live
