// Which slot a request of the storage API is about.
#pragma once

#include <tern/storage/v1/storage.pb.h>

#include <optional>

#include "libs/base/ids.hpp"

namespace tern::storage {

/// Nothing for a request that is about no slot: it is answered with an error wherever it comes to. Profiles asked for
/// together: that of the first.
std::optional<slot_type> slot_asked(const v1::StorageRequest& request);

}  // namespace tern::storage
