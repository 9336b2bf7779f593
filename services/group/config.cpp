#include "services/group/config.hpp"

#include "libs/config/schema.hpp"

namespace tern::group {

void declare(config::schema& into, group_config& o) {
  into.add("group.storage_deadline_ms", o.storage_deadline, "a room command waits so long for storage (then 5103)",
           {50, 60'000});
  into.add("group.storage_queue_requests", o.storage_queue, "requests waiting per shard; above that 5104",
           {16, 1'000'000});
  into.add("group.queue_requests", o.queue_requests,
           "room commands taken and not answered, of all rooms of the node; above that 5104", {16, 10'000'000});
  into.add("group.room_queue_requests", o.room_queue_requests,
           "room commands of one room taken and not answered; above that 5104", {1, 1'000'000});
  into.add("group.room_queue_bytes", o.room_queue_bytes,
           "message bytes of the room commands of one room that are not answered; above that 5104",
           {65'536, 1 << 30});
  into.add("group.linger_ms", o.linger, "a room nobody on line is a member of is kept so long after its last command",
           {0, 600'000});
  into.add("group.gap_messages", o.gap_rows, "messages of one read of what was stored without this node's knowledge",
           {1, 1000});
  into.add("group.gap_bytes", o.gap_bytes, "message bytes of one read that fills a gap (the first always fits)",
           {1024, 2 << 20});
  into.add("group.vroom_idle_ms", o.vroom_idle, "a virtual room without a push or a command for so long ends",
           {1000, 86'400'000});
  into.add(
      "group.vroom_grace_ms", o.vroom_grace,
      "after this node got a range, commands of unknown virtual rooms wait so long for a gateway that knows them",
      {0, 60'000});
  into.add("group.vroom_gone_ms", o.vroom_gone,
           "an ended virtual room is remembered so long: nobody who missed the end brings it back", {0, 3'600'000});
  into.add("group.vroom_settle_ms", o.vroom_settle,
           "in a virtual room that has moved here pushes wait so long for the gateways of those who watch",
           {0, 5000});
  into.add("group.vrooms_per_node", o.vrooms_per_node, "live virtual rooms of the node; above that 5104",
           {1, 10'000'000});
  into.add("group.vroom_queue_bytes", o.vroom_queue_bytes,
           "bytes of pushes of one virtual room taken and not passed on; above that pushes are dropped",
           {65'536, 1 << 30});
  into.add("group.vroom_node_queue_bytes", o.vroom_node_queue_bytes, "the same of all virtual rooms of the node",
           {1 << 20, int64_t{1} << 36});
  into.add("group.vroom_waiting", o.vroom_waiting,
           "requests of one virtual room that wait during vroom_grace_ms; above that 5104", {1, 1'000'000});
  into.add("group.vroom_granted", o.vroom_granted,
           "accounts the owner of a virtual room may give the right to push; above that 4111", {0, 100'000});
}

}  // namespace tern::group
