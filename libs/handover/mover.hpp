// Both sides of moves for a service: the logic of source.hpp and target.hpp behind one lock, and the streams between
// the nodes. A session node has one, a group node has one.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "libs/handover/source.hpp"
#include "libs/handover/target.hpp"
#include "libs/rpc/network.hpp"
#include "libs/rpc/streams.hpp"

namespace tern::handover {

/// What a service does for its mover. Called from any thread, never under a lock of the mover; must not block.
class service_port {
 public:
  virtual ~service_port() = default;
  /// Tells everything of slots first..last that is here to stand still (one mail per actor); each answers with put()
  /// or skip() of the mover, exactly once, unless thaw() or end() comes first. Returns how many were told.
  virtual size_t freeze(const placement::move_order& what, uint32_t format) = 0;
  /// See source_port.
  virtual void thaw(const placement::move_order& what, bool all) = 0;
  virtual void end(const placement::move_order& what) = 0;
  /// membership::move_done().
  virtual void answer(const placement::move_result& result) = 0;
  /// See target_port: one mail to the actor of each key, if there is one.
  virtual void decided(std::vector<uint64_t> keys) = 0;
  /// Keys here in slots first..last, about.
  virtual uint64_t keys(slot_type first, slot_type last) = 0;
  /// False while the node drains: it takes no ranges.
  virtual bool willing() = 0;
  /// tick() is wanted every ten milliseconds or so, as long as busy().
  virtual void wake() = 0;
  virtual void count(fate what, uint64_t states) = 0;
  virtual void frozen(std::chrono::nanoseconds time) = 0;
};

struct mover_options {
  placement::range_kind kind = placement::range_kind::sessions;
  uint32_t format = 1;  // of the states this version writes; it reads all up to it
  limits bounds = {};
};

/// Thread-safe. Use links<S>. Create, serve(), and call stop() before what it refers to goes.
class mover {
 public:
  mover(rpc::peer self, const clock& time, service_port& service, const mover_options& options);
  virtual ~mover();
  mover(const mover&) = delete;
  mover& operator=(const mover&) = delete;

  // ---- from routing ----
  void order(const placement::move_order& what);
  /// Of the view's subscription, or soon after.
  void apply(const placement::snapshot& map);
  void tick();
  bool busy() const;

  // ---- source: for what was told to stand still ----
  /// True: the state is on its way; nothing may happen to the key any more but its end. False: it goes on.
  bool put(uint64_t move, uint64_t key, uint32_t format, std::string body);
  /// Nothing to hand over; `cold`: there would have been something.
  void skip(uint64_t move, bool cold);
  /// A key that has handed over its state lost it (its actor died).
  void spoil(slot_type slot);
  /// The slot was claimed by another node, which the maps here do not say yet: answer wrong_owner. Cheap.
  bool away(slot_type slot) const;

  /// Something of this side is under way, or a target is still to be told that its states count: do not stop yet.
  bool wanted() const;

  // ---- target ----
  /// When a key's actor begins. `body` and `format` are set for found::state.
  found take(uint64_t key, uint32_t& format, std::string& body);
  /// The slot, not ours yet, is on its way here. Cheap.
  bool expects(slot_type slot) const;
  /// There are states nobody has asked for yet. Cheap; false most of the time.
  bool any_parked() const noexcept { return parked_.load(std::memory_order_acquire) != 0; }

  /// Ends all links; no call of the service follows. Idempotent.
  virtual void stop();

 protected:
  using up_sink = std::shared_ptr<rpc::sink<v1::HandoverItem>>;
  using down_sink = std::shared_ptr<rpc::sink<v1::HandoverReply>>;

  /// Opens a link whose handler calls the on_… below with `target`.
  virtual std::unique_ptr<rpc::link> open(const std::string& target, const std::string& address) = 0;
  void on_up(const std::string& target, up_sink to);
  void on_replies(const std::string& target, std::vector<v1::HandoverReply>& replies);
  void on_link_down(const std::string& target);
  uint64_t accept(down_sink to);
  void on_items(uint64_t stream, std::vector<v1::HandoverItem>& items);
  void on_stream_down(uint64_t stream);
  const rpc::peer& self() const noexcept { return self_; }

 private:
  using lock = std::unique_lock<std::mutex>;
  struct outgoing {
    std::string address;
    std::unique_ptr<rpc::link> link;
    up_sink to;
    std::vector<v1::HandoverItem> waiting;  // until it is up
    clock::time_point used;
  };
  class source_effects;
  class target_effects;

  void send(const placement::move_order& to, v1::HandoverItem item);
  void connect(const std::string& target);
  /// Does what was queued, in order, in one thread at a time; gives the lock back.
  void run(lock& held);
  template <class Call>
  void later(Call what) {
    effects_.emplace_back(std::move(what));
  }

  const rpc::peer self_;
  const clock& time_;
  service_port& service_;
  const mover_options options_;
  mutable std::mutex mutex_;
  std::unique_ptr<source_effects> source_effects_;
  std::unique_ptr<target_effects> target_effects_;
  source source_;
  target target_;
  std::map<std::string, outgoing> links_;  // by target
  std::map<uint64_t, down_sink> streams_;
  placement::range_map map_;
  std::deque<std::function<void()>> effects_;
  uint64_t next_stream_ = 0;
  bool running_ = false;
  bool stopped_ = false;
  bool awake_ = false;
  std::atomic<size_t> away_{0};
  std::atomic<size_t> expected_{0};
  std::atomic<size_t> parked_{0};
};

/// A mover over streams of kind S: rpc::session_handover_stream or rpc::group_handover_stream.
template <class S>
class links final : public mover {
 public:
  links(rpc::network& network, rpc::peer self, std::string address, const clock& time, service_port& service,
        const mover_options& options)
      : mover(std::move(self), time, service, options), network_(network), address_(std::move(address)) {}
  ~links() override { stop(); }

  /// Takes moves to this node.
  void serve() {
    served_ = true;
    network_.serve<S>(
        address_,
        [this](const rpc::peer&,
               std::shared_ptr<rpc::sink<typename S::down>> out) -> std::shared_ptr<rpc::server_handler<S>> {
          return std::make_shared<incoming>(*this, accept(std::move(out)));
        });
  }
  void stop() override {
    if (std::exchange(served_, false)) network_.withdraw<S>(address_);
    mover::stop();
  }

 private:
  class incoming final : public rpc::server_handler<S> {
   public:
    incoming(links& owner, uint64_t stream) : owner_(owner), stream_(stream) {}
    void on_items(std::vector<typename S::up>& items) override { owner_.on_items(stream_, items); }
    void on_down() override { owner_.on_stream_down(stream_); }

   private:
    links& owner_;
    const uint64_t stream_;
  };
  class to_target final : public rpc::client_handler<S> {
   public:
    to_target(links& owner, std::string target) : owner_(owner), target_(std::move(target)) {}
    void on_up(std::shared_ptr<rpc::sink<typename S::up>> out) override { owner_.on_up(target_, std::move(out)); }
    void on_items(std::vector<typename S::down>& items) override { owner_.on_replies(target_, items); }
    void on_down() override { owner_.on_link_down(target_); }

   private:
    links& owner_;
    const std::string target_;
  };

  std::unique_ptr<rpc::link> open(const std::string& target, const std::string& address) override {
    return network_.connect<S>(self(), address, std::make_shared<to_target>(*this, target));
  }

  rpc::network& network_;
  const std::string address_;
  bool served_ = false;
};

}  // namespace tern::handover
