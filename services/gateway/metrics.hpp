// Every metric series of the gateway. Label values come from closed sets and exist from the start.
#pragma once

#include <array>
#include <cstdint>

#include "libs/metrics/metrics.hpp"
#include "libs/metrics/stages.hpp"
#include "libs/websocket/server.hpp"
#include "libs/wire/codec.hpp"
#include "services/gateway/live/metrics.hpp"

namespace tern::gateway {

/// How a command ended at the gateway.
enum class outcome : uint8_t { ok, malformed, refused, limited };

/// Why the gateway refused something; the label of tern_gateway_refused_total.
enum class refusal : uint8_t {
  malformed,       // a frame that is none, or whose payload is not the struct of its type
  not_offered,     // unknown command, or one that is not for clients or this transport
  disabled,        // switched off by configuration
  before_login,    // a frame that needs a login
  login,           // AUTH, REGISTER or TOKEN refused
  rate,            // frames per second of the connection
  address_rate,    // frames per second of the address
  handshake_rate,  // handshakes per second of the address
  overload,        // too much under way
  origin,
  draining,
  live,       // virtual rooms: no such room, no right, a limit, or a name that is none
  transport,  // WebSocket or HTTP that is not right, or text messages
};
inline constexpr size_t refusals = 13;

/// What was delivered; the label of tern_gateway_delivery_seconds.
enum class delivery_kind : uint8_t { message, notice, batch, moment };

/// Handles, made once. Thread-safe.
class gateway_metrics {
 public:
  gateway_metrics(metrics::registry& registry, bool tls);

  void command(uint8_t type, wire::encoding enc, outcome how) const noexcept;
  void closed(websocket::close_reason reason) const noexcept;
  void refused(refusal why) const noexcept;

  metrics::counter opened;
  metrics::counter auth_ok, auth_refused, auth_timeout, auth_unavailable;
  metrics::counter slow_consumers;
  metrics::counter rejected_generation;  // frames of a stream that has ended
  metrics::counter rejected_epoch;       // frames of who is not the owner any more, or was not yet
  metrics::counter rejected_unknown;     // frames for a connection that is gone
  metrics::counter bogus_acks;
  metrics::counter rebinds;
  metrics::counter replayed;
  metrics::counter room_frames;  // room messages given to terminals
  metrics::gauge draining, drain_remaining;
  metrics::gauge connections, connections_limit, half_open, send_queue_bytes;
  metrics::gauge links_up;
  metrics::gauge under_way, under_way_limit;  // commands sent to owners and not confirmed, and how many may be
  metrics::counter refused_connections, refused_heads;  // by the server: beyond its limits, not HTTP
  metrics::counter received_bytes, sent_bytes;
  metrics::histogram handshake_seconds;  // open to logged in
  /// Accepted from the sender to written to the recipient's socket.
  void delivered(delivery_kind what, double seconds) const noexcept {
    delivery_seconds_[static_cast<size_t>(what)].observe(seconds);
  }
  metrics::histogram event_loop_lag_seconds;
  metrics::histogram decode_seconds, write_seconds;  // stages of a message
  metrics::histogram client_ack_seconds;             // written to acknowledged
  metrics::histogram room_fanout_seconds;            // accepted to given to the last terminal of an io thread
  live::live_metrics live;

 private:
  static constexpr size_t outcomes = 4;
  std::array<std::array<metrics::counter, 2 * outcomes>, 128> commands_;
  std::array<metrics::counter, 8> closed_;
  std::array<metrics::counter, refusals> refused_;
  std::array<metrics::counter, 3> rate_limited_;  // connection, address, handshake
  metrics::counter shed_;
  std::array<metrics::histogram, 4> delivery_seconds_;
};

}  // namespace tern::gateway
