// Links between nodes: long-lived bidirectional streams that carry batches of items with credit.
// Two transports behind one interface: grpc_network (between processes) and local_network (inside one process).
//
// A stream kind S is a small struct:
//   struct attach_stream {
//     using up = gateway_item;         // protobuf message, client -> server
//     using up_batch = gateway_batch;  // { repeated up items = 1; uint32 credit = 2; }
//     using down = session_item;       // server -> client
//     using down_batch = session_batch;
//     static constexpr const char* method = "/tern.session.v1.SessionService/Attach";
//   };
//
// Handlers are called in the sender's thread (local) or a transport thread (gRPC): never call a sink while holding a
// lock that one of your handlers takes.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/result.hpp"
#include "libs/rpc/erased.hpp"

namespace tern::rpc {

/// Who is at the other end of a stream, as it said itself when opening it.
struct peer {
  std::string service;       // "gateway", "session", …
  std::string node;          // stable name, unique in the cluster
  uint64_t incarnation = 0;  // new at every process start
};

/// The sending side of one stream. Thread-safe; never blocks; items leave in the order of the calls.
template <class Item>
class sink {
 public:
  virtual ~sink() = default;
  /// False when the stream has ended or its queue is full (the bound of `network_options`): nothing was queued then.
  virtual bool send(Item item) = 0;
  /// All or nothing, in order. `items` is left empty on success and untouched on failure.
  virtual bool send_all(std::vector<Item>& items) = 0;
  /// Ends the stream from this side, after what is queued has left (2 s at most); both handlers get on_down.
  /// Idempotent.
  virtual void close() = 0;
};

/// The client side of a stream kind. Calls come one after the other, on a transport thread (or, with the local
/// network, the sender's thread); they must not block and may call sinks.
template <class S>
class client_handler {
 public:
  virtual ~client_handler() = default;
  /// A stream is established; `out` is valid until on_down.
  virtual void on_up(std::shared_ptr<sink<typename S::up>> out) = 0;
  /// Items of one batch, in order; the callee may move them out.
  virtual void on_items(std::vector<typename S::down>& items) = 0;
  /// The stream of the last on_up ended; what was sent on it may or may not have arrived. A new attempt follows by
  /// itself.
  virtual void on_down() = 0;
};

/// The server side of one stream. Same threading rules.
template <class S>
class server_handler {
 public:
  virtual ~server_handler() = default;
  virtual void on_items(std::vector<typename S::up>& items) = 0;
  virtual void on_down() = 0;
};

/// Called for each new stream. A null result refuses it.
template <class S>
using accept_function =
    std::function<std::shared_ptr<server_handler<S>>(const peer&, std::shared_ptr<sink<typename S::down>>)>;

/// A client link: keeps one stream to `address` alive, with backoff (50 ms to 1 s), until destroyed. The destructor
/// cuts the stream at once (close() the sink first if what is queued matters), calls on_down if the stream was up,
/// and returns only when no handler call is running or will come. It may be destroyed inside a call of its own
/// handler: then that call is the last one.
class link {
 public:
  virtual ~link() = default;
};

/// A transport between nodes. Thread-safe. serve() and connect() may be called before or after start(); a link whose
/// peer is not there (yet) keeps trying.
class network {
 public:
  virtual ~network() = default;

  /// Offers stream kind S at this node's own address (gRPC has one address per process and ignores it). Once per kind
  /// and address.
  template <class S>
  void serve(const std::string& own_address, accept_function<S> accept);
  /// Takes the offer back: its streams end, and no call of its handlers is running or will come when this returns.
  /// Not to be called inside a handler of such a stream.
  template <class S>
  void withdraw(const std::string& own_address) {
    raw_withdraw(own_address, S::method);
  }
  /// Keeps a stream from `self` to `address` until the link is destroyed. on_up may come before this returns.
  template <class S>
  std::unique_ptr<link> connect(const peer& self, const std::string& address,
                                std::shared_ptr<client_handler<S>> handler);

  /// Listens. errc::unavailable when the address cannot be bound, errc::config for unusable certificates.
  virtual result<void> start() = 0;
  /// Ends all streams, both sides, within 2 s, for good: no handler call is running or will come afterwards. Links
  /// may outlive it. Not to be called inside a handler.
  virtual void stop() = 0;

 protected:
  virtual void raw_serve(const std::string& own_address, const std::string& method, detail::raw_accept accept) = 0;
  virtual void raw_withdraw(const std::string& own_address, const std::string& method) = 0;
  virtual std::unique_ptr<link> raw_connect(const peer& self, const std::string& address, const std::string& method,
                                            std::shared_ptr<detail::receiver> client) = 0;
};

namespace detail {

template <class Item>
class typed_sink final : public sink<Item> {
 public:
  explicit typed_sink(std::shared_ptr<raw_sink> out) : out_(std::move(out)) {}
  bool send(Item item) override { return out_->send(item); }
  bool send_all(std::vector<Item>& items) override {
    typed_list<Item> list(std::move(items));
    const bool sent = out_->send_all(list);
    if (sent) list.values.clear();
    items = std::move(list.values);
    return sent;
  }
  void close() override { out_->close(); }

 private:
  std::shared_ptr<raw_sink> out_;
};

template <class S>
class client_receiver final : public receiver {
 public:
  explicit client_receiver(std::shared_ptr<client_handler<S>> handler) : handler_(std::move(handler)) {}
  void up(std::shared_ptr<raw_sink> out) override {
    handler_->on_up(std::make_shared<typed_sink<typename S::up>>(std::move(out)));
  }
  std::unique_ptr<item_list> make_list() const override { return std::make_unique<typed_list<typename S::down>>(); }
  void items(item_list& list) override {
    handler_->on_items(static_cast<typed_list<typename S::down>&>(list).values);
  }
  void down() override { handler_->on_down(); }

 private:
  std::shared_ptr<client_handler<S>> handler_;
};

template <class S>
class server_receiver final : public receiver {
 public:
  explicit server_receiver(std::shared_ptr<server_handler<S>> handler) : handler_(std::move(handler)) {}
  void up(std::shared_ptr<raw_sink>) override {}
  std::unique_ptr<item_list> make_list() const override { return std::make_unique<typed_list<typename S::up>>(); }
  void items(item_list& list) override { handler_->on_items(static_cast<typed_list<typename S::up>&>(list).values); }
  void down() override { handler_->on_down(); }

 private:
  std::shared_ptr<server_handler<S>> handler_;
};

}  // namespace detail

template <class S>
void network::serve(const std::string& own_address, accept_function<S> accept) {
  raw_serve(own_address, S::method,
            [accept = std::move(accept)](const peer& who, std::shared_ptr<detail::raw_sink> out) {
              auto handler = accept(who, std::make_shared<detail::typed_sink<typename S::down>>(std::move(out)));
              return handler ? std::make_shared<detail::server_receiver<S>>(std::move(handler))
                             : std::shared_ptr<detail::server_receiver<S>>();
            });
}

template <class S>
std::unique_ptr<link> network::connect(const peer& self, const std::string& address,
                                       std::shared_ptr<client_handler<S>> handler) {
  return raw_connect(self, address, S::method, std::make_shared<detail::client_receiver<S>>(std::move(handler)));
}

}  // namespace tern::rpc
