// Reading and writing a non-blocking socket, plain or through TLS, with one kind of outcome.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "libs/base/result.hpp"

struct ssl_st;
struct ssl_ctx_st;

namespace tern::websocket {

enum class io_status : uint8_t { ok, want_read, want_write, eof, failed };

struct io_outcome {
  io_status status = io_status::ok;
  size_t bytes = 0;
};

io_outcome plain_read(int fd, char* data, size_t size) noexcept;
io_outcome plain_write(int fd, const char* data, size_t size) noexcept;

/// Certificate, key and settings shared by the TLS connections made while it is current: TLS >= 1.2, no
/// renegotiation, no server-side session cache, buffers released while idle. Immutable, thread-safe.
class tls_context {
 public:
  /// errc::config with the reason when a file cannot be read, is not PEM, or the key is not the certificate's.
  static result<std::shared_ptr<tls_context>> load(const std::string& certificate_file,
                                                   const std::string& private_key_file);
  ~tls_context();
  tls_context(const tls_context&) = delete;
  tls_context& operator=(const tls_context&) = delete;
  ssl_ctx_st* get() const noexcept { return context_; }

 private:
  explicit tls_context(ssl_ctx_st* context) noexcept : context_(context) {}
  ssl_ctx_st* context_;
};

/// The server side of one TLS connection directly on its socket, which it does not own. Not thread-safe.
class tls_stream {
 public:
  tls_stream(const tls_context& context, int fd);
  ~tls_stream();
  tls_stream(tls_stream&& other) noexcept;
  tls_stream& operator=(tls_stream&& other) = delete;

  /// ok once the handshake is done.
  io_outcome handshake() noexcept;
  io_outcome read(char* data, size_t size) noexcept;
  /// May write less than asked. After want_write the same bytes (at any address) must come again.
  io_outcome write(const char* data, size_t size) noexcept;
  /// True when decrypted bytes wait that no event of the socket will announce.
  bool pending() const noexcept;
  /// Sends close_notify when there is room for it.
  void shutdown() noexcept;
  /// True after a handshake that failed because the peer speaks plain HTTP.
  bool peer_spoke_http() const noexcept { return peer_spoke_http_; }

 private:
  io_outcome outcome(int result, size_t bytes) noexcept;

  ssl_st* ssl_;
  bool peer_spoke_http_ = false;
};

}  // namespace tern::websocket
