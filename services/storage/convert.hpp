// Between the storage API's messages and the rows of the repositories.
#pragma once

#include <tern/session/v1/session.pb.h>
#include <tern/storage/v1/storage.pb.h>

#include <string_view>

#include "libs/base/result.hpp"
#include "services/storage/repositories/store.hpp"

namespace tern::storage {

inline conversation_id from_proto(const common::v1::Conversation& id) { return {id.hi(), id.lo()}; }
inline void to_proto(const conversation_id& id, common::v1::Conversation& out) {
  out.set_hi(id.hi);
  out.set_lo(id.lo);
}

/// An outbox entry as the session node gets it; `entry.message` may be moved out of. A message entry without its
/// message, or whose message is a tombstone, has nothing set.
session::v1::Delivery to_delivery(std::string_view shard, uint64_t epoch, outbox_entry&& entry, uint64_t trace = 0);

/// A reply to `request` with its call, shard and epoch set.
v1::StorageReply reply_to(const v1::StorageRequest& request, errc code = errc::ok);

/// Does the request go through the shard's writer?
bool is_write(const v1::StorageRequest& request);

/// Stable name of the operation for metric labels ("append", "read", …); "none" for an empty request.
std::string_view operation_name(v1::StorageRequest::OpCase op);

}  // namespace tern::storage
