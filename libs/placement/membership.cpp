#include "libs/placement/membership.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "libs/log/log.hpp"
#include "libs/placement/convert.hpp"
#include "libs/rpc/streams.hpp"

namespace tern::placement {
namespace {

constexpr auto heartbeat_every = std::chrono::seconds(2);
constexpr auto lease_trusted = std::chrono::seconds(4);
constexpr size_t remembered_heartbeats = 64;
const log::logger logger{"membership"};

using sink_ptr = std::shared_ptr<rpc::sink<rpc::join_stream::up>>;

}  // namespace

/// Also the handler of the Join stream. The mutex is never held while a sink or the view is called.
struct membership::impl final : rpc::client_handler<rpc::join_stream>, std::enable_shared_from_this<impl> {
  impl(rpc::network& network, const clock& clock_used, membership_options options)
      : net(network), time(clock_used), what(std::move(options)) {}

  void on_up(std::shared_ptr<rpc::sink<rpc::join_stream::up>> to) override;
  void on_items(std::vector<rpc::join_stream::down>& items) override;
  void on_down() override;

  void start();
  void stop();
  void leave();
  void move_done(const move_result& result);
  void beat();
  rpc::join_stream::up hello_item() const;
  void renewed(const routing::v1::Lease& lease);
  void apply(const routing::v1::Snapshot& from);
  void run_beats();
  int64_t age_ms() const;
  /// lease_valid(), with the mutex held.
  bool valid() const;

  rpc::network& net;
  const clock& time;
  const membership_options what;
  view maps;

  mutable std::mutex mutex;
  std::condition_variable changed;
  sink_ptr out;
  bool leaving = false;
  bool stopped = false;
  bool renewed_once = false;
  uint64_t sequence = 0;
  std::deque<std::pair<uint64_t, clock::time_point>> sent;  // heartbeats not answered yet
  clock::time_point renewed_at{};                           // send time of the newest one answered
  bool routing_died = false;                                // the stream broke while the lease was good
  clock::time_point returned_at{};                          // when it was back after that
  std::unique_ptr<rpc::link> link;
  std::thread beats;
};

void membership::impl::on_up(std::shared_ptr<rpc::sink<rpc::join_stream::up>> to) {
  rpc::join_stream::up hello;
  {
    const std::lock_guard lock(mutex);
    out = to;
    sent.clear();
    if (std::exchange(routing_died, false)) returned_at = time.now();
    hello = hello_item();
  }
  to->send(std::move(hello));
  beat();
  logger.info("joined", {{"routing", what.routing_address}});
}

rpc::join_stream::up membership::impl::hello_item() const {
  rpc::join_stream::up item;
  auto& hello = *item.mutable_hello();
  hello.set_service(what.self.service);
  hello.set_node(what.self.node);
  hello.set_incarnation(what.self.incarnation);
  hello.set_address(what.address);
  for (const auto& name : what.shards) hello.add_shards(name);
  hello.set_slots_wanted(what.slots_wanted && !leaving);
  return item;
}

void membership::impl::on_items(std::vector<rpc::join_stream::down>& items) {
  for (const auto& item : items) {
    if (item.has_lease()) {
      renewed(item.lease());
    } else if (item.has_snapshot()) {
      apply(item.snapshot());
    }
  }
}

void membership::impl::on_down() {
  {
    const std::lock_guard lock(mutex);
    routing_died = valid();
    out.reset();
    sent.clear();
    changed.notify_all();
    if (stopped) return;
  }
  logger.warn("routing is away; the last maps stay in use", {{"routing", what.routing_address}});
}

void membership::impl::renewed(const routing::v1::Lease& lease) {
  const std::lock_guard lock(mutex);
  while (!sent.empty() && sent.front().first <= lease.sequence()) {
    if (sent.front().first == lease.sequence()) {
      renewed_at = sent.front().second;
      renewed_once = true;
    }
    sent.pop_front();
  }
}

void membership::impl::apply(const routing::v1::Snapshot& from) {
  auto next = from_proto(from);
  if (!next) {
    logger.error("routing sent maps that make no sense", {{"version", from.version()}, {"why", next.error().detail}});
    return;
  }
  maps.publish(*next);
}

void membership::impl::beat() {
  sink_ptr to;
  rpc::join_stream::up item;
  {
    const std::lock_guard lock(mutex);
    if (!out) return;
    to = out;
    item.mutable_heartbeat()->set_sequence(++sequence);
    item.mutable_heartbeat()->set_map_version(maps.get()->version);
    sent.emplace_back(sequence, time.now());
    if (sent.size() > remembered_heartbeats) sent.pop_front();
  }
  to->send(std::move(item));
}

void membership::impl::run_beats() {
  std::unique_lock lock(mutex);
  while (!stopped) {
    if (changed.wait_for(lock, heartbeat_every, [this] { return stopped; })) return;
    lock.unlock();
    beat();
    lock.lock();
  }
}

void membership::impl::start() {
  auto made = net.connect<rpc::join_stream>(what.self, what.routing_address, shared_from_this());
  const std::lock_guard lock(mutex);
  link = std::move(made);
  beats = std::thread([this] { run_beats(); });
}

void membership::impl::leave() {
  sink_ptr to;
  rpc::join_stream::up hello;
  {
    const std::lock_guard lock(mutex);
    if (leaving) return;
    leaving = true;
    to = out;
    hello = hello_item();
  }
  if (to) to->send(std::move(hello));
}

void membership::impl::move_done(const move_result& result) {
  rpc::join_stream::up item;
  auto& told = *item.mutable_move_result();
  told.set_move(result.move);
  told.set_code(static_cast<int32_t>(result.code));
  told.set_moved(result.moved);
  told.set_frozen_us(static_cast<uint64_t>(result.frozen.count()));
  sink_ptr to;
  {
    const std::lock_guard lock(mutex);
    to = out;
  }
  if (to) to->send(std::move(item));
}

void membership::impl::stop() {
  sink_ptr to;
  std::unique_ptr<rpc::link> ending;
  {
    const std::lock_guard lock(mutex);
    if (stopped) return;
    stopped = true;
    to = out;
    ending = std::move(link);
  }
  changed.notify_all();
  if (beats.joinable()) beats.join();
  if (to) {
    rpc::join_stream::up item;
    item.mutable_leave();
    to->send(std::move(item));
    to->close();
    std::unique_lock lock(mutex);  // until the goodbye has left; a routing that hangs does not hold us up
    changed.wait_for(lock, std::chrono::milliseconds(500), [this, &to] { return out != to; });
  }
  ending.reset();
}

int64_t membership::impl::age_ms() const {
  const std::lock_guard lock(mutex);
  if (!renewed_once) return -1;
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.now() - renewed_at).count();
}

bool membership::impl::valid() const {
  if (!renewed_once) return false;
  return routing_died || time.now() - std::max(renewed_at, returned_at) < lease_trusted;
}

membership::membership(rpc::network& network, const clock& time, membership_options what)
    : impl_(std::make_shared<impl>(network, time, std::move(what))) {}

membership::~membership() { stop(); }

void membership::start() { impl_->start(); }
view& membership::cluster() noexcept { return impl_->maps; }
int64_t membership::lease_age_ms() const { return impl_->age_ms(); }
void membership::leave() { impl_->leave(); }
void membership::move_done(const move_result& result) { impl_->move_done(result); }
void membership::stop() { impl_->stop(); }

bool membership::lease_valid() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->valid();
}

}  // namespace tern::placement
