// The reads of the storage API on a reader_store.
#pragma once

#include <tern/storage/v1/storage.pb.h>

#include "services/storage/repositories/store.hpp"

namespace tern::storage {

/// Executes one of the reads but PasswordLogin: blocks for the database. The reply may carry a refusal
/// (permission_denied, not_found, no_such_object, …); an error is the database's: unavailable and deadline may be
/// retried.
result<v1::StorageReply> execute_read(reader_store& store, const v1::StorageRequest& request);

}  // namespace tern::storage
