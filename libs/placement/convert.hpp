// Snapshots and deltas to and from their protobuf form.
#pragma once

#include <memory>

#include "libs/base/result.hpp"
#include "libs/placement/delta.hpp"
#include "libs/placement/view.hpp"

namespace tern::routing::v1 {
class Delta;
class Snapshot;
}  // namespace tern::routing::v1

namespace tern::placement {

void to_proto(const snapshot& from, routing::v1::Snapshot& to);
/// bad_format when ranges overlap or leave the slot space.
result<snapshot_ptr> from_proto(const routing::v1::Snapshot& from);

void to_proto(const delta& from, routing::v1::Delta& to);
delta from_proto(const routing::v1::Delta& from);

}  // namespace tern::placement
