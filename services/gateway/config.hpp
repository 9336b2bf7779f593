// Options of the gateway: `gateway.<area>.<name>`, units in the names.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace tern::config {
class schema;
}

namespace tern::gateway {

/// Defaults are those of a single node on a laptop; every number has a bound in declare().
struct gateway_config {
  std::string listen_address = "127.0.0.1:20003";  // host:port of clients; port 0: any free one
  uint64_t threads = 1;                            // io threads
  uint64_t max_connections = 1'000'000;
  uint64_t max_half_open_per_address = 1000;
  std::string tls_certificate_file;  // PEM chain; with the key: TLS on the client port
  std::string tls_key_file;
  std::chrono::milliseconds tls_check{5000};   // how often changed files are looked for
  std::vector<std::string> origins;            // exact allow-list; empty: any
  std::vector<std::string> disabled_commands;  // names of the command table, e.g. "register"
  bool web_page = true;                        // GET / answers the built-in page

  uint64_t max_frame_bytes = 65536;           // after login
  uint64_t big_data_bytes = 1 << 20;          // of one BIGSTRING, BIGBINARY or BIGBINARYSTREAM, behind its node
  uint64_t big_data_total_bytes = 256 << 20;  // big data on its way in, of the whole gateway
  std::chrono::milliseconds big_data_timeout{30'000};  // the next bytes of one must come within
  uint64_t prelogin_frame_bytes = 1024;
  uint64_t prelogin_frames = 3;
  std::chrono::milliseconds auth_timeout{5000};
  std::chrono::milliseconds ping_timeout{600'000};  // a connection without a frame for so long is closed
  std::chrono::milliseconds ack_timeout{30'000};    // a delivery unacknowledged for so long: slow consumer
  std::chrono::milliseconds owner_timeout{5000};    // a login or HTTP call waits so long for an owner or its answer
  std::chrono::milliseconds write_stall_timeout{20'000};
  uint64_t request_rate_per_second = 500;  // frames of one connection; 0: no limit
  uint64_t request_burst = 1000;
  uint64_t address_rate_per_second = 0;    // frames of one address; 0: no limit. At once: twice as many
  uint64_t handshake_rate_per_second = 0;  // upgrades and POST /tim2 of one address; likewise
  uint64_t max_bad_frames = 10;            // malformed or unknown frames of a connection before it is closed
  uint64_t max_bogus_acks = 8;             // acknowledgements of nothing before it is closed
  uint64_t window_frames = 64;             // written and unacknowledged
  uint64_t waiting_frames = 4096;          // behind a full window
  uint64_t waiting_bytes = 1 << 20;
  uint64_t max_queue_bytes = 1 << 20;                // bytes the kernel did not take: slow consumer above
  uint64_t unconfirmed_frames = 64;                  // inbound and not yet done: reading pauses at this many
  std::chrono::milliseconds overload_target{300};    // so long may the commands under way take; 5104 above
  std::chrono::milliseconds overload_standing{200};  // and so long once refusals go on
  uint64_t overload_least = 2000;                    // under way per io thread: always let in
  uint64_t overload_most = 50'000;                   // and never more
  uint64_t live_rooms_per_connection = 16;           // virtual rooms made by one connection and not ended
  uint64_t live_subscriptions_per_connection = 64;
  std::chrono::milliseconds live_command_timeout{3000};  // VROOM waits so long for an owner and its answer; then 5104
  uint64_t live_queue_bytes = 1 << 20;  // live frames a connection's socket has not taken: the oldest go above
  std::chrono::milliseconds live_queue_time{2000};   // and those that have waited longer
  uint64_t max_http_calls = 1000;                    // REGISTER and TOKEN waiting per io thread; 503 above
  uint64_t close_per_second = 500;                   // of a drain, or more when its time is short
  std::chrono::milliseconds drain_notice{200};       // not ready, and still accepting
  std::chrono::milliseconds drain_client{1000};      // for a client to come to rest before it is closed
  std::chrono::milliseconds drain_operator{20'000};  // limit of a drain that an operator orders
  uint64_t trace_every = 1000;                       // each N-th MESSAGE is traced; 0: none
  std::string identity_key;                          // secret shared by gateways and session nodes
};

/// Declares every option above in `into`; `options` must outlive the schema.
void declare(config::schema& into, gateway_config& options);

/// What is wrong with the options taken together (address, TLS pair, command names); empty when all is well.
std::vector<std::string> complaints(const gateway_config& options);

/// "host:port" or "[v6]:port" in two; false when it is neither.
bool split_address(const std::string& address, std::string& host, uint16_t& port);

}  // namespace tern::gateway
