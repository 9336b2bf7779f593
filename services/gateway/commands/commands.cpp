#include "services/gateway/commands/commands.hpp"

#include <array>

namespace tern::gateway::commands {

namespace {

std::array<socket_handler, 128> make_table() {
  std::array<socket_handler, 128> table;
  table.fill(forward);
  for (const socket_command& one : socket_commands) table[static_cast<uint8_t>(one.type) & 0x7F] = one.handle;
  return table;
}

}  // namespace

socket_handler handler_of(wire::frame_type type) noexcept {
  static const auto table = make_table();
  return table[static_cast<uint8_t>(type) & 0x7F];
}

http_handler http_handler_of(wire::frame_type type) noexcept {
  for (const http_command& one : http_commands) {
    if (one.type == type) return one.handle;
  }
  return nullptr;
}

}  // namespace tern::gateway::commands
