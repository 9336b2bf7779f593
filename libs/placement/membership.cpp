#include "libs/placement/membership.hpp"

#include <utility>

#include "libs/log/log.hpp"
#include "libs/placement/convert.hpp"
#include "libs/placement/membership_impl.hpp"

namespace tern::placement {
namespace {

constexpr size_t remembered_heartbeats = 64;
const log::logger logger{"membership"};

move_order order_of(const routing::v1::MoveOrder& from) {
  move_order to;
  to.move = from.move();
  to.kind = from.kind() == routing::v1::MoveOrder::GROUPS ? range_kind::groups : range_kind::sessions;
  to.first = from.first();
  to.last = from.last();
  to.epoch = from.epoch();
  to.target = from.target();
  to.address = from.address();
  return to;
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> out;
  std::string one;
  for (const char c : list + ",") {
    if (c == ' ') continue;
    if (c != ',') {
      one += c;
    } else if (!one.empty()) {
      out.push_back(std::exchange(one, {}));
    }
  }
  return out;
}

}  // namespace

membership::impl::impl(rpc::network& network, const clock& clock_used, membership_options options)
    : net(network),
      time(clock_used),
      what(std::move(options)),
      addresses(split(what.routing_address)),
      try_again(addresses.size()),
      trust(addresses.size()) {}

void membership::impl::items(uint64_t number, std::vector<rpc::join_stream::down>& items) {
  for (const auto& item : items) {
    if (item.has_lease()) {
      renewed(number, item.lease());
    } else if (item.has_snapshot()) {
      take(item.snapshot());
    } else if (item.has_delta()) {
      take(number, item.delta());
    } else if (item.has_move()) {
      if (what.on_move) what.on_move(order_of(item.move()));
    } else if (item.has_shards()) {
      if (what.on_shards) what.on_shards(item.shards());
    } else if (item.has_shard_move()) {
      if (what.on_shard_move) what.on_shard_move(item.shard_move());
    } else if (item.has_drain()) {
      if (what.on_drain) what.on_drain(item.drain().on());
    } else if (item.has_not_leader()) {
      not_leader(number, item.not_leader().address());
    }
  }
}

void membership::impl::renewed(uint64_t number, const routing::v1::Lease& lease) {
  const std::lock_guard lock(mutex);
  auto* at = find(number);
  if (at == nullptr) return;
  while (!at->sent.empty() && at->sent.front().first <= lease.sequence()) {
    if (at->sent.front().first == lease.sequence()) {
      trust.leased(at->stream, at->sent.front().second);
      if (!std::exchange(at->leased, true)) {
        logger.info("joined", {{"routing", at->address}});
        look_now = true;
        changed.notify_all();
      }
    }
    at->sent.pop_front();
  }
}

void membership::impl::take(const routing::v1::Snapshot& from) {
  auto next = from_proto(from);
  if (!next) {
    logger.error("routing sent maps that make no sense", {{"version", from.version()}, {"why", next.error().detail}});
    return;
  }
  maps.publish(*next);
}

void membership::impl::take(uint64_t number, const routing::v1::Delta& from) {
  const auto now = maps.get();
  if (from.version() <= now->version) return;
  auto next = apply(*now, from_proto(from));
  if (next) {
    maps.publish(*next);
    return;
  }
  if (next.code() != errc::stale_epoch) {
    logger.error("routing sent a change that makes no sense",
                 {{"version", from.version()}, {"why", next.error().detail}});
  }
  join_sink_ptr to;
  {
    const std::lock_guard lock(mutex);
    if (const auto* at = find(number)) to = at->out;
  }
  rpc::join_stream::up item;
  item.mutable_map_wanted();
  if (to) to->send(std::move(item));
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
  hello.set_moves(what.on_move != nullptr);
  return item;
}

rpc::join_stream::up membership::impl::heartbeat_item(attempt& on) {
  rpc::join_stream::up item;
  auto& beat = *item.mutable_heartbeat();
  beat.set_sequence(++sequence);
  beat.set_map_version(maps.get()->version);
  on.sent.emplace_back(sequence, time.now());
  if (on.sent.size() > remembered_heartbeats) on.sent.pop_front();
  return item;
}

void membership::impl::leave() {
  rpc::join_stream::up hello;
  {
    const std::lock_guard lock(mutex);
    if (leaving) return;
    leaving = true;
    hello = hello_item();
  }
  send_up(hello);
}

void membership::impl::move_done(const move_result& result) {
  rpc::join_stream::up item;
  auto& told = *item.mutable_move_result();
  told.set_move(result.move);
  told.set_code(static_cast<int32_t>(result.code));
  told.set_moved(result.moved);
  told.set_frozen_us(static_cast<uint64_t>(result.frozen.count()));
  send_up(item);
}

void membership::impl::shard_moved(const routing::v1::ShardMoveProgress& progress) {
  rpc::join_stream::up item;
  *item.mutable_shard_move() = progress;
  send_up(item);
}

void membership::impl::shards_served(const routing::v1::ShardsServed& all) {
  rpc::join_stream::up item;
  *item.mutable_shards_served() = all;
  {
    const std::lock_guard lock(mutex);
    served = item;
  }
  send_up(item);
}

int64_t membership::impl::age_ms() const {
  const std::lock_guard lock(mutex);
  const auto renewed = trust.renewed_at();
  if (!renewed) return -1;
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.now() - *renewed).count();
}

membership::membership(rpc::network& network, const clock& time, membership_options what)
    : impl_(std::make_shared<impl>(network, time, std::move(what))) {}

membership::~membership() { stop(); }

void membership::start() { impl_->start(); }
void membership::step() { impl_->step(); }
view& membership::cluster() noexcept { return impl_->maps; }
int64_t membership::lease_age_ms() const { return impl_->age_ms(); }
void membership::leave() { impl_->leave(); }
void membership::move_done(const move_result& result) { impl_->move_done(result); }
void membership::shard_moved(const routing::v1::ShardMoveProgress& progress) { impl_->shard_moved(progress); }
void membership::shards_served(const routing::v1::ShardsServed& all) { impl_->shards_served(all); }
void membership::stop() { impl_->stop(); }

bool membership::lease_valid() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->trust.valid(impl_->time.now());
}

}  // namespace tern::placement
