// Self-signed certificates for tests, made when the test runs.
#pragma once

#include <string>

namespace tern::websocket::testing {

/// A P-256 key and a certificate of it in two PEM files of an own directory, removed with the object.
class certificate {
 public:
  /// `name` is the certificate's common name.
  explicit certificate(const std::string& name);
  ~certificate();
  certificate(const certificate&) = delete;
  certificate& operator=(const certificate&) = delete;
  /// Another key and certificate in the same files.
  void renew(const std::string& name);
  std::string certificate_file() const { return directory_ + "/certificate.pem"; }
  std::string key_file() const { return directory_ + "/key.pem"; }

 private:
  std::string directory_;
};

}  // namespace tern::websocket::testing
