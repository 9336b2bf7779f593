#include "libs/websocket/bench/tls_client.hpp"

#include <openssl/ssl.h>

namespace tern::websocket::bench {

tls_client::tls_client() : context_(SSL_CTX_new(TLS_client_method())) {}

tls_client::~tls_client() { SSL_CTX_free(context_); }

bool tls_client::converse(int fd, const std::string& bytes, const std::string& answer) const {
  SSL* ssl = SSL_new(context_);
  SSL_set_fd(ssl, fd);
  bool good = SSL_connect(ssl) == 1 && SSL_write(ssl, bytes.data(), static_cast<int>(bytes.size())) > 0;
  std::string got;
  while (good && got.find(answer) == std::string::npos) {
    char buffer[4096];
    const int n = SSL_read(ssl, buffer, sizeof buffer);
    good = n > 0;
    if (good) got.append(buffer, static_cast<size_t>(n));
  }
  SSL_set_quiet_shutdown(ssl, 1);
  SSL_free(ssl);
  return good;
}

}  // namespace tern::websocket::bench
