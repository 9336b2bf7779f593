// Parts of tern-ws-bench: one server process, one client process, so that CPU and memory of each are its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace tern::websocket::bench {

struct settings {
  size_t connections = 50;
  size_t window = 16;        // messages in flight per connection
  size_t payload = 200;      // bytes
  size_t messages = 1'000'000;
  size_t idle = 10'000;      // idle connections whose memory is measured
  bool tls = false;
};

/// CPU seconds of this process so far.
double cpu_seconds();
/// Resident bytes of this process.
size_t resident_bytes();

/// Echoes on a free port until `control` is closed; answers each byte read from it with one line of figures.
int serve(const settings& what, int control, int port_pipe);

/// Opens connections from this process; blocking handshakes, 127.0.0.x source addresses.
struct client {
  /// Echoes what.messages messages with the window; returns messages done.
  static size_t echo(const settings& what, uint16_t port);
  /// Opens `what.idle` WebSocket connections and returns their descriptors' count; they stay open until exit.
  static size_t open_idle(const settings& what, uint16_t port);
};

}  // namespace tern::websocket::bench
