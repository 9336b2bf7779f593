// Links between processes: one gRPC bidi stream per link, batches of serialised items, credit. docs/adr/0003-links.md
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "libs/rpc/network.hpp"

namespace tern::rpc {

/// PEM files of mutual TLS. All three or none; with them nothing is ever sent or taken in plaintext.
struct tls_files {
  std::string ca;    // who signs the certificates of all nodes
  std::string cert;  // this node's: its CN or a DNS SAN is its service name
  std::string key;
  bool enabled() const { return !ca.empty() || !cert.empty() || !key.empty(); }
};

struct grpc_options {
  peer self;                   // what servers are told by default; connect() may say otherwise
  std::string listen_address;  // "host:port", "unix:PATH"; empty: this process serves nothing
  tls_files tls;
  size_t queue_items = 65536;  // a sink's queue; send() is false beyond
  size_t queue_bytes = 64U << 20U;
  uint32_t window_items = 8192;         // items a peer may have under way to us
  std::chrono::microseconds pace{400};  // writes of a busy stream are so far apart; 0: each item as soon as it can
  std::chrono::microseconds longest_pace{2000};  // the same where processors are short
  std::chrono::milliseconds connect_timeout{2000};
  std::chrono::milliseconds close_timeout{2000};
  std::chrono::milliseconds first_retry{50};
  std::chrono::milliseconds last_retry{1000};
  std::chrono::milliseconds keepalive{10000};  // ping after so much silence, down after half of it without an answer
};

/// Listening begins with start(). An address of connect() is "host:port" or "unix:PATH".
/// The peer's service, node and incarnation travel as metadata; with TLS the service must be in its certificate.
std::unique_ptr<network> make_grpc_network(grpc_options how);

/// The port a TCP listen address with port 0 was bound to; 0 before start() or for another network.
int bound_port(const network& of);

/// A client link as it is now, for people.
struct link_state {
  std::string service;  // whose stream it is: "session"
  std::string address;
  bool up = false;
  std::chrono::milliseconds since{0};  // it has been so for so long
  std::string why;                     // how the last attempt ended; empty: none has
};
/// Of all links that have not ended; none for another network.
std::vector<link_state> links_of(const network& of);

}  // namespace tern::rpc
