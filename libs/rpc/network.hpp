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
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/result.hpp"

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
  /// Ends the stream from this side; both handlers get on_down. Idempotent.
  virtual void close() = 0;
};

/// The client side of a stream kind. Calls come one after the other, on a transport thread (or, with the local network,
/// the sender's thread); they must not block and may call sinks.
template <class S>
class client_handler {
 public:
  virtual ~client_handler() = default;
  /// A stream is established; `out` is valid until on_down.
  virtual void on_up(std::shared_ptr<sink<typename S::up>> out) = 0;
  /// Items of one batch, in order; the callee may move them out.
  virtual void on_items(std::vector<typename S::down>& items) = 0;
  /// The stream of the last on_up ended; what was sent on it may or may not have arrived. A new attempt follows by itself.
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

/// A client link: keeps one stream to `address` alive, with backoff, until destroyed. The destructor ends the stream
/// and returns only when no handler call is running or will come.
class link {
 public:
  virtual ~link() = default;
};

}  // namespace tern::rpc
