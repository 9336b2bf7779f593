// What the server sides of Exchange and Relay have in common: a batch is posted to the actors of its rooms, what was
// refused is answered at once, and what is for a range on its way here waits for it.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "libs/actor/inline_run.hpp"
#include "libs/rpc/network.hpp"
#include "services/group/environment.hpp"
#include "services/group/links/parking.hpp"

namespace tern::group {

/// `Kind`: the stream kind; `Stream`: an incoming_stream of it; `Directory`: of the actors. `env` outlives it.
/// Batches come one after the other, on a transport thread; look_again() from the supervisor's.
template <class Kind, class Stream, class Directory>
class request_handler : public rpc::server_handler<Kind>,
                        public parking::waiter,
                        public std::enable_shared_from_this<request_handler<Kind, Stream, Directory>> {
 public:
  using stream_ptr = std::shared_ptr<Stream>;
  using request = typename Kind::up;
  using reply = typename Kind::down;
  /// Told of the end of the stream.
  using watch = std::function<void(const stream_ptr&)>;

  request_handler(const environment& env, Directory& to, stream_ptr stream, watch gone)
      : env_(env), stream_(std::move(stream)), to_(to), gone_(std::move(gone)) {}

  void on_items(std::vector<request>& items) override {
    const actor::inline_scope here(env_.actors, items.size() <= few_items);
    work now{env_.cluster->get()};
    {
      const std::lock_guard held(mutex_);
      release(now);
      now.mails.reserve(now.mails.size() + items.size());
      for (request& item : items) {
        if (!parked_.empty() && behind_parked(room_of(item))) {
          park(std::move(item), now);
        } else {
          decide(item, now);
        }
      }
      if (!now.mails.empty()) to_.post(now.mails);  // under the lock: nothing may overtake
    }
    send(now.refused);
  }

  bool look_again() override {
    work now{env_.cluster->get()};
    bool more = false;
    {
      const std::lock_guard held(mutex_);
      release(now);
      if (!now.mails.empty()) to_.post(now.mails);
      more = !parked_.empty();
    }
    send(now.refused);
    return more;
  }

  void on_down() override {
    stream_->up = false;
    {
      const std::lock_guard held(mutex_);
      parked_.clear();
      parked_bytes_ = 0;
    }
    gone_(stream_);
  }

 protected:
  using mail_list = std::vector<typename Directory::addressed>;
  /// One round: what is to be posted and what is to be answered at once.
  struct work {
    placement::snapshot_ptr map;
    mail_list mails = {};
    std::vector<reply> refused = {};
  };

  virtual room_id room_of(const request& item) const = 0;
  /// Ours: into the mails, or refused because there is too much.
  virtual void take(request& item, work& now) = 0;
  virtual void refuse(const request& item, errc code, work& now) = 0;

  const environment& env_;
  const stream_ptr stream_;

 private:
  /// A link that brought no more runs the rooms itself.
  static constexpr size_t few_items = 4;
  static constexpr size_t parked_items = 4096;

  struct waiting {
    request item;
    clock::time_point due;
    size_t bytes = 0;
  };

  void decide(request& item, work& now) {
    const room_id room = room_of(item);
    if (owns(env_, *now.map, room, item.epoch())) return take(item, now);
    if (comes(env_, *now.map, room, item.epoch())) return park(std::move(item), now);
    auto newest = env_.cluster->get();
    if (newest->version != now.map->version) {  // it came while we looked
      now.map = std::move(newest);
      if (owns(env_, *now.map, room, item.epoch())) return take(item, now);
    }
    refuse(item, errc::wrong_owner, now);
  }

  bool behind_parked(room_id room) const {
    return std::any_of(parked_.begin(), parked_.end(), [&](const waiting& one) { return room_of(one.item) == room; });
  }

  void park(request&& item, work& now) {
    const size_t bytes = item.ByteSizeLong();
    if (parked_.size() >= parked_items || parked_bytes_ + bytes > env_.config.room_queue_bytes) {
      return refuse(item, errc::overload, now);
    }
    if (parked_.empty()) env_.parking->add(this->weak_from_this());
    parked_bytes_ += bytes;
    parked_.push_back({std::move(item), env_.time.now() + parked_most, bytes});
  }

  void release(work& now) {
    if (parked_.empty()) return;
    const auto at = env_.time.now();
    std::deque<waiting> kept;
    for (waiting& one : parked_) {
      const room_id room = room_of(one.item);
      if (owns(env_, *now.map, room, one.item.epoch())) {
        take(one.item, now);
      } else if (at < one.due && comes(env_, *now.map, room, one.item.epoch())) {
        kept.push_back(std::move(one));
        continue;
      } else {
        refuse(one.item, errc::wrong_owner, now);
      }
      parked_bytes_ -= one.bytes;
    }
    parked_.swap(kept);
  }

  void send(std::vector<reply>& refused) {
    if (!refused.empty() && !stream_->out->send_all(refused)) stream_->out->close();
  }

  Directory& to_;
  const watch gone_;
  std::mutex mutex_;
  std::deque<waiting> parked_;
  size_t parked_bytes_ = 0;
};

/// Makes a Handler for each new stream; `service` is who is at the other end, for the log.
template <class Kind, class Stream, class Handler, class Directory>
rpc::accept_function<Kind> acceptor_of(const environment& env, Directory& to, const char* service,
                                       std::function<void(const std::shared_ptr<Stream>&)> gone) {
  return [&env, &to, service, gone = std::move(gone)](
             const rpc::peer& who,
             std::shared_ptr<rpc::sink<typename Kind::down>> out) -> std::shared_ptr<rpc::server_handler<Kind>> {
    auto stream = std::make_shared<Stream>();
    stream->node = who.node;
    stream->incarnation = who.incarnation;
    stream->out = std::move(out);
    env.log.info("attached", {{service, stream->node}});
    return std::make_shared<Handler>(env, to, std::move(stream), gone);
  };
}

}  // namespace tern::group
