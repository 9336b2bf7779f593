// A TLS client that leaves nothing of its own behind: for opening many idle connections from one process.
#pragma once

#include <string>

struct ssl_ctx_st;

namespace tern::websocket::bench {

/// Settings shared by its connections. Not thread-safe.
class tls_client {
 public:
  tls_client();
  ~tls_client();
  tls_client(const tls_client&) = delete;
  tls_client& operator=(const tls_client&) = delete;
  /// Handshakes on a blocking socket, sends `bytes`, reads until `answer` has come, then forgets the TLS state and
  /// leaves the socket open.
  bool converse(int fd, const std::string& bytes, const std::string& answer) const;

 private:
  ssl_ctx_st* context_;
};

}  // namespace tern::websocket::bench
