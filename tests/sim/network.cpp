#include "tests/sim/network.hpp"

#include <algorithm>

#include "libs/rpc/streams.hpp"
#include "tests/sim/network_streams.hpp"
#include "tests/sim/process.hpp"

namespace tern::sim {

using namespace std::chrono_literals;
using rpc::detail::item_list;
using rpc::detail::raw_sink;
using rpc::detail::receiver;

namespace {

constexpr size_t queue_most = 65'536;
constexpr duration retry_first = 50ms, retry_most = 1s;
constexpr duration no_route = 1s;  // an attempt without an answer is given up after that

std::string host_of(const std::string& address) { return address.starts_with("sim:") ? address.substr(4) : address; }
/// For the trace: the last word of a method.
const char* short_name(const std::string& method) { return method.c_str() + method.rfind('/') + 1; }

}  // namespace

/// What a client wants: one stream after the other.
struct network::link_state {
  rpc::peer self;
  host* client = nullptr;
  uint64_t life = 0;
  std::string server;
  std::string method;
  std::shared_ptr<receiver> handler;
  stream_ptr current;
  bool ended = false;
  uint64_t tries = 0;
  duration pause = retry_first;
};

class network::sim_sink final : public raw_sink {
 public:
  sim_sink(network& net, const stream_ptr& on, bool up) : net_(net), stream_(on), up_(up) {}

  bool send(google::protobuf::MessageLite& item) override {
    const auto on = stream_.lock();
    if (!on || !open(*on)) return false;
    auto list = way(*on).handler ? way(*on).handler->make_list() : nullptr;
    if (!list) {
      net_.nobody_there(on, way(*on), back(*on));
      return true;
    }
    list->append(item);
    return net_.send(on, way(*on), std::move(list));
  }
  bool send_all(item_list& items) override {
    const auto on = stream_.lock();
    if (!on || !open(*on)) return false;
    auto list = way(*on).handler ? way(*on).handler->make_list() : nullptr;
    if (!list) {
      net_.nobody_there(on, way(*on), back(*on));
      items.clear();
      return true;
    }
    if (way(*on).queued + items.size() > queue_most) return false;
    list->append_all(items);
    return net_.send(on, way(*on), std::move(list));
  }
  void close() override {
    const auto on = stream_.lock();
    if (!on || !open(*on)) return;
    closed_ = true;
    flow& out = way(*on);
    if (!out.lost && !out.ending) {
      out.ending = true;
      out.end_due = std::max(out.last_due, net_.world_.now()) + net_.latency();
      net_.schedule(on, out);
    }
    net_.lose(on, back(*on), net_.latency());
  }

 private:
  flow& way(stream& on) const { return up_ ? on.up : on.down; }
  flow& back(stream& on) const { return up_ ? on.down : on.up; }
  /// The end that sends has not been told of the end.
  bool open(stream& on) const {
    flow& in = back(on);
    return !closed_ && (in.handler != nullptr || !in.ready) && way(on).from->life == way(on).from_life &&
           way(on).from->up();
  }

  network& net_;
  const std::weak_ptr<stream> stream_;
  const bool up_;
  bool closed_ = false;
};

class network::sim_link final : public rpc::link {
 public:
  sim_link(network& net, link_ptr state) : net_(net), state_(std::move(state)) {}
  ~sim_link() override { net_.end_link(*state_); }

