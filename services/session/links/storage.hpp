// Names of libs/shards that the whole service uses.
#pragma once

#include "libs/shards/storage_port.hpp"

namespace tern::session {

using shards::patience;
using shards::storage_answer;
using shards::storage_callback;
using shards::storage_port;

}  // namespace tern::session
