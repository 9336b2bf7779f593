#include "services/session/commands/commands.hpp"

#include "services/session/commands/big_data.hpp"
#include "services/session/commands/burnmessage.hpp"
#include "services/session/commands/business.hpp"
#include "services/session/commands/message.hpp"
#include "services/session/commands/nodes.hpp"
#include "services/session/commands/not_offered.hpp"
#include "services/session/commands/offlinemsg.hpp"
#include "services/session/commands/presence.hpp"
#include "services/session/commands/pullmessage.hpp"
#include "services/session/commands/revokemessage.hpp"

namespace tern::session {

using wire::frame_type;

std::span<const command_row> commands() noexcept {
  static constexpr command_row rows[] = {
      {frame_type::offlinemsg, true, run_offlinemsg},
      {frame_type::broadpresence, true, run_broadpresence},
      {frame_type::pullmessage, true, run_pullmessage},
      {frame_type::vroom, true, run_not_offered},
      {frame_type::business, true, run_business},
      {frame_type::nodes, true, run_nodes},
      {frame_type::message, false, run_message},
      {frame_type::presence, true, run_presence},
      {frame_type::revokemessage, false, run_revokemessage},
      {frame_type::burnmessage, false, run_burnmessage},
      {frame_type::stream, true, run_not_offered},
      {frame_type::bigstring, false, run_bigstring},
      {frame_type::bigbinary, false, run_bigbinary},
      {frame_type::bigbinarystream, true, run_not_offered},
  };
  return rows;
}

const command_row* find_command(uint32_t type) noexcept {
  for (const command_row& row : commands()) {
    if (static_cast<uint32_t>(row.type) == type) return &row;
  }
  return nullptr;
}

}  // namespace tern::session
