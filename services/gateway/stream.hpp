// The name of one stream to a session node.
#pragma once

#include <cstdint>

namespace tern::gateway {

/// One stream of a link: the link's number and how often it has come up. Frames of another generation are dead.
struct link_handle {
  uint32_t link = 0;
  uint32_t generation = 0;  // 0: none
  bool operator==(const link_handle&) const = default;
};

}  // namespace tern::gateway
