#include "services/gateway/tls_watch.hpp"

#include <sys/stat.h>

#include <utility>

namespace tern::gateway {

namespace {

/// Which file a path leads to and when it was written last; empty when there is none.
std::string stamp(const std::string& path) {
  struct stat now {};
  if (::stat(path.c_str(), &now) != 0) return {};
  return std::to_string(now.st_dev) + "/" + std::to_string(now.st_ino) + "/" + std::to_string(now.st_size) + "/" +
         std::to_string(now.st_mtim.tv_sec) + "." + std::to_string(now.st_mtim.tv_nsec);
}

}  // namespace

tls_watch::tls_watch(websocket::server& server, std::string certificate_file, std::string key_file)
    : server_(server),
      certificate_file_(std::move(certificate_file)),
      key_file_(std::move(key_file)),
      used_(stamps()) {}

std::string tls_watch::stamps() const { return stamp(certificate_file_) + " " + stamp(key_file_); }

result<bool> tls_watch::look() {
  // Taken before the files are read: a change in between is noticed at the next look.
  std::string now = stamps();
  if (now == used_) return false;
  if (auto loaded = server_.reload_certificates(); !loaded) return loaded.error();
  used_ = std::move(now);
  return true;
}

}  // namespace tern::gateway
