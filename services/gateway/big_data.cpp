#include "services/gateway/big_data.hpp"

namespace tern::gateway {

big_data_shared::big_data_shared(size_t total_bytes, metrics::registry& registry)
    : memory(total_bytes),
      held_bytes(registry.gauge("tern_gateway_big_data_held_bytes",
                                "big data that is coming in, or sent to a session node and not confirmed")) {
  constexpr const char* names[] = {"assembled", "malformed", "too_large", "stalled", "overload", "disabled"};
  for (size_t i = 0; i < ends.size(); ++i) {
    ends[i] =
        registry.counter("tern_gateway_big_data_total",
                         "frames of types 95 to 97 by what became of them at the gateway", {{"result", names[i]}});
  }
}

}  // namespace tern::gateway
