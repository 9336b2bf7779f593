#include "services/storage/testing/move_world.hpp"

#include <algorithm>
#include <future>
#include <random>
#include <utility>

#include "libs/placement/convert.hpp"
#include "services/storage/config.hpp"

namespace tern::storage::testing {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

// ---- scripted_routing --------------------------------------------------------------------------------------------

struct scripted_routing::stream final : rpc::server_handler<rpc::join_stream> {
  stream(scripted_routing& to, std::string from, out_ptr back)
      : owner(to), node(std::move(from)), out(std::move(back)) {}
  void on_items(std::vector<rpc::join_stream::up>& items) override { owner.take(node, out, items); }
  void on_down() override {}
  scripted_routing& owner;
  const std::string node;
  const out_ptr out;
};

scripted_routing::scripted_routing(rpc::network& network) {
  network.serve<rpc::join_stream>("local:routing-0", [this](const rpc::peer& who, out_ptr out) {
    const std::lock_guard guard(mutex_);
    nodes_[who.node] = out;
    return std::make_shared<stream>(*this, who.node, std::move(out));
  });
}

void scripted_routing::take(const std::string& node, const out_ptr& out, std::vector<rpc::join_stream::up>& items) {
  const std::lock_guard guard(mutex_);
  for (auto& item : items) {
    rpc::join_stream::down back;
    if (item.has_hello() || item.has_map_wanted()) {
      *back.mutable_snapshot() = map_;
      out->send(back);
    } else if (item.has_heartbeat()) {
      back.mutable_lease()->set_sequence(item.heartbeat().sequence());
      back.mutable_lease()->set_duration_ms(6000);
      out->send(back);
    } else if (item.has_shard_move()) {
      said_.push_back(item.shard_move());
    } else if (item.has_shards_served()) {
      served_[node] = item.shards_served();
    }
  }
  wake_.notify_all();
}

void scripted_routing::publish(const placement::snapshot& map) {
  const std::lock_guard guard(mutex_);
  map_.Clear();
  placement::to_proto(map, map_);
  rpc::join_stream::down item;
  *item.mutable_snapshot() = map_;
  for (const auto& [node, out] : nodes_) out->send(item);
}

void scripted_routing::order(const std::string& node, const ShardMoveOrder& what) {
  const std::lock_guard guard(mutex_);
  rpc::join_stream::down item;
  *item.mutable_shard_move() = what;
  if (const auto at = nodes_.find(node); at != nodes_.end()) at->second->send(item);
}

void scripted_routing::list(const std::string& node, const routing::v1::ShardList& what) {
  const std::lock_guard guard(mutex_);
  rpc::join_stream::down item;
  *item.mutable_shards() = what;
  nodes_.at(node)->send(item);
}

std::optional<ShardMoveProgress> scripted_routing::wait_for(uint64_t move,
                                                            const std::set<ShardMoveProgress::State>& states,
                                                            std::chrono::milliseconds limit) {
  std::unique_lock guard(mutex_);
  std::optional<ShardMoveProgress> found;
  wake_.wait_for(guard, limit, [&] {
    for (const auto& one : said_) {
      if (one.move() == move && states.contains(one.state())) {
        found = one;
        return true;
      }
    }
    return false;
  });
  return found;
}

void scripted_routing::forget() {
  const std::lock_guard guard(mutex_);
  said_.clear();
}

std::optional<routing::v1::ShardHealth> scripted_routing::wait_for_shard(
    const std::string& node, const std::string& shard,
    const std::function<bool(const routing::v1::ShardHealth&)>& fits) {
  std::unique_lock guard(mutex_);
  std::optional<routing::v1::ShardHealth> found;
  wake_.wait_for(guard, 20s, [&] {
    for (const auto& one : served_[node].shards()) {
      if (one.name() == shard && fits(one)) found = one;
    }
    return found.has_value();
  });
  return found;
}

// ---- chatter -----------------------------------------------------------------------------------------------------

chatter::chatter(rpc::network& network, uint64_t seed)
    : client_(network, {"session", "session-0", 1}, system_clock(), {2s, 65'536, 50ms}), seed_(seed) {
  sweeper_ = std::thread([this] {
    while (!ended_) {
      client_.sweep();
      std::this_thread::sleep_for(5ms);
    }
  });
}

chatter::~chatter() {
  stop();
  ended_ = true;
  sweeper_.join();
  client_.stop();
}

errc chatter::ask(slot_type slot, v1::StorageRequest request, v1::StorageReply& reply) {
  struct outcome {
    std::promise<errc> code;
    v1::StorageReply reply;
  };
  const auto out = std::make_shared<outcome>();
  auto there = out->code.get_future();
  client_.ask(slot, std::move(request), shards::patience::deadline, [out](shards::storage_answer& got) {
    out->reply = std::move(got.reply);
    out->code.set_value(got.code);
  });
  const auto code = there.get();
  reply = std::move(out->reply);
  return code;
}

void chatter::write(talk& in) {
  const auto number = ++in.written;
  const std::string key = "k" + std::to_string(number);
  auto request = append(0, number % 2 == 0 ? in.one : in.other, number % 2 == 0 ? in.other : in.one, key,
                        "body " + std::to_string(number) + " of " + std::to_string(in.id.hi));
  to_proto(in.id, *request.mutable_append()->mutable_conversation());
  const auto body = request.append().body();
  const auto begun = steady::now();
  v1::StorageReply reply;
  const auto code = ask(slot_of(in.id), std::move(request), reply);
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(steady::now() - begun);
  const std::lock_guard guard(mutex_);
  longest_ = std::max(longest_, took);
  if (code != errc::ok) {
    ++failed;
    if (first_failure_.empty())
      first_failure_ = std::string(to_string(code)) + " after " + std::to_string(took.count());
    return;
  }
  ++acknowledged;
  in.acknowledged[reply.appended().mid()] = body;
}

void chatter::start(int threads, std::chrono::microseconds pause) {
  stopping_ = false;
  if (talks_.empty()) {
    talks_.resize(static_cast<size_t>(threads));
    std::mt19937_64 dice(seed_);
    for (auto& mine : talks_) {
      for (int i = 0; i < 24; ++i) mine.push_back({{dice() | 1U, dice() | 1U}, {dice() | 1U}, {dice() | 1U}, {}, 0});
    }
  }
  for (auto& mine : talks_) {
    threads_.emplace_back([this, &mine, pause] {
      for (size_t i = 0; !stopping_; ++i) {
        write(mine[i % mine.size()]);
        std::this_thread::sleep_for(pause);
      }
    });
  }
}

void chatter::stop() {
  stopping_ = true;
  for (auto& one : threads_) one.join();
  threads_.clear();
}

std::string chatter::first_failure() {
  const std::lock_guard guard(mutex_);
  return first_failure_;
}

std::chrono::microseconds chatter::longest(bool reset) {
  const std::lock_guard guard(mutex_);
  return reset ? std::exchange(longest_, std::chrono::microseconds{0}) : longest_;
}

std::set<std::pair<uint64_t, uint64_t>> chatter::acknowledged_places() {
  const std::lock_guard guard(mutex_);
  std::set<std::pair<uint64_t, uint64_t>> out;
  for (const auto& mine : talks_) {
    for (const auto& one : mine) {
      for (const auto& [mid, body] : one.acknowledged) out.emplace(one.id.hi, mid);
    }
  }
  return out;
}

size_t chatter::verify() {
  size_t messages = 0;
  for (const auto& mine : talks_) {
    for (const auto& one : mine) {
      std::map<uint64_t, std::string> there;
      uint64_t head = 0, reached = 0;
      do {
        v1::StorageRequest request;
        auto& read = *request.mutable_read();
        to_proto(one.id, *read.mutable_conversation());
        read.set_reader(one.one.value);
        read.set_from_mid(reached);
        read.set_limit(200);
        read.set_max_bytes(1U << 20U);
        v1::StorageReply reply;
        const auto code = ask(slot_of(one.id), std::move(request), reply);
        EXPECT_EQ(code, errc::ok) << to_string(code) << " for " << one.id.hi;
        if (code != errc::ok) return messages;
        head = reply.page().head();
        for (const auto& row : reply.page().rows()) there[row.mid()] = row.body();
        if (reply.page().reached() <= reached) break;
        reached = reply.page().reached();
      } while (reached < head);
      EXPECT_EQ(there.size(), head) << "a mid is missing in " << one.id.hi;
      for (const auto& [mid, body] : one.acknowledged) {
        const auto at = there.find(mid);
        EXPECT_TRUE(at != there.end() && at->second == body) << one.id.hi << " lost " << mid;
      }
      messages += there.size();
    }
  }
  return messages;
}

// ---- move_world --------------------------------------------------------------------------------------------------

move_world::move_world(world_options how) : how_(std::move(how)) {
  config_.shards = {"s0=" + how_.s0, "s1=" + how_.s1};
  config_.encryption_key = std::string(64, 'e');
  config_.login_threads = 1;
  publish();
  launch("storage-0");
  if (!how_.one_node) launch("storage-1");
  publish();
  chat = std::make_unique<chatter>(*network, 7);
  publish();
}

move_world::~move_world() {
  chat.reset();
  for (auto& [name, one] : services_) {
    if (one && one->it) one->it->stop();
  }
  network->stop();
  services_.clear();
}

void move_world::launch(const std::string& node) {
  auto& fresh = services_[node] = std::make_unique<running>();
  incarnation_[node] = ++incarnations_;
  fresh->with =
      std::make_unique<app::context>(app::context{system_clock(), fresh->registry, actors_, *network, fresh->health,
                                                  node, incarnation_[node], "local:" + node, "local:routing-0"});
  fresh->it = make_storage_service(*fresh->with, config_, {}, how_.moves);
  const auto started = fresh->it->start();
  ASSERT_TRUE(started) << started.error().detail;
  fresh->health.set_started();
}

void move_world::restart(const std::string& node) {
  services_[node]->it->stop();
  services_.erase(node);
  for (auto& [shard, epoch] : shard_epochs_) {
    if (node_of(shard) == node) ++epoch;
  }
  incarnation_[node] = incarnations_ + 1;
  publish();
  launch(node);
  publish();
}

void move_world::publish() {
  auto map = std::make_shared<placement::snapshot>();
  map->version = ++version_;
  map->nodes.push_back({"session-0", "session", "local:session-0", 1, true});
  for (const auto& [node, incarnation] : incarnation_) {
    map->nodes.push_back({node, "storage", "local:" + node, incarnation, true});
  }
  map->sessions = placement::range_map({{0, slot_count - 1, "session-0", 1}});
  map->storage = storage_;
  for (const auto& [shard, epoch] : shard_epochs_) map->shards.push_back({shard, node_of(shard), epoch});
  routing.publish(*map);
  if (chat) chat->apply(map);
}

void move_world::decide(slot_type first, slot_type last, const std::string& shard) {
  std::vector<placement::range> ranges;
  for (const auto& one : storage_.ranges()) {
    if (one.last < first || one.first > last) {
      ranges.push_back(one);
      continue;
    }
    if (one.first < first) ranges.push_back({one.first, first - 1, one.owner, one.epoch});
    if (one.last > last) ranges.push_back({last + 1, one.last, one.owner, one.epoch});
  }
  ranges.push_back({first, last, shard, ++range_epoch_});
  storage_ = placement::range_map(std::move(ranges));
  publish();
}

void move_world::order(ShardMoveOrder::Step step, uint64_t move, slot_type first, slot_type last, uint64_t back_of) {
  ShardMoveOrder out;
  out.set_move(move);
  out.set_step(step);
  out.set_first(first);
  out.set_last(last);
  out.set_source(back_of == 0 ? "s0" : "s1");
  out.set_target(back_of == 0 ? "s1" : "s0");
  out.set_epoch(range_epoch_);
  out.set_back_of(back_of);
  routing.order(node_of(step == ShardMoveOrder::OPEN ? out.target() : out.source()), out);
}

double move_world::metric(const std::string& node, const std::string& series) {
  const auto text = services_.at(node)->registry.render();
  const auto at = text.find("\n" + series + " ");
  return at == std::string::npos ? -1 : std::stod(text.substr(at + series.size() + 2));
}

}  // namespace tern::storage::testing
