// tern_message_stage_seconds: where the time of a message between two accounts goes, stage by stage over the
// services.
#pragma once

#include <cstdint>

#include "libs/metrics/metrics.hpp"

namespace tern::metrics {

/// decode: read from the sender's socket, to on its way to the session node. route: from there to taken up by the
/// sender's session. authorize: to permitted, as far as sessions know, and asked of storage. commit: received by
/// storage to answered durable. dispatch: committed to sent to the recipient's session node. write: received by the
/// gateway from there to written to the recipient's connection.
enum class stage : uint8_t { decode, authorize, route, commit, dispatch, write };

/// The series of one stage. A service declares those it has.
histogram stage_seconds(registry& where, stage which);

/// One message in so many is measured, on each thread; its first one is.
inline constexpr uint32_t stage_sampling = 64;

template <stage Which>
bool stage_sampled() noexcept {
  static thread_local uint32_t count = 0;
  return count++ % stage_sampling == 0;
}

}  // namespace tern::metrics