 private:
  network& net_;
  const link_ptr state_;
};

duration network::latency() {
  auto& random = world_.random();
  const duration usual = random.between(how_.latency_least, how_.latency_most);
  return random.chance(how_.slow) ? usual + random.between(0ms, how_.late) : usual;
}

// ---- items -------------------------------------------------------------------------------------------------------

bool network::send(const stream_ptr& on, flow& way, std::unique_ptr<item_list> items) {
  if (way.lost || way.ending) return true;
  if (way.queued + items->size() > queue_most) return false;
  if (bug_ != planted::none && !tamper(*on, way, *items)) return true;
  for (size_t i = 0; i < items->size(); ++i) {
    referee_.sent(*way.from, *way.to, way.to->incarnation_of(way.to_life), on->method, &way == &on->up, items->at(i));
  }
  way.queued += items->size();
  way.last_due = std::max(way.last_due, world_.now() + latency());
  way.chunks.push_back({way.last_due, std::move(items)});
  if (bug_ == planted::network_reorders && way.chunks.size() > 1 && world_.random().chance(0.1)) {
    std::swap(way.chunks[way.chunks.size() - 1].items, way.chunks[way.chunks.size() - 2].items);
  }
  schedule(on, way);
  return true;
}

void network::schedule(const stream_ptr& on, flow& way) {
  if (way.pumping || !way.ready || !way.handler) return;
  if (way.chunks.empty() && !way.ending) return;
  way.pumping = true;
  const duration due = way.chunks.empty() ? way.end_due : way.chunks.front().due;
  world_.after(std::max<duration>(due - world_.now(), 0ns), [this, on, &way] {
    way.to->run(way.to_life, [this, on, &way] {
      way.pumping = false;
      pump(on, way);
    });
  });
}

void network::pump(const stream_ptr& on, flow& way) {
  if (!way.handler) return;
  if (blocked(way.from->name, way.to->name) && !way.end_local) return;  // unblock() comes back to it
  const auto handler = way.handler;
  auto all = handler->make_list();
  while (!way.chunks.empty() && way.chunks.front().due <= world_.now()) {
    way.queued -= way.chunks.front().items->size();
    all->append_all(*way.chunks.front().items);
    way.chunks.pop_front();
  }
  if (all->size() > 0) {
    world_.trace("%s > %s %s: %zu", way.from->name.c_str(), way.to->name.c_str(), short_name(on->method),
                 all->size());
    hand_over(*on, way, *handler, *all);
  }
  if (way.chunks.empty() && way.ending && way.end_due <= world_.now()) return deliver_end(on, way);
  schedule(on, way);
}

void network::deliver_end(const stream_ptr& on, flow& way) {
  const auto handler = std::exchange(way.handler, nullptr);
  if (!handler) return;
  world_.trace("%s: stream %s with %s down", way.to->name.c_str(), short_name(on->method), way.from->name.c_str());
  const bool at_client = &way == &on->down;
  const auto link = at_client ? on->link.lock() : nullptr;
  if (link && link->current == on) link->current = nullptr;
  handler->down();
  if (link && !link->ended) retry(link);
}

void network::lose(const stream_ptr& on, flow& way, duration end_after) {
  if (!way.handler) return;
  const size_t kept = world_.random().below(way.chunks.size() + 1);
  while (way.chunks.size() > kept) {
    way.queued -= way.chunks.back().items->size();
    way.chunks.pop_back();
  }
  way.lost = way.ending = true;
  way.end_due = world_.now() + end_after;
  if (!way.chunks.empty()) way.end_due = std::max(way.end_due, way.chunks.back().due);
  schedule(on, way);
}

/// The other end is gone and this one does not know yet. A machine that came back answers with a reset.
void network::nobody_there(const stream_ptr& on, flow& out, flow& in) {
  const bool came_back = out.to->life != out.to_life && out.to->up();
  if (came_back && !blocked(out.from->name, out.to->name) && !blocked(out.to->name, out.from->name)) {
    lose(on, in, latency() + latency());
  }
}

void network::cut(const stream_ptr& on) {
  lose(on, on->up, latency());
  lose(on, on->down, latency());
}

/// Both ends find out for themselves.
void network::silent(const stream_ptr& on) {
  for (flow* way : {&on->up, &on->down}) {
    way->end_local = true;
    way->queued = 0;
    way->chunks.clear();
    lose(on, *way, world_.random().between(0ms, 500ms));
    way->pumping = false;
    schedule(on, *way);
  }
}

// ---- links -------------------------------------------------------------------------------------------------------

void network::raw_serve(const std::string& own_address, const std::string& method, rpc::detail::raw_accept accept) {
  offers_[{host_of(own_address), method}] = std::move(accept);
}

void network::raw_withdraw(const std::string& own_address, const std::string& method) {
  const std::string name = host_of(own_address);
  offers_.erase({name, method});
  for (const auto& each : live()) {
    if (each->method != method || each->up.to->name != name) continue;
    each->up.handler = nullptr;
    lose(each, each->down, latency());
  }
}

std::unique_ptr<rpc::link> network::raw_connect(const rpc::peer& self, const std::string& address,
                                                const std::string& method, std::shared_ptr<receiver> client) {
  auto state = std::make_shared<link_state>();
  state->self = self;
  state->client = world_.find(self.node);
  state->life = state->client->life;
  state->server = host_of(address);
  state->method = method;
  state->handler = std::move(client);
  std::erase_if(links_, [](const auto& each) { return each.expired(); });
  links_.push_back(state);
  world_.after(latency(), [this, state] { state->client->run(state->life, [this, state] { attempt(state); }); });
  return std::make_unique<sim_link>(*this, state);
}

void network::attempt(const link_ptr& which) {
  if (which->ended || which->current) return;
  host* server = world_.find(which->server);
  const auto& client = which->client->name;
  if (server == nullptr || blocked(client, which->server) || blocked(which->server, client)) {
    world_.after(no_route, [this, which] { retry(which); });
    return;
  }
  const uint64_t number = ++which->tries;
  world_.after(latency(), [this, which, server] {
    if (!server->up()) return retry(which);
    server->run(server->life, [this, which] { arrive(which); });
  });
  // Nobody answers while the machine is stopped, or when its process dies then.
  world_.after(no_route * 3, [this, which, number] {
    if (which->tries == number && !which->current) retry(which);
  });
}

void network::arrive(const link_ptr& which) {
  if (which->ended || which->current) return;
  host* server = world_.find(which->server);
  const auto offer = offers_.find({which->server, which->method});
  if (offer == offers_.end()) return retry(which);
  auto made = std::make_shared<stream>();
  made->method = which->method;
  made->link = which;
  made->up.from = made->down.to = which->client;
  made->up.to = made->down.from = server;
  made->up.from_life = made->down.to_life = which->life;
  made->up.to_life = made->down.from_life = server->life;
  made->down.handler = which->handler;
  which->current = made;
  auto handler = offer->second(which->self, std::make_shared<sim_sink>(*this, made, false));
  if (!handler) {
    which->current = nullptr;
    made->down.handler = nullptr;
    return retry(which);
  }
  made->up.handler = std::move(handler);
  made->up.ready = true;
  std::erase_if(streams_, [](const auto& each) { return !each->up.handler && !each->down.handler; });
  streams_.push_back(made);
  const duration later = latency();
  world_.after(later, [this, which, made] {
    which->client->run(which->life, [this, which, made] { established(which, made); });
  });
}

void network::established(const link_ptr& which, const stream_ptr& made) {
  if (which->ended || which->current != made) {
    lose(made, made->up, latency());
    return;
  }
  world_.trace("%s: stream %s with %s up", which->client->name.c_str(), short_name(which->method),
               which->server.c_str());
  which->pause = retry_first;
  made->down.ready = true;
  which->handler->up(std::make_shared<sim_sink>(*this, made, true));
  schedule(made, made->down);
}

void network::retry(const link_ptr& which) {
  if (which->ended) return;
  const duration pause = world_.random().between(which->pause / 2, which->pause);
  which->pause = std::min(which->pause * 2, retry_most);
  world_.after(pause, [this, which] { which->client->run(which->life, [this, which] { attempt(which); }); });
}

void network::end_link(link_state& which) {
  if (std::exchange(which.ended, true)) return;
  const auto on = std::exchange(which.current, nullptr);
  if (!on) return;
  const auto handler = std::exchange(on->down.handler, nullptr);
  lose(on, on->up, latency());
  if (handler && on->down.ready && which.client->up() && which.client->life == which.life) handler->down();
}

// ---- faults ------------------------------------------------------------------------------------------------------

/// A copy: what is done with a stream may make others.
const std::vector<network::stream_ptr> network::live() { return streams_; }

size_t network::streams() const {
  return static_cast<size_t>(std::count_if(streams_.begin(), streams_.end(),
                                           [](const auto& each) { return each->up.handler && each->down.handler; }));
}

void network::block(const std::string& from, const std::string& to) {
  if (!blocked_.insert({from, to}).second) return;
  world_.trace("nothing gets from %s to %s", from.c_str(), to.c_str());
  for (const auto& each : live()) {
    const bool between = (each->up.from->name == from && each->up.to->name == to) ||
                         (each->up.from->name == to && each->up.to->name == from);
    if (!between) continue;
    world_.after(keepalive(), [this, each, from, to] {
      if (blocked(from, to)) silent(each);
    });
  }
}

void network::unblock(const std::string& from, const std::string& to) {
  if (blocked_.erase({from, to}) == 0) return;
  world_.trace("%s reaches %s again", from.c_str(), to.c_str());
  for (const auto& each : live()) {
    for (flow* way : {&each->up, &each->down}) {
      if (way->from->name == from && way->to->name == to) schedule(each, *way);
    }
  }
}

void network::unblock_all() {
  while (!blocked_.empty()) {
    const auto [from, to] = *blocked_.begin();
    unblock(from, to);
  }
}

void network::break_streams(const std::string& one, const std::string& other) {
  for (const auto& each : live()) {
    const auto& client = each->up.from->name;
    const auto& server = each->up.to->name;
    if ((client == one && server == other) || (client == other && server == one)) cut(each);
  }
}

void network::died(host& of) {
  std::erase_if(offers_, [&](const auto& each) { return each.first.first == of.name; });
  for (const auto& each : links_) {
    if (const auto link = each.lock(); link && link->client == &of && link->life == of.life) link->ended = true;
  }
  const bool machine = world_.random().chance(0.15);
  for (const auto& each : live()) {
    flow* in = each->up.to == &of && each->up.to_life == of.life       ? &each->up
               : each->down.to == &of && each->down.to_life == of.life ? &each->down
                                                                       : nullptr;
    if (in == nullptr) continue;
    flow& out = in == &each->up ? each->down : each->up;
    in->handler = nullptr;
    in->chunks.clear();
    in->lost = true;
    if (machine) {
      world_.after(keepalive(), [this, each, &out] {
        out.end_local = true;
        lose(each, out, 0ms);
      });
    } else {
      lose(each, out, latency());
    }
  }
}

void network::stopped(host& which) {
  for (const auto& each : live()) {
    if (each->up.from != &which && each->up.to != &which) continue;
    world_.after(keepalive(), [this, each, &which] {
      if (which.paused()) silent(each);
    });
  }
}

}  // namespace tern::sim
