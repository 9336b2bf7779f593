#include "libs/handover/mover.hpp"

#include "libs/log/log.hpp"

namespace tern::handover {
namespace {

constexpr std::chrono::seconds link_kept{30};
constexpr size_t waiting_most = 1024;  // items for a link that is not up yet
const log::logger logger{"handover"};

}  // namespace

/// Called with the lock held: queues.
class mover::source_effects final : public source_port {
 public:
  explicit source_effects(mover& owner) : owner_(owner) {}

  void send(const placement::move_order& to, v1::HandoverItem item) override { owner_.send(to, std::move(item)); }
  void freeze(const placement::move_order& what, uint32_t format) override {
    owner_.later([this, what, format] {
      const size_t keys = owner_.service_.freeze(what, format);
      lock held(owner_.mutex_);
      owner_.source_.told(what.move, keys, owner_.time_.now());
      owner_.run(held);
    });
  }
  void thaw(const placement::move_order& what, bool all) override {
    owner_.later([this, what, all] { owner_.service_.thaw(what, all); });
  }
  void end(const placement::move_order& what) override {
    owner_.later([this, what] { owner_.service_.end(what); });
  }
  void answer(const placement::move_result& result) override {
    owner_.later([this, result] {
      logger.info("range handed over", {{"move", result.move},
                                        {"code", to_string(result.code)},
                                        {"states", result.moved},
                                        {"frozen_us", result.frozen.count()}});
      owner_.service_.answer(result);
    });
  }
  void count(fate what, uint64_t states) override { owner_.service_.count(what, states); }
  void frozen(std::chrono::nanoseconds time) override { owner_.service_.frozen(time); }

 private:
  mover& owner_;
};

/// The same.
class mover::target_effects final : public target_port {
 public:
  explicit target_effects(mover& owner) : owner_(owner) {}

  void send(uint64_t stream, v1::HandoverReply reply) override {
    const auto at = owner_.streams_.find(stream);
    if (at == owner_.streams_.end()) return;
    owner_.later([to = at->second, reply = std::move(reply)] {
      if (!to->send(reply)) to->close();
    });
  }
  void decided(std::vector<uint64_t> keys) override {
    owner_.later([this, keys = std::move(keys)] { owner_.service_.decided(keys); });
  }
  void count(fate what, uint64_t states) override { owner_.service_.count(what, states); }

