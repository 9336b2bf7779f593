// The commands a session executes: one file per command beside this one, one row per command here.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "services/session/actors/session_state.hpp"

namespace tern::session {

/// Executes one frame. Exactly one of reply, refuse, finish or send_receipt must follow, now or later, for its
/// origin.
using command_function = void (*)(session_state& state, const origin& from, std::string payload);

struct command_row {
  wire::frame_type type;
  bool barrier;  // waits for the answers of all earlier frames of the terminal and holds back later ones
  command_function run;
};

/// Every command that may arrive from a terminal that is logged on, in the order of the type byte.
std::span<const command_row> commands() noexcept;
/// nullptr for a type that is none of them.
const command_row* find_command(uint32_t type) noexcept;

}  // namespace tern::session
