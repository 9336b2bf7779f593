#include "tests/sim/storage_process.hpp"

#include <utility>

#include "services/storage/convert.hpp"
#include "services/storage/cursor_fence.hpp"
#include "services/storage/logic/reads.hpp"

namespace tern::sim {

using namespace std::chrono_literals;

namespace {
constexpr duration tick_every = 200ms;
}

/// The server side of Exchange. After close() nothing that still comes is done: it is asked again on the next stream.
class storage_process::exchange final : public rpc::server_handler<rpc::storage_stream> {
 public:
  class ended_sink final : public storage::reply_sink {
   public:
    explicit ended_sink(std::shared_ptr<storage::reply_sink> to) : to_(std::move(to)) {}
    bool send(storage::v1::StorageReply item) override { return to_->send(std::move(item)); }
    bool send_all(std::vector<storage::v1::StorageReply>& items) override { return to_->send_all(items); }
    void close() override {
      ended = true;
      to_->close();
    }
    bool ended = false;

   private:
    const std::shared_ptr<storage::reply_sink> to_;
  };

  exchange(storage_process& owner, rpc::peer from, std::shared_ptr<storage::reply_sink> out)
      : owner_(owner), from_(std::move(from)), out_(std::make_shared<ended_sink>(std::move(out))) {}
  void on_items(std::vector<storage::v1::StorageRequest>& items) override {
    if (out_->ended) return;
    std::map<std::string, std::vector<storage::v1::StorageRequest>> by_shard;
    for (auto& item : items) by_shard[item.shard()].push_back(std::move(item));
    std::vector<storage::answer> refused;
    for (auto& [shard, list] : by_shard) {
      std::erase_if(list, [&](storage::v1::StorageRequest& item) {
        if (!item.has_cursor_put() || storage::may_put_cursor(*owner_.map_, from_, item.cursor_put())) return false;
        refused.push_back(storage::refuse(item, out_, errc::unavailable, owner_.on().in().time().now()));
        return true;
      });
      const auto at = owner_.shards_.find(shard);
      if (at != owner_.shards_.end()) at->second.port->admit(std::move(list), out_, refused);
    }
    storage::send_answers(refused);
  }
  void on_down() override {
    for (auto& [name, shard] : owner_.shards_) shard.port->forget(out_);
  }

