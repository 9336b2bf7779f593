// The authorization table's cells about virtual rooms, big data and what is of the moment.
#include "tests/protocol/authorization.hpp"

namespace tern::testing {

using wire::frame_type;

namespace {

constexpr std::string_view token = "heard";

/// NODES 5 is the fence except for rows about it; VROOM 4 likewise.
int nodes_fence(const table_row& row) { return row.command == "nodes-5" ? 4 : 5; }
int vroom_fence(const table_row& row) { return row.command == "vroom-4" ? 3 : 4; }

bool carries_token(tim_client& at, const server_frame& frame) {
  switch (frame.type) {
    case frame_type::message: return at.read<wire::tim_message>(frame).data_string == token;
    case frame_type::stream: return at.read<wire::tim_stream>(frame).body == token;
    case frame_type::bigstring:
    case frame_type::bigbinary:
    case frame_type::bigbinarystream: return frame.payload.ends_with(token);
    default: return false;
  }
}

}  // namespace

scene authorization::stage_vroom(const table_row& row, role who, cast& people) {
  auto& owner = *people.founder;
  auto& actor = actor_of(who, people);
  scene out{&actor, new_vroom(owner), {}, {}, 1};
  if (who == role::manager || who == role::ex) grant(owner, out.room, actor);
  if (who == role::ex) take_grant(owner, out.room, actor);
  if (who == role::member) subscribe(actor, out.room);
  if (who == role::blocked) {
    business(owner, 7, actor.node());
    expect_ok(owner, frame_type::business, 7);
  }
  if (row.is_live()) subscribe(*people.target, out.room);
  if (row.target() == "stranger") out.node2 = people.target->node();
  if (row.target() == "nobody") out.node2 = to_node(account_id{12345});
  if (row.target() == "self") out.node2 = actor.node();
  if (row.target() == "badnode") out.node2 = "nonsense";
  return out;
}

void authorization::send_vroom(const table_row& row, const scene& on, tim_client& from) {
  vroom(from, row.number(), row.number() == 1 ? std::string() : on.room, on.node2);
}

void authorization::send_live(const table_row& row, const scene& on, tim_client& from) {
  const auto type = command_of(row).type;
  if (type == frame_type::stream) return push(from, on.room, token);
  const std::string& node = on.room.empty() ? on.node : on.room;
  from.send_bytes(type, big_payload(node, type == frame_type::bigstring ? bar : high_bar, token));
}

void authorization::send_fence(const table_row& row, const scene& on, tim_client& from) {
  if (row.is_virtual()) {
    const std::string room = on.room.empty() ? "nonsense" : on.room;
    return vroom(from, vroom_fence(row), room, to_node(account_id{54321}));
  }
  wire::tim_nodes fence;
  fence.ntype = nodes_fence(row);
  fence.nodelist = std::vector<wire::text>{"nonsense"};
  from.send(frame_type::nodes, fence);
}

bool authorization::is_fence(const table_row& row, tim_client& actor, const server_frame& frame) {
  if (!row.is_virtual()) {
    return frame.type == frame_type::nodes && actor.read<wire::tim_nodes>(frame).ntype == nodes_fence(row);
  }
  if (frame.type != frame_type::ack) return false;
  const auto ack = actor.read<wire::tim_ack>(frame);
  return static_cast<uint8_t>(ack.tim_type) == static_cast<uint8_t>(frame_type::vroom) && ack.t == vroom_fence(row);
}

std::optional<std::string> authorization::listen(tim_client& listener, bool wanted) {
  const auto is_it = [&](const server_frame& frame) { return carries_token(listener, frame); };
  if (wanted && !listener.find(is_it)) return " silence, and nobody heard it";
  settle(listener);
  if (!listener.find(is_it, std::chrono::milliseconds{0})) return std::nullopt;
  return wanted ? " silence, and it was heard twice" : " an error, and it was heard all the same";
}

}  // namespace tern::testing
