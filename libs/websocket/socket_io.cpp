#include "libs/websocket/socket_io.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <cerrno>
#include <string_view>
#include <utility>

namespace tern::websocket {
namespace {

io_outcome failed_call(io_status would_block) noexcept {
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return {would_block, 0};
  return {io_status::failed, 0};
}

std::string last_tls_error() {
  char text[256];
  ERR_error_string_n(ERR_get_error(), text, sizeof text);
  ERR_clear_error();
  return text;
}

// A client that offers ALPN must offer http/1.1: the only protocol spoken here (RFC 7301 3.2).
int select_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered, unsigned size,
                void*) {
  static constexpr std::string_view wanted = "http/1.1";
  for (unsigned at = 0; at < size; at += 1U + offered[at]) {
    const std::string_view name(reinterpret_cast<const char*>(offered + at + 1), offered[at]);
    if (name != wanted) continue;
    *out = offered + at + 1;
    *out_size = offered[at];
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace

io_outcome plain_read(int fd, char* data, size_t size) noexcept {
  const ssize_t n = ::recv(fd, data, size, 0);
  if (n > 0) return {io_status::ok, static_cast<size_t>(n)};
  if (n == 0) return {io_status::eof, 0};
  return failed_call(io_status::want_read);
}

io_outcome plain_write(int fd, const char* data, size_t size) noexcept {
  const ssize_t n = ::send(fd, data, size, MSG_NOSIGNAL);
  if (n >= 0) return {io_status::ok, static_cast<size_t>(n)};
  return failed_call(io_status::want_write);
}

result<std::shared_ptr<tls_context>> tls_context::load(const std::string& certificate_file,
                                                       const std::string& private_key_file) {
  ERR_clear_error();
  std::shared_ptr<tls_context> made(new tls_context(SSL_CTX_new(TLS_server_method())));
  auto* context = made->context_;
  if (context == nullptr) return error{errc::config, "TLS: " + last_tls_error()};
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(context,
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);  // tickets resume without memory here
  SSL_CTX_set_num_tickets(context, 1);
  SSL_CTX_set_alpn_select_cb(context, select_alpn, nullptr);
  if (SSL_CTX_use_certificate_chain_file(context, certificate_file.c_str()) != 1) {
    return error{errc::config, "certificate file '" + certificate_file + "': " + last_tls_error()};
  }
  if (SSL_CTX_use_PrivateKey_file(context, private_key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return error{errc::config, "private key file '" + private_key_file + "': " + last_tls_error()};
  }
  if (SSL_CTX_check_private_key(context) != 1) {
    return error{errc::config, "private key does not belong to the certificate: " + last_tls_error()};
  }
  return made;
}

tls_context::~tls_context() { SSL_CTX_free(context_); }

tls_stream::tls_stream(const tls_context& context, int fd) : ssl_(SSL_new(context.get())) {
  if (ssl_ == nullptr) return;  // out of memory: the handshake fails
  SSL_set_fd(ssl_, fd);
  SSL_set_accept_state(ssl_);
}

tls_stream::tls_stream(tls_stream&& other) noexcept
    : ssl_(std::exchange(other.ssl_, nullptr)), peer_spoke_http_(other.peer_spoke_http_) {}

tls_stream::~tls_stream() { SSL_free(ssl_); }

io_outcome tls_stream::outcome(int result, size_t bytes) noexcept {
  if (result > 0) return {io_status::ok, bytes};
  const int saved = errno;
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ: return {io_status::want_read, 0};
    case SSL_ERROR_WANT_WRITE: return {io_status::want_write, 0};
    case SSL_ERROR_ZERO_RETURN: return {io_status::eof, 0};
    default: break;
  }
  const unsigned long code = ERR_peek_error();
  peer_spoke_http_ = ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_HTTP_REQUEST;
  const bool cut = (code == 0 && saved == 0) || ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
  ERR_clear_error();
  return {cut ? io_status::eof : io_status::failed, 0};
}

io_outcome tls_stream::handshake() noexcept {
  if (ssl_ == nullptr) return {io_status::failed, 0};
  ERR_clear_error();
  errno = 0;
  return outcome(SSL_do_handshake(ssl_), 0);
}

io_outcome tls_stream::read(char* data, size_t size) noexcept {
  ERR_clear_error();
  errno = 0;
  size_t bytes = 0;
  const int result = SSL_read_ex(ssl_, data, size, &bytes);
  return outcome(result, bytes);
}

io_outcome tls_stream::write(const char* data, size_t size) noexcept {
  ERR_clear_error();
  errno = 0;
  size_t bytes = 0;
  const int result = SSL_write_ex(ssl_, data, size, &bytes);
  return outcome(result, bytes);
}

bool tls_stream::pending() const noexcept { return SSL_pending(ssl_) > 0; }

void tls_stream::shutdown() noexcept {
  if (ssl_ == nullptr || SSL_is_init_finished(ssl_) == 0) return;
  ERR_clear_error();
  SSL_shutdown(ssl_);
  ERR_clear_error();
}

}  // namespace tern::websocket
