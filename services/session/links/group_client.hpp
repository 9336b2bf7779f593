// The session node's side of rooms: requests to the owners of rooms, and the messages the owners send for the rooms
// with members on line here. One link per group node.
#pragma once

#include <tern/group/v1/group.pb.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
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
  uint64_t source = 0;       // the stream it came on; frames carry the same number
  uint64_t epoch = 0;        // of the range it was answered for
};
using group_callback = std::function<void(group_answer&)>;

class group_port {
 public:
  virtual ~group_port() = default;
  /// The room of `request` decides the owner; call and epoch are filled in. Thread-safe; the callback comes once, on
  /// any thread, possibly before ask() returns.
  virtual void ask(group::v1::GroupRequest request, group_callback then) = 0;
};

/// Who takes what owners send without being asked. Calls of one source come one after the other, in order with the
/// answers that came on it.
class group_listener {
 public:
  virtual ~group_listener() = default;
  /// May move out of `frame`.
  virtual void on_frame(uint64_t source, group::v1::RoomFrame& frame) = 0;
  virtual void on_gone(uint64_t source, const group::v1::RoomGone& gone) = 0;
  /// The stream ended: nothing comes from it any more.
  virtual void on_source_down(uint64_t source) = 0;
};

/// Requests for one room leave in the order of the calls, and no later one overtakes an earlier one: after a broken
/// link, wrong_owner or a change of the map they are sent again in that order to whoever owns the room then, until
/// their deadline. To an owner that has not yet answered for an epoch one request of a room goes alone, because
/// it may learn of the epoch between two of them. No lock is held while sinks, callbacks and the listener run.
class group_client final : public group_port {
 public:
  group_client(rpc::network& network, rpc::peer self, const clock& time, std::chrono::milliseconds deadline);
  ~group_client() override;

  /// Before the first apply(). `to` must outlive stop().
  void listen(group_listener& to) { listener_ = &to; }
  void ask(group::v1::GroupRequest request, group_callback then) override;
  /// Supervisor only.
  void apply(const placement::snapshot_ptr& current);
  void sweep();
  /// Requests without an answer.
  size_t waiting() const;
  void stop();

 private:
  class node_link;
  using group_sink = rpc::sink<group::v1::GroupRequest>;
  /// Whom a request was sent to: a stream, and the range it acts on.
  struct target {
    uint64_t source = 0;  // 0: nobody
    slot_type first = 0;
    uint64_t epoch = 0;
    auto operator<=>(const target&) const = default;
  };
  struct entry {
    group::v1::GroupRequest request;
    group_callback then;
    clock::time_point deadline;
    target sent;
    bool proven = false;  // the target had answered before this was sent
    bool doubt = false;   // its link broke while it was there
  };
  struct stream {
    std::shared_ptr<group_sink> out;
    uint64_t source = 0;
    bool blocked = false;  // its queue was full: nothing more is sent until the sweep
  };
  struct outgoing {
    uint64_t call = 0;
    std::string node;
    target to;
  };
  struct node_entry {
    std::string address;
    std::unique_ptr<rpc::link> link;
  };
  using lock = std::unique_lock<std::mutex>;

  void schedule(uint64_t room);
  void schedule_all();
  void send_scheduled(lock& held);
  void on_up(const std::string& node, uint64_t source, std::shared_ptr<group_sink> out);
  void on_down(const std::string& node, uint64_t source);
  void on_reply(uint64_t source, group::v1::GroupReply& reply);
  void on_answer(uint64_t source, group::v1::Answer& answer);
  group_callback take(uint64_t call);

  rpc::network& network_;
  const rpc::peer self_;
  const clock& time_;
  const std::chrono::milliseconds deadline_;
  group_listener* listener_ = nullptr;
  mutable std::mutex mutex_;  // guards what follows; not held during calls to sinks and callbacks
  placement::snapshot_ptr snapshot_ = std::make_shared<const placement::snapshot>();
  std::unordered_map<uint64_t, entry> entries_;               // by call
  std::unordered_map<uint64_t, std::deque<uint64_t>> rooms_;  // calls that are not answered, in order
  std::map<std::string, stream> streams_;                     // by node
  std::vector<target> proven_;                                // have answered with anything but wrong_owner
  std::deque<outgoing> scheduled_;
  uint64_t last_call_ = 0;
  uint64_t last_source_ = 0;
  clock::time_point repeat_at_{};  // after wrong_owner
  bool sending_ = false;
  bool stopped_ = false;
  std::map<std::string, node_entry> nodes_;  // supervisor only
};

}  // namespace tern::session
