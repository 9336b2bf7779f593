// Snapshots to and from their protobuf form.
#pragma once

#include <memory>

#include "libs/base/result.hpp"
#include "libs/placement/view.hpp"

namespace tern::routing::v1 {
class Snapshot;
}

namespace tern::placement {

void to_proto(const snapshot& from, routing::v1::Snapshot& to);
/// bad_format when ranges overlap or leave the slot space.
result<snapshot_ptr> from_proto(const routing::v1::Snapshot& from);

}  // namespace tern::placement
