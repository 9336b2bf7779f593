// The two halves of the gRPC network, and what they share. grpcpp stays in their .cpp files.
#pragma once

#include <memory>
#include <string>

#include "libs/rpc/grpc_network.hpp"
#include "libs/rpc/outbox.hpp"
#include "libs/rpc/pacer.hpp"
#include "libs/rpc/timer.hpp"

namespace tern::rpc::detail {

class completions;
/// Its thread runs from now on.
std::shared_ptr<completions> make_completions();
/// After the ends of both halves.
void stop(completions& which);

/// Accepts streams of any offered method. Thread-safe.
class grpc_server {
 public:
  virtual ~grpc_server() = default;
  virtual void serve(const std::string& method, raw_accept accept) = 0;
  virtual void withdraw(const std::string& method) = 0;
  virtual result<void> start() = 0;
  virtual void stop() = 0;
  virtual int port() const = 0;
};
std::unique_ptr<grpc_server> make_grpc_server(const grpc_options& how, std::shared_ptr<completions> events,
                                              std::shared_ptr<timer> later, std::shared_ptr<pacer> pace);

/// Makes client links. Thread-safe; links may outlive it.
class grpc_client {
 public:
  virtual ~grpc_client() = default;
  virtual std::unique_ptr<link> connect(const peer& self, const std::string& address, const std::string& method,
                                        std::shared_ptr<receiver> client) = 0;
  /// Ends all links for good.
  virtual void stop() = 0;
  virtual std::vector<link_state> links() const = 0;
};
std::unique_ptr<grpc_client> make_grpc_client(const grpc_options& how, std::shared_ptr<completions> events,
                                              std::shared_ptr<timer> later, std::shared_ptr<pacer> pace);

/// Metadata: who calls, and how many items the sender of the metadata takes at first. A server's answer without a
/// window is no acceptance.
inline constexpr const char* service_key = "x-tern-service";
inline constexpr const char* node_key = "x-tern-node";
inline constexpr const char* incarnation_key = "x-tern-incarnation";
inline constexpr const char* window_key = "x-tern-window";
inline constexpr int max_message_bytes = 16 << 20;
/// HTTP/2 window on unix sockets: below what the kernel buffers, so that a peer that stopped reading blocks a stream,
/// which can be cancelled, and never the connection, which gRPC gives up only by the user timeout that TCP has.
inline constexpr int unix_window_bytes = 65535;

outbox_limits limits_of(const grpc_options& how);

struct pem {
  std::string ca, cert, key;
};
/// errc::config when a file is missing or empty.
result<pem> read_pem(const tls_files& files);

/// "/tern.session.v1.SessionService/Attach" -> "session": whose certificate a client expects.
std::string service_of(const std::string& method);

/// 0 for what is no number.
uint64_t to_number(std::string_view text);

}  // namespace tern::rpc::detail
