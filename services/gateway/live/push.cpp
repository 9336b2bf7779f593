#include "services/gateway/live/push.hpp"

#include <utility>

#include "services/gateway/client.hpp"
#include "services/gateway/live/hub.hpp"

namespace tern::gateway::live {

void push_live(client& from, uint8_t frame_type, std::string_view vroom_node, std::string body, int64_t id,
               int32_t dtype) {
  if (from.is_closing()) return;
  core& shared = from.shared();
  const auto vroom = from_node(node_kind::virtual_room, vroom_node);
  if (!vroom) {
    from.answer_live(frame_type, errc::bad_parameter, 0, vroom_node);
    return;
  }
  if (!from.where().load().admits()) {
    shared.metrics.live.dropped(drop::overload);
    from.cool_down();
    return;
  }
  const bool binary = frame_type == static_cast<uint8_t>(wire::frame_type::bigbinarystream);
  const asker who{from.id(), from.account(), from.domain()};
  group::v1::LivePush push;
  push.set_conn(binary ? from.id() | binary_push : from.id());
  push.set_id(id);
  push.set_dtype(dtype);
  push.set_body(std::move(body));
  push.set_received_ns(shared.time.wall_ns());
  shared.metrics.live.pushes.add();
  from.live().note_push(who, *vroom);
  from.where().live()->push(who, *vroom, std::move(push));
}

}  // namespace tern::gateway::live
