#include "libs/rpc/local_network.hpp"

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "libs/base/backoff.hpp"
#include "libs/rpc/mailbox.hpp"
#include "libs/rpc/timer.hpp"

namespace tern::rpc {
namespace {

using detail::item_list;
using detail::mailbox;
using detail::raw_accept;
using detail::raw_sink;
using detail::receiver;

/// Both directions of one stream.
struct local_stream {
  explicit local_stream(size_t bound) : to_client(bound), to_server(bound) {}
  void end() {
    to_server.shut();
    to_client.shut();
  }
  mailbox to_client;
  mailbox to_server;
};

class local_sink final : public raw_sink {
 public:
  local_sink(std::shared_ptr<local_stream> stream, mailbox local_stream::*way)
      : stream_(std::move(stream)), way_(way) {}
  bool send(google::protobuf::MessageLite& item) override { return (stream_.get()->*way_).push(item); }
  bool send_all(item_list& items) override { return (stream_.get()->*way_).push_all(items); }
  void close() override { stream_->end(); }

 private:
  std::shared_ptr<local_stream> stream_;
  mailbox local_stream::*way_;
};

/// A served stream kind at one address, and its streams.
class served {
 public:
  explicit served(raw_accept accept) : accept_(std::move(accept)) {}

  /// Null when refused or withdrawn. The stream's server side is open then.
  bool open(const peer& who, const std::shared_ptr<local_stream>& stream) {
    {
      const std::lock_guard lock(mutex_);
      if (withdrawn_) return false;
      ++accepting_;
    }
    auto handler = accept_(who, std::make_shared<local_sink>(stream, &local_stream::to_client));
    const bool accepted = handler != nullptr;
    if (accepted) stream->to_server.open(std::move(handler), {});
    const std::lock_guard lock(mutex_);
    if (accepted) remember(stream);
    --accepting_;
    idle_.notify_all();
    return accepted;
  }

  void withdraw() {
    std::unique_lock lock(mutex_);
    withdrawn_ = true;
    idle_.wait(lock, [this] { return accepting_ == 0; });
    auto streams = std::exchange(streams_, {});
    lock.unlock();
    for (auto& each : streams) {
      if (const auto stream = each.lock()) {
        stream->to_server.silence();
        stream->to_client.shut();
      }
    }
  }

 private:
  void remember(const std::shared_ptr<local_stream>& stream) {
    std::erase_if(streams_, [](const auto& each) { return each.expired(); });
    streams_.push_back(stream);
  }

  const raw_accept accept_;
  std::mutex mutex_;
  std::condition_variable idle_;
  std::vector<std::weak_ptr<local_stream>> streams_;
  int accepting_ = 0;
  bool withdrawn_ = false;
};

using address_key = std::pair<std::string, std::string>;  // address, method
class link_state;

/// What links and the network share; outlives both.
struct core {
  explicit core(local_options options) : how(options) {}
  std::shared_ptr<served> find(const address_key& key) {
    const std::lock_guard lock(mutex);
    const auto at = offers.find(key);
    return at == offers.end() ? nullptr : at->second;
  }

  const local_options how;
  timer later;
  std::mutex mutex;
  std::map<address_key, std::shared_ptr<served>> offers;
  std::multimap<address_key, std::weak_ptr<link_state>> links;
  bool stopped = false;
};

class link_state : public std::enable_shared_from_this<link_state> {
 public:
  link_state(std::shared_ptr<core> shared, peer self, address_key key, std::shared_ptr<receiver> client)
      : core_(std::move(shared)), self_(std::move(self)), key_(std::move(key)), client_(std::move(client)) {}

  /// Attaches when there is an offer and no stream; otherwise serve(), or a timer, comes back to it.
  void attach();
  /// No call of the handler is running or will come.
  void end();
  /// The stream's last call has been made.
  void down();

 private:
  /// True: look again at once.
  bool try_attach();
  void retry();

  const std::shared_ptr<core> core_;
  const peer self_;
  const address_key key_;
  std::shared_ptr<receiver> client_;
  std::mutex mutex_;
  std::condition_variable idle_;
  std::shared_ptr<local_stream> stream_;
  std::thread::id attacher_;
  bool attaching_ = false;
  bool ended_ = false;
  backoff pause_{std::chrono::milliseconds(50), std::chrono::milliseconds(1000)};
};

/// The client's handler, which tells the link of the end.
class link_receiver final : public receiver {
 public:
  link_receiver(std::shared_ptr<receiver> client, std::weak_ptr<link_state> owner)
      : client_(std::move(client)), owner_(std::move(owner)) {}
  void up(std::shared_ptr<raw_sink> out) override { client_->up(std::move(out)); }
  std::unique_ptr<item_list> make_list() const override { return client_->make_list(); }
  void items(item_list& list) override { client_->items(list); }
  void down() override {
    client_->down();
    if (const auto owner = owner_.lock()) owner->down();
  }

