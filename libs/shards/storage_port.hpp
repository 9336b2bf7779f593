// Asking storage, as the services that use it see it.
#pragma once

#include <tern/storage/v1/storage.pb.h>

#include <functional>

#include "libs/base/errc.hpp"
#include "libs/base/ids.hpp"

namespace tern::shards {

/// A request and what came of it. `code` is errc::ok or an error; deadline and unavailable mean: outcome unknown.
struct storage_answer {
  errc code = errc::ok;
  storage::v1::StorageRequest request;
  storage::v1::StorageReply reply;
};
using storage_callback = std::function<void(storage_answer&)>;

enum class patience : uint8_t {
  deadline,        // a client waits: an error after the configured deadline, overload when the queue is full
  until_answered,  // must happen: kept and sent again until storage has answered
};

/// Thread-safe; never blocks. Callbacks come once per request, on any thread, possibly before ask() returns; those of
/// one slot come in the order of the requests unless one ends by its deadline.
class storage_port {
 public:
  virtual ~storage_port() = default;
  /// `slot` decides the shard; shard, epoch and call of `request` are filled in.
  virtual void ask(slot_type slot, storage::v1::StorageRequest request, patience how, storage_callback then) = 0;
};

}  // namespace tern::shards
