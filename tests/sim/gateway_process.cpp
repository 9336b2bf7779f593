#include "tests/sim/gateway_process.hpp"

#include <algorithm>
#include <utility>

namespace tern::sim {

using namespace std::chrono_literals;

namespace {

constexpr duration wire_least = 100us, wire_most = 2ms;

/// The payloads of whole WebSocket messages, as websocket::append_message makes them.
std::string payload_of(std::string_view message) {
  size_t size = static_cast<uint8_t>(message[1]), head = 2;
  if (size >= 126) {
    const size_t digits = size == 126 ? 2 : 8;
    size = 0;
    for (size_t i = 0; i < digits; ++i) size = size << 8U | static_cast<uint8_t>(message.at(2 + i));
    head += digits;
  }
  return std::string(message.substr(head, size));
}

}  // namespace

// ---- socket ------------------------------------------------------------------------------------------------------

duration socket::next(duration& last) {
  last = std::max(last, world_.now() + world_.random().between(wire_least, wire_most));
  return last - world_.now();
}

void socket::send(std::string bytes) {
  if (closed_) return;
  world_.after(next(last_up_), [self = shared_from_this(), bytes = std::move(bytes)]() mutable {
    if (self->to_gateway_) self->to_gateway_(std::move(bytes));
  });
}

void socket::abort(duration noticed) {
  if (closed_) return;
  closed_ = true;
  user_ = nullptr;
  world_.after(noticed, [self = shared_from_this()] {
    if (self->broken_) self->broken_();
  });
}

void socket::to_user(std::string bytes) {
  if (user_ == nullptr) return;
  world_.after(next(last_down_), [self = shared_from_this(), bytes = std::move(bytes)] {
    if (self->user_ != nullptr) self->user_->on_message(bytes);
  });
}

void socket::close_to_user() {
  world_.after(next(last_down_), [self = shared_from_this()] {
    self->closed_ = true;
    if (auto* user = std::exchange(self->user_, nullptr)) user->on_closed();
  });
}

// ---- gateway -----------------------------------------------------------------------------------------------------

class gateway_process::connection final : public websocket::connection {
 public:
  connection(gateway_process& in, uint64_t id, std::shared_ptr<socket> to)
      : owner_(in), id_(id), socket_(std::move(to)), client_(*in.lane_) {}

  uint64_t id() const noexcept override { return id_; }
  websocket::io_thread& thread() const noexcept override;
  const std::string& remote_address() const noexcept override { return address_; }
  websocket::connection_handler& handler() noexcept override { return client_; }
  void send(std::string_view head, std::string_view payload) override {
    if (closing) return;
    owner_.referee_.written(owner_.on(), id_, static_cast<uint8_t>(head[0]) & 0x7FU, payload);
    socket_->to_user(std::string(head) + std::string(payload));
  }
  void send_made(std::string_view message, bool) override {
    if (!closing) socket_->to_user(payload_of(message));
  }
  size_t queued_bytes() const noexcept override { return 0; }
  void pause_reading(bool paused) override {
    paused_ = paused;
    if (!paused) read_soon();
  }
  void set_max_message_bytes(size_t) noexcept override {}
  void set_large_messages(size_t, bool (*)(uint8_t)) noexcept override {}
  void close(uint16_t, std::string_view, websocket::close_reason reason) override { end(reason); }
  void abort(websocket::close_reason reason) override { end(reason); }

  void open() { client_.on_open(*this); }
  void take_arrived() {
    if (closing) return;
    for (auto& each : arrived) read_.push_back(std::move(each));
    arrived.clear();
    read();
  }
  void end(websocket::close_reason reason);

  bool closing = false;
  bool gone = false;
  std::deque<std::string> arrived;  // at the machine; the process has not looked yet

 private:
  void read() {
    bool any = false;
    while (!paused_ && !closing && !read_.empty()) {
      const std::string bytes = std::move(read_.front());
      read_.pop_front();
      client_.on_message(*this, bytes, true);
      any = true;
    }
    if (any && !closing) client_.on_batch_end(*this);
  }
  void read_soon();

  gateway_process& owner_;
  const uint64_t id_;
  const std::string address_ = "192.0.2.1";
  std::shared_ptr<socket> socket_;
  std::deque<std::string> read_;
  bool paused_ = false;
  gateway::client client_;
};

class gateway_process::thread final : public websocket::io_thread {
 public:
  explicit thread(host& on) : host_(on), life_(on.life) {}