 private:
  storage_process& owner_;
  const rpc::peer from_;
  const std::shared_ptr<ended_sink> out_;
};

storage_process::storage_process(host& on, network& net, disks& all, std::function<bool()> lease_valid)
    : process(on),
      net_(net),
      disks_(all),
      self_{"storage", on.name, on.incarnation()},
      lease_valid_(std::move(lease_valid)),
      storage_metrics_(std::make_shared<storage::storage_metrics>(metrics_)) {
  const clock& time = on.in().time();
  for (const auto& name : all.names()) {
    auto& made = shards_[name];
    made.metrics = std::make_shared<storage::shard_metrics>(metrics_, name);
    made.port = std::make_shared<storage::shard_port>(
        name, storage::port_options{}, time,
        [this, name](storage::v1::StorageRequest&& message, const std::shared_ptr<storage::reply_sink>& to,
                     clock::time_point) { read(name, std::move(message), to); });
  }
  net_.serve<rpc::storage_stream>(
      "sim:" + on.name,
      [this](const rpc::peer& from,
             std::shared_ptr<storage::reply_sink> out) -> std::shared_ptr<rpc::server_handler<rpc::storage_stream>> {
        return std::make_shared<exchange>(*this, from, std::move(out));
      });
  tick();
}

storage_process::~storage_process() {
  *alive_ = false;
  links_.clear();
  // Whoever is killed does not finish its work: no last commit.
  for (auto& [name, each] : shards_) {
    if (each.epoch == 0) continue;
    caf::anon_send_exit(each.writer, caf::exit_reason::kill);
    caf::anon_send_exit(each.dispatcher, caf::exit_reason::kill);
    each.writer = each.dispatcher = nullptr;
  }
  settle();
}

void storage_process::tick() {
  host& where = on();
  where.in().after(tick_every, [this, alive = alive_, &where, life = where.life] {
    if (!*alive) return;
    where.run(life, [this, alive] {
      if (!*alive) return;
      for (auto& [name, each] : shards_) {
        std::vector<storage::answer> refused;
        each.port->suspend(!lease_valid_(), refused);
        each.port->expire(refused);
        storage::send_answers(refused);
      }
      follow_shards();
      tick();
    });
  });
}

void storage_process::read(const std::string& name, storage::v1::StorageRequest&& message,
                           const std::shared_ptr<storage::reply_sink>& to) {
  auto reply = storage::reply_to(message);
  if (message.has_password_login()) {
    const auto known = disks_.accounts.find(message.password_login().name_key());
    if (known == disks_.accounts.end()) {
      reply.set_code(static_cast<int32_t>(errc::no_pass));
    } else {
      reply.mutable_logged_in()->set_account(known->second.value);
    }
  } else {
    const auto in = disks_.reader(name);
    auto done = storage::execute_read(*in, message);
    reply = done ? *std::move(done) : storage::reply_to(message, errc::database);
  }
  if (!to->send(std::move(reply))) to->close();
}

void storage_process::on_map(const placement::snapshot_ptr& current) {
  if (current->version <= map_->version) return;
  map_ = current;
  for (auto& [name, each] : shards_) {
    if (each.epoch != 0) caf::anon_send(each.dispatcher, storage::map_message{current});
  }
  follow_sessions();
  follow_shards();
}

void storage_process::follow_sessions() {
  for (auto at = links_.begin(); at != links_.end();) {
    if (map_->find_node(at->first) != nullptr) {
      ++at;
      continue;
    }
    at->second.reset();
    hub_->down(at->first);
    at = links_.erase(at);
  }
  for (const auto& node : map_->nodes) {
    if (node.service != "session" || !node.alive || links_.contains(node.name)) continue;
    links_[node.name] = net_.connect<rpc::deliver_stream>(
        self_, node.address, std::make_shared<storage::delivery_client>(hub_, node.name));
  }
}

void storage_process::follow_shards() {
  const auto* me = map_->find_node(self_.node);
  const bool former_life = me != nullptr && me->incarnation != self_.incarnation;
  for (auto& [name, each] : shards_) {
    const auto* known = map_->find_shard(name);
    const bool mine = known != nullptr && known->owner == self_.node && !former_life;
    if (each.epoch != 0 && (!mine || each.epoch != known->epoch)) stop(name, each);
    if (known == nullptr) continue;
    if (!mine) {
      std::vector<storage::answer> refused;
      each.port->close(known->epoch, refused);
      storage::send_answers(refused);
    } else if (each.epoch == 0 && each.port->may_open(known->epoch)) {
      start(name, each, known->epoch);
    }
  }
}

void storage_process::stop(const std::string& name, shard& which) {
  std::vector<storage::answer> refused;
  which.port->close(which.epoch, refused);
  storage::send_answers(refused);
  caf::anon_send(which.writer, storage::stop_message{});
  hub_->leave(name, which.dispatcher);
  caf::anon_send(which.dispatcher, storage::stop_message{});
  which.epoch = 0;
  which.writer = which.dispatcher = nullptr;
}

void storage_process::start(const std::string& name, shard& which, uint64_t epoch) {
  which.epoch = epoch;
  const clock& time = on().in().time();
  which.dispatcher = actors().spawn(storage::dispatcher_behavior,
                                    storage::dispatcher_setup{name, epoch, &time, {}, which.metrics, map_});
  storage::writer_setup setup;
  setup.options.shard = name;
  setup.options.epoch = epoch;
  setup.time = &time;
  setup.open = [this, name, epoch] { return disks_.writer(name, epoch, on()); };
  setup.port = which.port;
  setup.metrics = which.metrics;
  setup.service_metrics = storage_metrics_;
  setup.dispatcher = which.dispatcher;
  setup.counters = std::make_shared<storage::shard_counters>(epoch);
  which.writer = actors().spawn(storage::writer_behavior, std::move(setup));
  // Its pauses must not depend on the machine's dice.
  using writer_actor = actor::stateful<storage::writer_state>;
  auto& state = dynamic_cast<writer_actor&>(*caf::actor_cast<caf::abstract_actor*>(which.writer)).state;
  state.pause = backoff{std::chrono::milliseconds{10}, std::chrono::milliseconds{250}, on().in().random().next()};
  caf::anon_send(which.dispatcher, storage::writer_message{which.writer});
  hub_->join(name, which.dispatcher);
  on().in().trace("%s serves %s in epoch %llu", self_.node.c_str(), name.c_str(),
                  static_cast<unsigned long long>(epoch));
  std::vector<storage::answer> refused;
  which.port->open(
      epoch,
      [writer = which.writer](std::vector<storage::write_request>&& items) {
        caf::anon_send(
            writer, storage::write_message{std::make_shared<storage::write_parcel>(std::move(items), caf::actor{})});
      },
      refused);
  storage::send_answers(refused);
}

}  // namespace tern::sim