 private:
  std::shared_ptr<receiver> client_;
  std::weak_ptr<link_state> owner_;
};

void link_state::attach() {
  while (try_attach()) {
  }
}

bool link_state::try_attach() {
  std::shared_ptr<receiver> client;
  {
    const std::lock_guard lock(mutex_);
    if (ended_ || attaching_ || stream_) return false;
    attaching_ = true;
    attacher_ = std::this_thread::get_id();
    client = client_;
  }
  auto stream = std::make_shared<local_stream>(core_->how.queue_items);
  stream->to_client.prepare(client->make_list());
  const auto offer = core_->find(key_);
  const bool accepted = offer && offer->open(self_, stream);
  bool ended = false;
  {
    const std::lock_guard lock(mutex_);
    attaching_ = false;
    ended = ended_;
    if (accepted && !ended) {
      stream_ = stream;
      pause_.reset();
    }
    idle_.notify_all();
  }
  if (!accepted || ended) {
    stream->end();
    if (offer && !ended) retry();
    return !offer && !ended && core_->find(key_) != nullptr;  // offered while we looked: serve() found us busy
  }
  auto out = std::make_shared<local_sink>(stream, &local_stream::to_server);
  stream->to_client.open(std::make_shared<link_receiver>(client, weak_from_this()),
                         [client, out = std::move(out)] { client->up(out); });
  return false;
}

void link_state::down() {
  {
    const std::lock_guard lock(mutex_);
    stream_.reset();
    if (ended_) return;
  }
  retry();
}

void link_state::retry() {
  std::chrono::milliseconds delay{};
  {
    const std::lock_guard lock(mutex_);
    delay = pause_.next();
  }
  core_->later.after(delay, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->attach();
  });
}

void link_state::end() {
  std::shared_ptr<local_stream> stream;
  std::shared_ptr<receiver> client;
  {
    std::unique_lock lock(mutex_);
    ended_ = true;
    if (attacher_ != std::this_thread::get_id()) idle_.wait(lock, [this] { return !attaching_; });
    stream = stream_;
    client.swap(client_);
  }
  if (!stream) return;
  stream->to_client.silence();
  stream->to_server.shut();
}

class local_link final : public link {
 public:
  explicit local_link(std::shared_ptr<link_state> state) : state_(std::move(state)) {}
  ~local_link() override { state_->end(); }

 private:
  std::shared_ptr<link_state> state_;
};

class local_network final : public network {
 public:
  explicit local_network(local_options how) : core_(std::make_shared<core>(how)) {}
  ~local_network() override { stop(); }

  result<void> start() override { return {}; }
  void stop() override;

 protected:
  void raw_serve(const std::string& own_address, const std::string& method, raw_accept accept) override;
  void raw_withdraw(const std::string& own_address, const std::string& method) override;
  std::unique_ptr<link> raw_connect(const peer& self, const std::string& address, const std::string& method,
                                    std::shared_ptr<receiver> client) override;

 private:
  std::shared_ptr<core> core_;
};

void local_network::raw_serve(const std::string& own_address, const std::string& method, raw_accept accept) {
  const address_key key{own_address, method};
  std::vector<std::shared_ptr<link_state>> waiting;
  {
    const std::lock_guard lock(core_->mutex);
    if (core_->stopped) return;
    core_->offers[key] = std::make_shared<served>(std::move(accept));
    const auto [first, last] = core_->links.equal_range(key);
    for (auto at = first; at != last; ++at) {
      if (auto each = at->second.lock()) waiting.push_back(std::move(each));
    }
  }
  for (const auto& each : waiting) each->attach();
}

void local_network::raw_withdraw(const std::string& own_address, const std::string& method) {
  std::shared_ptr<served> offer;
  {
    const std::lock_guard lock(core_->mutex);
    const auto at = core_->offers.find({own_address, method});
    if (at == core_->offers.end()) return;
    offer = std::move(at->second);
    core_->offers.erase(at);
  }
  offer->withdraw();
}

std::unique_ptr<link> local_network::raw_connect(const peer& self, const std::string& address,
                                                 const std::string& method, std::shared_ptr<receiver> client) {
  const address_key key{address, method};
  auto state = std::make_shared<link_state>(core_, self, key, std::move(client));
  auto made = std::make_unique<local_link>(state);
  {
    const std::lock_guard lock(core_->mutex);
    if (core_->stopped) return made;
    std::erase_if(core_->links, [](const auto& each) { return each.second.expired(); });
    core_->links.emplace(key, state);
  }
  state->attach();
  return made;
}

void local_network::stop() {
  decltype(core::offers) offers;
  decltype(core::links) links;
  {
    const std::lock_guard lock(core_->mutex);
    core_->stopped = true;
    offers.swap(core_->offers);
    links.swap(core_->links);
  }
  for (const auto& [key, each] : links) {
    if (const auto state = each.lock()) state->end();
  }
  for (const auto& [key, each] : offers) each->withdraw();
  core_->later.stop();
}

}  // namespace

std::unique_ptr<network> make_local_network(local_options how) { return std::make_unique<local_network>(how); }

}  // namespace tern::rpc
