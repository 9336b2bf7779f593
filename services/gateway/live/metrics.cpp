#include "services/gateway/live/metrics.hpp"

#include <iterator>

namespace tern::gateway::live {

namespace {

constexpr const char* drop_names[] = {"queue_bytes", "queue_age", "no_owner", "overload", "upstream"};
static_assert(std::size(drop_names) == drops);

}  // namespace

live_metrics::live_metrics(metrics::registry& r)
    : rooms(r.gauge("tern_gateway_live_rooms", "virtual rooms this gateway is told of")),
      subscriptions(r.gauge("tern_gateway_live_subscriptions", "connections subscribed to virtual rooms")),
      links_up(r.gauge("tern_gateway_live_links_up", "links to group nodes that are up")),
      pushes(r.counter("tern_gateway_live_pushes_total", "frames for virtual rooms taken from clients")),
      frames_in(r.counter("tern_gateway_live_frames_in_total", "frames of virtual rooms from group nodes")),
      frames_out(r.counter("tern_gateway_live_frames_out_total", "live frames given to connections")),
      bytes_out(r.counter("tern_gateway_live_bytes_out_total", "bytes of live frames given to connections")),
      fanout_seconds(r.histogram("tern_gateway_live_fanout_seconds",
                                 "live frame received from its sender to given to the last viewer of an io thread",
                                 metrics::latency_buckets())) {
  for (size_t i = 0; i < drops; ++i) {
    dropped_[i] = r.counter("tern_gateway_live_dropped_total", "live frames not passed on, by reason",
                            {{"reason", drop_names[i]}});
  }
}

}  // namespace tern::gateway::live
