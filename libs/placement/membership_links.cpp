// The links of a node to the replicas of routing: who is asked, when, and who is given up.
#include <algorithm>

#include "libs/log/log.hpp"
#include "libs/placement/membership_impl.hpp"

namespace tern::placement {
namespace {

constexpr auto heartbeat_every = std::chrono::seconds(2);
constexpr auto ask_again = std::chrono::milliseconds(200);  // a replica that did not lead
constexpr auto look_every = std::chrono::milliseconds(100);
/// A replica that does not answer for so long is given up for the others: hung, or cut off from here.
constexpr auto silence = std::chrono::seconds(3);
/// A link to an address that is not in the list must find a leader in this time.
constexpr auto hint_time = std::chrono::seconds(2);
const log::logger logger{"membership"};

/// What comes on one link.
class attempt_handler final : public rpc::client_handler<rpc::join_stream> {
 public:
  template <class Impl>
  attempt_handler(std::shared_ptr<Impl> owner, uint64_t number)
      : up_([owner, number](join_sink_ptr to) { owner->up(number, std::move(to)); }),
        items_([owner, number](std::vector<rpc::join_stream::down>& items) { owner->items(number, items); }),
        down_([owner, number] { owner->down(number); }) {}
  void on_up(join_sink_ptr out) override { up_(std::move(out)); }
  void on_items(std::vector<rpc::join_stream::down>& items) override { items_(items); }
  void on_down() override { down_(); }

