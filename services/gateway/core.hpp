// What every part of one gateway shares: options, clock, metrics, identity. Made once by the app, immutable but for
// counters, and outlives the server, the lanes and the links.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "libs/base/clock.hpp"
#include "libs/log/log.hpp"
#include "libs/wire/frame.hpp"
#include "services/gateway/addresses.hpp"
#include "services/gateway/big_data.hpp"
#include "services/gateway/config.hpp"
#include "services/gateway/live/queue.hpp"
#include "services/gateway/load.hpp"
#include "services/gateway/metrics.hpp"
#include "services/gateway/terminal.hpp"

namespace tern::gateway {

/// Time on the io threads is counted in ticks of 100 ms; deadlines need no finer one.
inline constexpr std::chrono::milliseconds tick_length{100};

/// Thread-safe.
struct core {
  core(const gateway_config& options, const clock& machine_time, metrics::registry& registry, std::string node_name,
       uint64_t process_incarnation)
      : config(options),
        time(machine_time),
        metrics(registry, !options.tls_certificate_file.empty()),
        node(std::move(node_name)),
        incarnation(process_incarnation),
        started(machine_time.now()),
        big_data(options.big_data_total_bytes, registry),
        frames_of_address(options.address_rate_per_second, 2 * options.address_rate_per_second),
        handshakes_of_address(options.handshake_rate_per_second, 2 * options.handshake_rate_per_second) {
    limits = {options.window_frames, options.waiting_frames, options.waiting_bytes, options.unconfirmed_frames, 256};
    live_limits.created = options.live_rooms_per_connection;
    live_limits.subscriptions = options.live_subscriptions_per_connection;
    live_limits.queue = {options.live_queue_bytes, static_cast<uint32_t>(options.live_queue_time.count())};
    for (const auto& name : options.disabled_commands) {
      for (const wire::command& one : wire::commands()) {
        if (one.name == name) disabled[static_cast<uint8_t>(one.type) & 0x7F] = true;
      }
    }
  }

  /// Ticks since the start, rounded down; starts at 1.
  uint32_t tick() const { return 1 + static_cast<uint32_t>((time.now() - started) / tick_length); }
  /// Milliseconds since the start; wraps after 49 days, so only differences count.
  uint32_t milliseconds() const {
    return static_cast<uint32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(time.now() - started).count());
  }
  /// A duration in ticks, rounded up, so that nothing is due before its time.
  static uint32_t ticks(std::chrono::milliseconds duration) {
    return static_cast<uint32_t>((duration + tick_length - std::chrono::milliseconds{1}) / tick_length);
  }
  load_limits load() const {
    return {config.overload_least, config.overload_most, ticks(config.overload_target),
            ticks(config.overload_standing)};
  }
  bool is_disabled(wire::frame_type type) const noexcept { return disabled[static_cast<uint8_t>(type) & 0x7F]; }

  const gateway_config config;
  const clock& time;
  const gateway_metrics metrics;
  const log::logger log{"gateway"};
  const std::string node;
  const uint64_t incarnation;
  const clock::time_point started;
  big_data_shared big_data;
  address_rates frames_of_address, handshakes_of_address;
  terminal_limits limits;
  live::viewer_limits live_limits;
  std::array<bool, 128> disabled{};
  std::atomic<uint64_t> messages{0};  // MESSAGE frames seen, for tracing each N-th
  std::atomic<bool> draining{false};
};

}  // namespace tern::gateway
