// For tests of links: recording handlers, and the same cluster of two over each transport.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "libs/rpc/grpc_network.hpp"
#include "libs/rpc/local_network.hpp"
#include "libs/rpc/streams.hpp"
#include "libs/testing/temp_dir.hpp"

namespace tern::rpc {

using kind = join_stream;  // any would do: up items carry Heartbeat.sequence, down items Lease.sequence

inline kind::up up_item(uint64_t number, size_t padding = 0) {
  kind::up item;
  if (padding > 0) {
    item.mutable_hello()->set_incarnation(number);
    item.mutable_hello()->set_address(std::string(padding, 'x'));
  } else {
    item.mutable_heartbeat()->set_sequence(number);
  }
  return item;
}
inline uint64_t number_of(const kind::up& item) {
  return item.has_hello() ? item.hello().incarnation() : item.heartbeat().sequence();
}
inline kind::down down_item(uint64_t number) {
  kind::down item;
  item.mutable_lease()->set_sequence(number);
  return item;
}
inline uint64_t number_of(const kind::down& item) { return item.lease().sequence(); }

/// What a handler saw. Thread-safe.
class record {
 public:
  template <class Change>
  void note(Change change) {
    const std::lock_guard lock(mutex_);
    change(*this);
    changed_.notify_all();
  }
  /// False when it did not come to it within `limit`.
  bool wait(const std::function<bool()>& reached, std::chrono::milliseconds limit = std::chrono::seconds(10)) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, reached);
  }

  std::atomic<int> ups = 0, downs = 0;
  std::atomic<size_t> batches = 0;
  std::vector<uint64_t> numbers;
  std::vector<peer> peers;
  std::atomic<int> inside = 0;  // handlers running now; must never exceed 1 per stream
  std::atomic<bool> overlapped = false;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

/// Notes that a handler was entered twice at once.
class entered {
 public:
  explicit entered(record& of) : of_(of) {
    if (of_.inside.fetch_add(1) != 0) of_.overlapped = true;
  }
  ~entered() { --of_.inside; }
  entered(const entered&) = delete;
  entered& operator=(const entered&) = delete;

 private:
  record& of_;
};

class recording_client final : public client_handler<kind> {
 public:
  void on_up(std::shared_ptr<sink<kind::up>> to) override {
    const entered guard(seen);
    seen.note([&](record& r) {
      out = std::move(to);
      ++r.ups;
    });
    if (at_up) at_up();
  }
  void on_items(std::vector<kind::down>& items) override {
    const entered guard(seen);
    if (at_items) at_items();
    seen.note([&](record& r) {
      ++r.batches;
      for (const auto& item : items) r.numbers.push_back(number_of(item));
    });
  }
  void on_down() override {
    const entered guard(seen);
    if (at_down) at_down();
    seen.note([&](record& r) {
      out.reset();
      ++r.downs;
    });
  }
  std::shared_ptr<sink<kind::up>> sender() {
    std::shared_ptr<sink<kind::up>> copy;
    seen.note([&](record&) { copy = out; });
    return copy;
  }

  record seen;
  std::shared_ptr<sink<kind::up>> out;
  std::function<void()> at_up, at_items, at_down;
};

class recording_server final : public server_handler<kind> {
 public:
  explicit recording_server(std::shared_ptr<sink<kind::down>> to) : out(std::move(to)) {}
  void on_items(std::vector<kind::up>& items) override {
    const entered guard(seen);
    if (at_items) at_items(items);
    seen.note([&](record& r) {
      ++r.batches;
      for (const auto& item : items) r.numbers.push_back(number_of(item));
    });
  }
  void on_down() override {
    const entered guard(seen);
    seen.note([](record& r) { ++r.downs; });
  }

  record seen;
  std::shared_ptr<sink<kind::down>> out;
  std::function<void(std::vector<kind::up>&)> at_items;
};

/// Accepts and keeps every stream.
class acceptor {
 public:
  accept_function<kind> function() {
    return [this](const peer& who, std::shared_ptr<sink<kind::down>> out) -> std::shared_ptr<server_handler<kind>> {
      if (refuse) {
        seen.note([](record& r) { ++r.downs; });
        return nullptr;
      }
      auto made = std::make_shared<recording_server>(std::move(out));
      if (prepare) prepare(*made);
      seen.note([&](record& r) {
        ++r.ups;
        r.peers.push_back(who);
        streams.push_back(made);
      });
      return made;
    };
  }
  /// Waits for the n-th (from 0) stream.
  std::shared_ptr<recording_server> stream(size_t index) {
    std::shared_ptr<recording_server> found;
    seen.wait([&] {
      if (streams.size() > index) found = streams[index];
      return found != nullptr;
    });
    return found;
  }

  record seen;
  std::vector<std::shared_ptr<recording_server>> streams;
  std::function<void(recording_server&)> prepare;
  std::atomic<bool> refuse = false;
};

enum class transport { local, unix_socket, tcp };

/// One server network and one client network (the same object when local).
class two_nodes {
 public:
  explicit two_nodes(transport over, grpc_options how = {}, local_options local = {})
      : over_(over), how_(std::move(how)), local_(local) {
    start_server(true);
    if (over_ != transport::local) client_ = make_grpc_network(client_options());
  }

  network& server() { return *server_; }
  network& client() { return client_ ? *client_ : *server_; }
  std::string address() const { return address_; }
  const peer self{"gateway", "gateway-7", 42};

  /// The server's process ends, as far as the client can see.
  void stop_server() {
    if (over_ == transport::local) {
      server_->withdraw<kind>(address_);
    } else {
      server_.reset();
    }
  }
  void start_server(bool first = false) {
    if (over_ == transport::local) {
      if (first) server_ = make_local_network(local_);
      address_ = "local:routing-0";
      return;
    }
    grpc_options how = how_;
    how.self = {"routing", "routing-0", 1};
    if (over_ == transport::unix_socket) {
      address_ = "unix:" + directory_.file("s");
    } else if (first) {
      address_ = "127.0.0.1:0";
    }
    how.listen_address = address_;
    server_ = make_grpc_network(how);
    ASSERT_TRUE(server_->start());
    if (over_ == transport::tcp) address_ = "127.0.0.1:" + std::to_string(bound_port(*server_));
  }

 private:
  grpc_options client_options() const {
    grpc_options how = how_;
    how.self = self;
    return how;
  }

  transport over_;
  grpc_options how_;
  local_options local_;
  testing::temp_dir directory_;
  std::string address_;
  std::unique_ptr<network> server_;
  std::unique_ptr<network> client_;
};

}  // namespace tern::rpc
