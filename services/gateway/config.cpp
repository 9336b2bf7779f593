#include "services/gateway/config.hpp"

#include <algorithm>
#include <charconv>

#include "libs/config/schema.hpp"
#include "libs/wire/frame.hpp"

namespace tern::gateway {

namespace {

bool is_command(const std::string& name) {
  const auto all = wire::commands();
  return std::any_of(all.begin(), all.end(), [&](const wire::command& one) { return one.name == name; });
}

std::string address_complaint(const std::string& address) {
  std::string host;
  uint16_t port = 0;
  return split_address(address, host, port) ? "" : "is not host:port";
}

void declare_limits(config::schema& into, gateway_config& o) {
  into.add("gateway.max_frame_bytes", o.max_frame_bytes, "largest frame after login", {1024, 16 << 20});
  into.add("gateway.big_data_bytes", o.big_data_bytes,
           "most data of one BIGSTRING, BIGBINARY or BIGBINARYSTREAM, in one WebSocket message or many; above: error "
           "4114, "
           "or close 1009 when it is one message",
           {1024, 10 << 20});
  into.add("gateway.big_data_total_bytes", o.big_data_total_bytes,
           "memory for big data that is coming in, or not confirmed by its session node, of all connections; above: "
           "error 5104",
           {1 << 20, int64_t{64} << 30});
  into.add("gateway.big_data_timeout_ms", o.big_data_timeout,
           "big data of which nothing more came for so long is dropped: error 4114", {100, 3'600'000});
  into.add("gateway.prelogin.frame_bytes", o.prelogin_frame_bytes, "largest frame before login", {64, 65536});
  into.add("gateway.prelogin.frames", o.prelogin_frames, "frames a connection may send before it is logged in",
           {1, 100});
  into.add("gateway.auth_timeout_ms", o.auth_timeout, "a connection must have logged in within", {100, 600'000});
  into.add("gateway.ping_timeout_ms", o.ping_timeout, "a connection without a frame for so long is closed",
           {100, 86'400'000});
  into.add("gateway.ack.timeout_ms", o.ack_timeout, "a delivery unacknowledged for so long closes the connection",
           {100, 3'600'000});
  into.add("gateway.owner_timeout_ms", o.owner_timeout, "how long a login waits for the owner of the account",
           {100, 60'000});
  into.add("gateway.write_stall_timeout_ms", o.write_stall_timeout,
           "a connection that takes no byte for so long is closed", {100, 3'600'000});
  into.add("gateway.request_rate_per_second", o.request_rate_per_second,
           "frames per second and connection; 0: no limit. Above: error 5105 and close", {0, 1'000'000});
  into.add("gateway.request_burst", o.request_burst, "frames a connection may send at once", {1, 1'000'000});
  into.add("gateway.address_rate_per_second", o.address_rate_per_second,
           "frames per second of all connections of one address (IPv6: one /64), twice as many at once; 0: no limit. "
           "Above: error 5105 and close",
           {0, 10'000'000});
  into.add("gateway.handshake_rate_per_second", o.handshake_rate_per_second,
           "WebSocket handshakes and POST /tim2 calls per second of one address, twice as many at once; 0: no limit. "
           "Above: HTTP 429",
           {0, 1'000'000});
  into.add("gateway.max_bad_frames", o.max_bad_frames, "malformed frames of a connection before it is closed",
           {1, 1'000'000});
  into.add("gateway.ack.max_bogus", o.max_bogus_acks, "acknowledgements of nothing before a connection is closed",
           {1, 1'000'000});
  into.add("gateway.window_frames", o.window_frames, "deliveries written and not acknowledged, per connection",
           {1, 1024});
  into.add("gateway.waiting_frames", o.waiting_frames, "deliveries behind a full window, per connection",
           {1, 1'000'000});
  into.add("gateway.waiting_bytes", o.waiting_bytes, "their bytes", {1024, 1 << 30});
  into.add("gateway.max_queue_bytes", o.max_queue_bytes,
           "bytes written and not taken by the kernel; slow consumer above", {1024, 1 << 30});
  into.add("gateway.unconfirmed_frames", o.unconfirmed_frames,
           "commands in work before reading pauses, per connection", {1, 4096});
  into.add("gateway.overload.target_ms", o.overload_target,
           "commands under way may take so long at the present pace; above: error 5104, the connection stays",
           {100, 60'000});
  into.add("gateway.overload.standing_ms", o.overload_standing,
           "the same once refusals have gone on for half a second, until they have ceased", {100, 60'000});
  into.add("gateway.overload.least_frames", o.overload_least,
           "commands under way per io thread that are always let in", {1, 10'000'000});
  into.add("gateway.overload.most_frames", o.overload_most, "commands under way per io thread at most",
           {1, 10'000'000});
  into.add("gateway.max_http_calls", o.max_http_calls, "REGISTER and TOKEN calls in work per io thread",
           {1, 1'000'000});
}

void declare_live(config::schema& into, gateway_config& o) {
  into.add("gateway.live.rooms_per_connection", o.live_rooms_per_connection,
           "virtual rooms a connection may have made; further ones: 4111", {0, 100'000});
  into.add("gateway.live.subscriptions_per_connection", o.live_subscriptions_per_connection,
           "virtual rooms a connection may be subscribed to; further ones: 4111", {1, 10'000});
  into.add(
      "gateway.live.command_timeout_ms", o.live_command_timeout,
      "how long VROOM waits for the owner of the room and its answer; then 5104. A frame waits as long for an owner",
      {100, 60'000});
  into.add("gateway.live.queue_bytes", o.live_queue_bytes,
           "live frames that wait for a connection's socket; above, the oldest ones are dropped", {1024, 1 << 30});
  into.add("gateway.live.queue_ms", o.live_queue_time,
           "a live frame that has waited longer for a connection's socket is dropped when a newer one waits, too",
           {10, 600'000});
}

void declare_drain(config::schema& into, gateway_config& o) {
  into.add("gateway.drain.close_per_second", o.close_per_second,
           "connections closed per second by a drain; more when that is what it takes to be through after 0.7 of the "
           "time there is",
           {1, 1'000'000});
  into.add("gateway.drain.notice_ms", o.drain_notice,
           "how long clients may still connect after a drain has begun and the node is not ready any more: what load "
           "balancers need to see it. A quarter of the time there is at most",
           {0, 600'000});
  into.add("gateway.drain.client_ms", o.drain_client,
           "time a client has, when its turn in a drain comes, until its commands are answered and its deliveries "
           "acknowledged; nothing more is read from it in the second half",
           {0, 60'000});
  into.add("gateway.drain.operator_ms", o.drain_operator,
           "time for a drain that an operator orders; one by SIGTERM has drain.timeout_ms", {100, 3'600'000});
}

}  // namespace

void declare(config::schema& into, gateway_config& o) {
  into.add("gateway.listen_address", o.listen_address, "host:port for clients", address_complaint);
  into.add("gateway.threads", o.threads, "io threads", {1, 256});
  into.add("gateway.max_connections", o.max_connections, "connections of this node; further ones get 503",
           {1, 10'000'000});
  into.add("gateway.max_half_open_per_address", o.max_half_open_per_address, "unfinished handshakes of one address",
           {1, 1'000'000});
  into.add("gateway.tls.certificate_file", o.tls_certificate_file,
           "PEM chain; with tls.key_file: TLS on the client port");
  into.add("gateway.tls.key_file", o.tls_key_file, "PEM private key");
  into.add("gateway.tls.check_ms", o.tls_check, "how often the two files are looked at; changed ones are taken",
           {100, 86'400'000});
  into.add("gateway.origins", o.origins, "allowed values of Origin, exact; empty: any");
  into.add("gateway.disabled_commands", o.disabled_commands,
           "commands switched off, by name (register, message, bigstring, …)");
  into.add("gateway.web_page", o.web_page, "serve the built-in web page at /");
  declare_limits(into, o);
  declare_live(into, o);
  declare_drain(into, o);
  into.add("gateway.log.trace_every", o.trace_every, "each N-th MESSAGE is traced through the log; 0: none",
           {0, 1'000'000'000});
  into.add_secret("identity.key", o.identity_key, "cluster secret that account and conversation ids are derived from",
                  true);
}

std::vector<std::string> complaints(const gateway_config& options) {
  std::vector<std::string> out;
  if (!address_complaint(options.listen_address).empty()) out.push_back("gateway.listen_address: is not host:port");
  if (options.tls_certificate_file.empty() != options.tls_key_file.empty()) {
    out.push_back("gateway.tls: certificate_file and key_file belong together");
  }
  for (const auto& name : options.disabled_commands) {
    if (name == "ack") out.push_back("gateway.disabled_commands: ack cannot be switched off");
    if (!is_command(name)) out.push_back("gateway.disabled_commands: no command is named " + name);
  }
  if (options.big_data_total_bytes < options.big_data_bytes + 128) {
    out.push_back("gateway.big_data_total_bytes: must hold gateway.big_data_bytes and a node");
  }
  if (options.identity_key.size() < 16) out.push_back("identity.key: at least 16 bytes");
  return out;
}

bool split_address(const std::string& address, std::string& host, uint16_t& port) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0) return false;
  host = address.substr(0, colon);
  if (host.front() == '[') {
    if (host.size() < 3 || host.back() != ']') return false;
    host = host.substr(1, host.size() - 2);
  }
  const char* end = address.data() + address.size();
  const auto [stop, failure] = std::from_chars(address.data() + colon + 1, end, port);
  return failure == std::errc{} && stop == end;
}

}  // namespace tern::gateway