 private:
  const std::function<void(join_sink_ptr)> up_;
  const std::function<void(std::vector<rpc::join_stream::down>&)> items_;
  const std::function<void()> down_;
};

}  // namespace

membership::impl::attempt* membership::impl::find(uint64_t number) {
  const auto at =
      std::find_if(attempts.begin(), attempts.end(), [&](const attempt& each) { return each.number == number; });
  return at == attempts.end() ? nullptr : &*at;
}

membership::impl::attempt* membership::impl::leader() {
  const auto at = std::find_if(attempts.begin(), attempts.end(), [](const attempt& each) { return each.leased; });
  return at == attempts.end() ? nullptr : &*at;
}

void membership::impl::up(uint64_t number, join_sink_ptr to) {
  rpc::join_stream::up hello, heartbeat;
  std::optional<rpc::join_stream::up> shards;
  const auto load = what.load ? what.load() : 0;
  {
    const std::lock_guard lock(mutex);
    auto* at = find(number);
    if (at == nullptr) return;
    at->out = to;
    at->stream = ++numbers;
    at->sent.clear();
    at->leased = at->refused = false;
    trust.up(at->stream, at->replica, time.now());
    hello = hello_item();
    shards = served;
    heartbeat = heartbeat_item(*at);
  }
  heartbeat.mutable_heartbeat()->set_load(load);
  to->send(std::move(hello));
  if (shards) to->send(std::move(*shards));
  to->send(std::move(heartbeat));
}

void membership::impl::down(uint64_t number) {
  bool led = false;
  {
    const std::lock_guard lock(mutex);
    auto* at = find(number);
    if (at == nullptr) return;
    if (!at->refused) trust.broke(at->stream, time.now());
    led = at->leased && !stopped;
    at->leased = false;
    at->out.reset();
    at->sent.clear();
    look_now = true;
    changed.notify_all();
  }
  if (led) logger.warn("routing is away; the last maps stay in use", {{"routing", what.routing_address}});
}

void membership::impl::not_leader(uint64_t number, const std::string& leader) {
  join_sink_ptr out;
  {
    const std::lock_guard lock(mutex);
    auto* at = find(number);
    if (at == nullptr || at->refused) return;
    trust.not_leader(at->stream, time.now());
    at->refused = true;
    out = at->out;
    const bool listed = std::find(addresses.begin(), addresses.end(), leader) != addresses.end();
    if (!leader.empty() && !listed) hint = leader;
    look_now = true;
    changed.notify_all();
  }
  if (out) out->close();
}

void membership::impl::send_up(const rpc::join_stream::up& item) {
  std::vector<join_sink_ptr> to;
  {
    const std::lock_guard lock(mutex);
    const auto* led = leader();
    for (const auto& each : attempts) {
      if (each.out && (led == nullptr || led == &each)) to.push_back(each.out);
    }
  }
  for (const auto& each : to) each->send(item);
}

void membership::impl::beat() {
  const auto load = what.load ? what.load() : 0;
  std::vector<std::pair<join_sink_ptr, rpc::join_stream::up>> out;
  {
    const std::lock_guard lock(mutex);
    for (auto& each : attempts) {
      if (each.out && !each.refused) out.emplace_back(each.out, heartbeat_item(each));
    }
  }
  for (auto& [to, item] : out) {
    item.mutable_heartbeat()->set_load(load);
    to->send(std::move(item));
  }
}

std::vector<std::unique_ptr<rpc::link>> membership::impl::drop_unwanted() {
  std::vector<std::unique_ptr<rpc::link>> ending;
  const auto at_present = now();
  const auto* led = leader();
  for (auto at = attempts.begin(); at != attempts.end();) {
    const bool spare = led != nullptr && led != &*at;
    const bool silent = addresses.size() > 1 && !at->sent.empty() && time.now() - at->sent.front().second >= silence;
    const bool astray = at->replica == lease_trust::unlisted && !at->leased && at_present - at->begun >= hint_time;
    if (!at->refused && !spare && !silent && !astray) {
      ++at;
      continue;
    }
    if (silent) logger.warn("routing is silent", {{"routing", at->address}});
    if (at->out && !at->refused) trust.abandoned(at->stream, time.now());
    if (at->replica != lease_trust::unlisted) try_again[at->replica] = at_present + ask_again;
    ending.push_back(std::move(at->link));
    at = attempts.erase(at);
  }
  return ending;
}

uint64_t membership::impl::add(size_t replica, const std::string& address) {
  attempt made;
  made.number = ++numbers;
  made.replica = replica;
  made.address = address;
  made.begun = now();
  attempts.push_back(std::move(made));
  return numbers;
}

std::vector<std::pair<uint64_t, std::string>> membership::impl::add_wanted() {
  std::vector<std::pair<uint64_t, std::string>> made;
  if (leader() != nullptr) return made;
  const auto at_present = now();
  const auto asked = [&](const std::string& address) {
    return std::any_of(attempts.begin(), attempts.end(), [&](const auto& each) { return each.address == address; });
  };
  for (size_t i = 0; i < addresses.size(); ++i) {
    if (at_present >= try_again[i] && !asked(addresses[i])) made.emplace_back(add(i, addresses[i]), addresses[i]);
  }
  if (!hint.empty() && !asked(hint)) made.emplace_back(add(lease_trust::unlisted, hint), hint);
  hint.clear();
  return made;
}

void membership::impl::arrange() {
  std::vector<std::unique_ptr<rpc::link>> ending;
  std::vector<std::pair<uint64_t, std::string>> wanted;
  {
    const std::lock_guard lock(mutex);
    look_now = false;
    ending = drop_unwanted();
    wanted = add_wanted();
  }
  ending.clear();
  for (auto& [number, address] : wanted) {
    auto link = net.connect<rpc::join_stream>(what.self, address,
                                              std::make_shared<attempt_handler>(shared_from_this(), number));
    const std::lock_guard lock(mutex);
    if (auto* at = find(number)) at->link = std::move(link);
  }
}

membership::impl::real::time_point membership::impl::next_look() const {
  const auto at_present = now();
  const bool led = std::any_of(attempts.begin(), attempts.end(), [](const auto& each) { return each.leased; });
  if (led) return at_present + (addresses.size() > 1 ? std::chrono::milliseconds(500) : heartbeat_every);
  // A single replica's link comes back by itself.
  return at_present + (addresses.size() > 1 || attempts.empty() ? look_every : heartbeat_every);
}

void membership::impl::run() {
  auto next_beat = real::now() + heartbeat_every;
  std::unique_lock lock(mutex);
  while (!stopped) {
    const auto until = std::min(next_beat, next_look());
    changed.wait_until(lock, until, [this] { return stopped || look_now; });
    if (stopped) return;
    lock.unlock();
    arrange();
    if (real::now() >= next_beat) {
      beat();
      next_beat += heartbeat_every;
    }
    lock.lock();
  }
}

void membership::impl::start() {
  arrange();
  const std::lock_guard lock(mutex);
  thread = std::thread([self = shared_from_this()] { self->run(); });
}

void membership::impl::step() {
  {
    const std::lock_guard lock(mutex);
    if (stopped) return;
    if (!std::exchange(stepped, true)) beat_at = now() + heartbeat_every;
    if (!look_now && now() < look_at && now() < beat_at) return;
  }
  arrange();
  if (now() >= beat_at) {
    beat();
    beat_at += heartbeat_every;
  }
  const std::lock_guard lock(mutex);
  look_at = next_look();
}

void membership::impl::stop() {
  {
    const std::lock_guard lock(mutex);
    if (stopped) return;
    stopped = true;
  }
  changed.notify_all();
  if (thread.joinable()) thread.join();
  rpc::join_stream::up item;
  item.mutable_leave();
  send_up(item);
  std::unique_lock lock(mutex);
  std::vector<join_sink_ptr> open;
  for (const auto& each : attempts) {
    if (each.out) open.push_back(each.out);
  }
  lock.unlock();
  for (const auto& each : open) each->close();
  lock.lock();  // until the goodbye has left; a routing that hangs does not hold us up
  if (!stepped)
    changed.wait_for(lock, std::chrono::milliseconds(500), [this] {
      return std::none_of(attempts.begin(), attempts.end(), [](const auto& each) { return each.out != nullptr; });
    });
  auto ending = std::move(attempts);
  attempts.clear();
  lock.unlock();
  ending.clear();
}

}  // namespace tern::placement
