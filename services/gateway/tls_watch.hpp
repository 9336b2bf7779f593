// Notices new certificate files.
#pragma once

#include <string>

#include "libs/base/result.hpp"
#include "libs/websocket/server.hpp"

namespace tern::gateway {

/// Looks at the certificate and key files and has the server read them again when one has been replaced or changed. A
/// pair that cannot be used (one file written, the other not yet) is tried again at the next look; the old one stays
/// meanwhile. Not thread-safe.
class tls_watch {
 public:
  tls_watch(websocket::server& server, std::string certificate_file, std::string key_file);

  /// errc::ok and true: new files are in use for connections to come; false: nothing has changed. errc::config: the
  /// new files cannot be used.
  result<bool> look();

 private:
  std::string stamps() const;

  websocket::server& server_;
  std::string certificate_file_, key_file_;
  std::string used_;  // stamps of the files in use
};

}  // namespace tern::gateway
