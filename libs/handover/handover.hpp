// Ranges that move from one living node to another: what both sides have in common. docs/flows/migration.md is the
// protocol. What is handed over is a help, never the truth: a target can do without any of it.
#pragma once

#include <tern/handover/v1/handover.pb.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "libs/base/clock.hpp"
#include "libs/base/errc.hpp"
#include "libs/base/ids.hpp"
#include "libs/placement/moves.hpp"
#include "libs/placement/view.hpp"

namespace tern::handover {

namespace v1 = tern::handover::v1;

/// CRC-32 (IEEE 802.3) of a state's body.
uint32_t checksum(std::string_view body);

/// Every wait and every bound of both sides.
struct limits {
  std::chrono::milliseconds prepare{500};  // source: from the order to the target's answer, connecting included
  std::chrono::milliseconds still{100};    // source: until everything stands still; who does not goes on as it is
  std::chrono::milliseconds taken{500};    // source: from Complete to Taken
  std::chrono::milliseconds map{1000};     // source: from the result until the maps say something
  std::chrono::milliseconds remembered{10'000};  // source: how a move ended; target: states nobody has asked for
  std::chrono::milliseconds verdict{100};        // target: mails wait so long for it
  std::chrono::milliseconds prepared{5000};      // target: nothing has come since
  size_t moves = 64;                             // target: prepared at once
  size_t states = 200'000;                       // target: parked at once
  size_t bytes = 256 << 20;                      // target: their bodies
};

/// What became of states, for metrics.
enum class fate : uint8_t {
  sent,      // source: handed over
  cold,      // source: not still in time
  used,      // target: its key goes on from it
  dropped,   // target: no verdict, no room, or nobody asked for it
  checksum,  // target: damaged
  format,    // target: of a format it does not know
};

}  // namespace tern::handover