 private:
  mover& owner_;
};

mover::mover(rpc::peer self, const clock& time, service_port& service, const mover_options& options)
    : self_(std::move(self)),
      time_(time),
      service_(service),
      options_(options),
      source_effects_(std::make_unique<source_effects>(*this)),
      target_effects_(std::make_unique<target_effects>(*this)),
      source_(*source_effects_, options.format, options.bounds),
      target_(*target_effects_, options.format, options.bounds) {}

mover::~mover() = default;

void mover::run(lock& held) {
  away_.store(source_.any_away() ? 1 : 0, std::memory_order_release);
  expected_.store(target_.expects_any() ? 1 : 0, std::memory_order_release);
  parked_.store(target_.parked(), std::memory_order_release);
  const bool wake = !stopped_ && !awake_ && (source_.busy() || target_.busy());
  if (wake) {
    awake_ = true;
    later([this] { service_.wake(); });
  }
  if (running_) return held.unlock();
  running_ = true;
  while (!effects_.empty()) {
    std::deque<std::function<void()>> now;
    now.swap(effects_);
    held.unlock();
    for (const auto& one : now) one();
    held.lock();
  }
  running_ = false;
  held.unlock();
}

void mover::order(const placement::move_order& what) {
  const uint64_t keys = service_.keys(what.first, what.last);
  lock held(mutex_);
  if (stopped_ || what.kind != options_.kind) return;
  bool owned = what.target != self_.node;
  for (uint64_t slot = what.first; owned && slot <= what.last;) {
    const placement::range* range = map_.find(static_cast<slot_type>(slot));
    owned = range != nullptr && range->owner == self_.node && range->epoch == what.epoch;
    if (owned) slot = uint64_t{range->last} + 1;
  }
  source_.order(what, owned, keys, time_.now());
  run(held);
}

void mover::apply(const placement::snapshot& map) {
  lock held(mutex_);
  map_ = options_.kind == placement::range_kind::sessions ? map.sessions : map.groups;
  const auto now = time_.now();
  source_.on_map(map_, self_.node, now);
  target_.on_map(map_, self_.node, now);
  run(held);
}

void mover::tick() {
  lock held(mutex_);
  const auto now = time_.now();
  source_.tick(now);
  target_.tick(now);
  awake_ = source_.busy() || target_.busy();
  std::vector<std::unique_ptr<rpc::link>> ended;
  if (source_.open() == 0) {
    for (auto at = links_.begin(); at != links_.end();) {
      if (now - at->second.used < link_kept) {
        ++at;
        continue;
      }
      ended.push_back(std::move(at->second.link));
      at = links_.erase(at);
    }
  }
  run(held);
}

bool mover::busy() const {
  const lock held(mutex_);
  return source_.busy() || target_.busy();
}

bool mover::wanted() const {
  const lock held(mutex_);
  return source_.wanted(time_.now());
}

bool mover::put(uint64_t move, uint64_t key, uint32_t format, std::string body) {
  v1::State state;
  state.set_key(key);
  state.set_format(format);
  state.set_checksum(checksum(body));
  state.set_body(std::move(body));
  lock held(mutex_);
  const bool taken = !stopped_ && source_.put(move, std::move(state), time_.now());
  run(held);
  return taken;
}

void mover::skip(uint64_t move, bool cold) {
  lock held(mutex_);
  source_.skip(move, cold, time_.now());
  run(held);
}

void mover::spoil(slot_type slot) {
  lock held(mutex_);
  source_.spoil(slot, time_.now());
  run(held);
}

bool mover::away(slot_type slot) const {
  if (away_.load(std::memory_order_acquire) == 0) return false;
  const lock held(mutex_);
  return source_.away(slot);
}

found mover::take(uint64_t key, uint32_t& format, std::string& body) {
  if (!any_parked()) return found::nothing;
  v1::State state;
  lock held(mutex_);
  const found there = target_.take(key, state, time_.now());
  parked_.store(target_.parked(), std::memory_order_release);
  held.unlock();  // no effects: the caller may hold a lock of its directory
  if (there == found::state) {
    format = state.format();
    body = std::move(*state.mutable_body());
  }
  return there;
}

bool mover::expects(slot_type slot) const {
  if (expected_.load(std::memory_order_acquire) == 0) return false;
  const lock held(mutex_);
  return target_.expects(slot);
}

void mover::stop() {
  std::map<std::string, outgoing> ended;
  lock held(mutex_);
  stopped_ = true;
  ended.swap(links_);
  streams_.clear();
  effects_.clear();
  held.unlock();
  ended.clear();
}

// ---- streams ----

void mover::send(const placement::move_order& to, v1::HandoverItem item) {
  outgoing& way = links_[to.target];
  way.used = time_.now();
  std::unique_ptr<rpc::link> old;
  if (!to.address.empty() && way.address != to.address) {
    way.address = to.address;
    way.to.reset();
    later([old = std::shared_ptr<rpc::link>(std::move(way.link))]() mutable { old.reset(); });
    way.waiting.clear();
    later([this, target = to.target] { connect(target); });
  }
  if (!way.to) {
    if (way.waiting.size() < waiting_most) way.waiting.push_back(std::move(item));
    return;
  }
  later([sink = way.to, item = std::move(item)]() mutable {
    if (!sink->send(std::move(item))) sink->close();
  });
}

void mover::connect(const std::string& target) {
  std::string address;
  {
    const lock held(mutex_);
    const auto at = links_.find(target);
    if (at == links_.end() || stopped_) return;
    address = at->second.address;
  }
  auto made = open(target, address);  // on_up may come before this returns
  const lock held(mutex_);
  const auto at = links_.find(target);
  if (at != links_.end() && at->second.address == address && !stopped_) at->second.link.swap(made);
}

void mover::on_up(const std::string& target, up_sink to) {
  lock held(mutex_);
  const auto at = links_.find(target);
  if (at == links_.end()) return;
  at->second.to = to;
  later([to, items = std::exchange(at->second.waiting, {})]() mutable {
    if (!items.empty() && !to->send_all(items)) to->close();
  });
  run(held);
}

void mover::on_replies(const std::string& target, std::vector<v1::HandoverReply>& replies) {
  lock held(mutex_);
  const auto now = time_.now();
  for (const v1::HandoverReply& one : replies) source_.on_reply(target, one, now);
  run(held);
}

void mover::on_link_down(const std::string& target) {
  lock held(mutex_);
  const auto at = links_.find(target);
  if (at != links_.end()) {
    at->second.to.reset();
    at->second.waiting.clear();
  }
  source_.on_down(target, time_.now());
  run(held);
}

uint64_t mover::accept(down_sink to) {
  const lock held(mutex_);
  streams_[++next_stream_] = std::move(to);
  return next_stream_;
}

void mover::on_items(uint64_t stream, std::vector<v1::HandoverItem>& items) {
  const bool willing = service_.willing();
  lock held(mutex_);
  const auto now = time_.now();
  for (v1::HandoverItem& one : items) target_.on_item(stream, one, willing && !stopped_, now);
  run(held);
}

void mover::on_stream_down(uint64_t stream) {
  lock held(mutex_);
  streams_.erase(stream);
  target_.on_down(stream, time_.now());
  run(held);
}

}  // namespace tern::handover
