#include "services/gateway/metrics.hpp"

#include <iterator>

#include "libs/wire/frame.hpp"

namespace tern::gateway {

namespace {

constexpr const char* outcome_names[] = {"ok", "malformed", "refused", "limited"};
constexpr const char* refusal_names[] = {"malformed", "not_offered",  "disabled",       "before_login", "login",
                                         "rate",      "address_rate", "handshake_rate", "overload",     "origin",
                                         "draining",  "live",         "transport"};
static_assert(std::size(refusal_names) == refusals);

metrics::counter auth_counter(metrics::registry& r, const char* result) {
  return r.counter("tern_gateway_auth_total", "logins by result", {{"result", result}});
}

metrics::counter rejected_counter(metrics::registry& r, const char* why) {
  return r.counter("tern_gateway_frames_rejected_total",
                   "frames of session nodes that were not for a live connection", {{"reason", why}});
}

}  // namespace

gateway_metrics::gateway_metrics(metrics::registry& r, bool tls)
    : opened(r.counter("tern_gateway_connections_opened_total", "client connections upgraded")),
      auth_ok(auth_counter(r, "ok")),
      auth_refused(auth_counter(r, "refused")),
      auth_timeout(auth_counter(r, "timeout")),
      auth_unavailable(auth_counter(r, "unavailable")),
      slow_consumers(
          r.counter("tern_gateway_slow_consumers_total", "connections cut off because they did not keep up")),
      rejected_generation(rejected_counter(r, "generation")),
      rejected_epoch(rejected_counter(r, "epoch")),
      rejected_unknown(rejected_counter(r, "unknown_connection")),
      bogus_acks(r.counter("tern_gateway_bogus_acks_total", "acknowledgements of nothing this connection was sent")),
      rebinds(r.counter("tern_gateway_rebinds_total", "terminals bound to a session node again")),
      replayed(r.counter("tern_gateway_replayed_frames_total", "inbound frames sent again after a rebind")),
      room_frames(r.counter("tern_gateway_room_frames_total", "room messages given to terminals")),
      draining(r.gauge("tern_gateway_draining", "1 while a drain runs")),
      drain_remaining(r.gauge("tern_gateway_drain_remaining_connections", "connections a drain still has to close")),
      connections(r.gauge("tern_gateway_connections", "open client connections",
                          {{"transport", "websocket"}, {"tls", tls ? "true" : "false"}})),
      connections_limit(
          r.gauge("tern_gateway_connections_limit", "connections this node takes: gateway.max_connections")),
      half_open(
          r.gauge("tern_gateway_half_open_connections", "connections without a finished handshake or HTTP head")),
      send_queue_bytes(
          r.gauge("tern_gateway_send_queue_bytes", "bytes queued to clients and not taken by the kernel")),
      links_up(r.gauge("tern_gateway_session_links_up", "links to session nodes that are up")),
      under_way(r.gauge("tern_gateway_commands_under_way", "commands sent to session nodes and not confirmed")),
      under_way_limit(
          r.gauge("tern_gateway_commands_under_way_limit", "above this many commands are refused with 5104")),
      refused_connections(r.counter("tern_gateway_connections_refused_total", "connections beyond a limit")),
      refused_heads(
          r.counter("tern_gateway_protocol_refused_total", "connections that spoke no right TLS, HTTP or WebSocket")),
      received_bytes(r.counter("tern_gateway_received_bytes_total", "bytes read from clients")),
      sent_bytes(r.counter("tern_gateway_sent_bytes_total", "bytes written to clients")),
      handshake_seconds(
          r.histogram("tern_gateway_handshake_seconds", "upgraded to logged in", metrics::latency_buckets())),
      event_loop_lag_seconds(r.histogram("tern_event_loop_lag_seconds",
                                         "how late a timer of a client io thread was, every 200 ms",
                                         metrics::latency_buckets())),
      decode_seconds(metrics::stage_seconds(r, metrics::stage::decode)),
      write_seconds(metrics::stage_seconds(r, metrics::stage::write)),
      client_ack_seconds(r.histogram("tern_gateway_client_ack_seconds", "written to a client to acknowledged by it",
                                     metrics::latency_buckets())),
      room_fanout_seconds(r.histogram("tern_gateway_room_fanout_seconds",
                                      "room message accepted to given to the last terminal of an io thread",
                                      metrics::latency_buckets())),
      live(r) {
  for (size_t i = 0; i < refusals; ++i) {
    refused_[i] = r.counter("tern_gateway_refused_total", "what clients were refused, by reason",
                            {{"reason", refusal_names[i]}});
  }
  const std::array<std::string, 4> kinds{"message", "notice", "batch", "moment"};
  for (size_t i = 0; i < kinds.size(); ++i) {
    delivery_seconds_[i] =
        r.histogram("tern_gateway_delivery_seconds", "accepted from the sender to written to the recipient's socket",
                    metrics::fine_latency_buckets(), {{"kind", kinds[i]}});
  }
  const std::array<std::string, 3> scopes{"connection", "address", "handshake"};
  for (size_t i = 0; i < scopes.size(); ++i) {
    rate_limited_[i] =
        r.counter("tern_rate_limited_total", "refused because a rate was exceeded, by whose", {{"scope", scopes[i]}});
  }
  shed_ = r.counter("tern_overload_shed_total", "refused because too much waits, by what was full",
                    {{"reason", "gateway_commands"}});
  for (const wire::command& one : wire::commands()) {
    auto& series = commands_[static_cast<uint8_t>(one.type) & 0x7F];
    for (size_t enc = 0; enc < 2; ++enc) {
      for (size_t how = 0; how < outcomes; ++how) {
        series[enc * outcomes + how] =
            r.counter("tern_gateway_commands_total", "client commands by encoding and result",
                      {{"command", std::string(one.name)},
                       {"encoding", enc == 0 ? "thrift" : "json"},
                       {"result", outcome_names[how]}});
      }
    }
  }
  for (size_t i = 0; i < closed_.size(); ++i) {
    const auto reason = static_cast<websocket::close_reason>(i);
    closed_[i] = r.counter("tern_gateway_connections_closed_total", "client connections closed by reason",
                           {{"reason", std::string(websocket::to_string(reason))}});
  }
}

void gateway_metrics::command(uint8_t type, wire::encoding enc, outcome how) const noexcept {
  if (wire::find_command(type & 0x7F) == nullptr) return;
  const size_t base = enc == wire::encoding::json ? outcomes : 0;
  commands_[type & 0x7F][base + static_cast<size_t>(how)].add();
}

void gateway_metrics::refused(refusal why) const noexcept {
  refused_[static_cast<size_t>(why)].add();
  switch (why) {
    case refusal::rate: return rate_limited_[0].add();
    case refusal::address_rate: return rate_limited_[1].add();
    case refusal::handshake_rate: return rate_limited_[2].add();
    case refusal::overload: return shed_.add();
    default: return;
  }
}

void gateway_metrics::closed(websocket::close_reason reason) const noexcept {
  const auto index = static_cast<size_t>(reason);
  if (index < closed_.size()) closed_[index].add();
}

}  // namespace tern::gateway
