// Options of the group service: `group.<name>`, units in the names.
#pragma once

#include <cstdint>

namespace tern::config {
class schema;
}

namespace tern::group {

struct group_config {
  uint64_t max_batch_requests = 4096;  // of one hand-over of a link; what is above is answered overload
};

/// Declares every option above in `into`; `options` must outlive the schema.
void declare(config::schema& into, group_config& options);

}  // namespace tern::group
