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
}

}  // namespace tern::group