  size_t index() const noexcept override { return 0; }
  void post(std::function<void()> work) override {
    posted_.push_back(std::move(work));
    if (std::exchange(woken_, true)) return;
    host_.in().after(host_.in().random().between(1us, 50us), [this, alive = alive_] {
      if (!*alive) return;
      host_.run(life_, [this, alive] {
        if (*alive) turn();
      });
    });
  }
  void every(std::chrono::milliseconds period, std::function<void()> work) override {
    host_.in().after(period, [this, alive = alive_, period, work = std::move(work)] {
      if (!*alive) return;
      host_.run(life_, [this, alive, period, work] {
        if (!*alive) return;
        work();
        every(period, work);
      });
    });
  }
  void after(std::chrono::milliseconds delay, std::function<void()> work) override {
    host_.in().after(delay, [this, alive = alive_, work = std::move(work)] {
      if (!*alive) return;
      host_.run(life_, [alive, work] {
        if (*alive) work();
      });
    });
  }
  websocket::connection* find(uint64_t id) noexcept override {
    const auto found = connections.find(id);
    return found == connections.end() || found->second->gone ? nullptr : found->second.get();
  }
  void for_each(const std::function<void(websocket::connection&)>& visit) override {
    std::vector<connection*> all;
    for (auto& [id, one] : connections) {
      if (!one->gone) all.push_back(one.get());
    }
    for (auto* one : all) visit(*one);
  }
  void end() { *alive_ = false; }

  std::map<uint64_t, std::unique_ptr<connection>> connections;
  uint64_t last_id = 0;

 private:
  void turn() {
    woken_ = false;
    auto now = std::exchange(posted_, {});
    for (auto& work : now) work();
  }

  host& host_;
  const uint64_t life_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::deque<std::function<void()>> posted_;
  bool woken_ = false;
};

websocket::io_thread& gateway_process::connection::thread() const noexcept { return *owner_.thread_; }

void gateway_process::connection::read_soon() {
  if (read_.empty()) return;
  owner_.thread_->post([this, id = id_, &owner = owner_] {
    if (owner.thread_->find(id) == this) read();
  });
}

void gateway_process::connection::end(websocket::close_reason reason) {
  if (std::exchange(closing, true)) return;
  socket_->close_to_user();
  owner_.thread_->post([id = id_, reason, &owner = owner_] {
    const auto at = owner.thread_->connections.find(id);
    if (at == owner.thread_->connections.end() || at->second->gone) return;
    at->second->client_.on_close(*at->second, reason);
    at->second->gone = true;
    // The object goes later: it may be in use further up.
    owner.thread_->post([id, &owner] { owner.thread_->connections.erase(id); });
  });
}

gateway_process::gateway_process(host& on, network& net, const gateway::gateway_config& config, referee& watch)
    : process(on),
      thread_(std::make_unique<thread>(on)),
      core_(config, on.in().time(), metrics_, on.name, on.incarnation()),
      referee_(watch),
      lane_(std::make_shared<gateway::lane>(core_, *thread_)),
      links_(std::make_unique<gateway::session_links>(core_, net, rpc::peer{"gateway", on.name, on.incarnation()},
                                                      gateway::lane_list{lane_})) {
  thread_->every(gateway::tick_length, [this] { lane_->on_tick(); });
}

gateway_process::~gateway_process() {
  for (auto& [id, each] : thread_->connections) {
    if (!each->closing) each->end(websocket::close_reason::error);
  }
  thread_->end();
  links_.reset();
  thread_->connections.clear();
  lane_.reset();
}

void gateway_process::on_map(const placement::snapshot_ptr& current) {
  if (current->version <= map_version_) return;
  map_version_ = current->version;
  links_->apply(current);
}

void gateway_process::check_bounds() {}

std::shared_ptr<socket> gateway_process::connect(socket_user& user) {
  auto made = std::make_shared<socket>(on().in(), &user);
  const uint64_t id = ++thread_->last_id;
  auto& one = thread_->connections[id] = std::make_unique<connection>(*this, id, made);
  host& where = on();
  const uint64_t life = where.life;
  made->to_gateway_ = [this, &where, life, id](std::string bytes) {
    if (!where.up() || where.life != life) return;
    // In order, whether the machine stands still or not: each message is taken by one pump.
    auto& queue = thread_->connections;
    const auto at = queue.find(id);
    if (at == queue.end()) return;
    at->second->arrived.push_back(std::move(bytes));
    where.run(life, [this, id] {
      const auto found = thread_->connections.find(id);
      if (found != thread_->connections.end()) found->second->take_arrived();
    });
  };
  made->broken_ = [this, &where, life, id] {
    where.run(life, [this, id] {
      const auto found = thread_->connections.find(id);
      if (found != thread_->connections.end()) found->second->end(websocket::close_reason::client);
    });
  };
  one->open();
  return made;
}

}  // namespace tern::sim
