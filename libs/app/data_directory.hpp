// The directory a single-node program keeps everything in: its databases and the secrets it made for itself.
#pragma once

#include <string>

#include "libs/base/result.hpp"

namespace tern::app {

/// Held by one process at a time (flock on DIR/lock), for as long as the object lives.
class data_directory {
 public:
  /// Makes the directory (mode 0700) if it is not there. errc::config with the reason when it cannot be used, also
  /// when another process holds it.
  static result<data_directory> open(const std::string& path);
  ~data_directory();
  data_directory(data_directory&& other) noexcept;
  data_directory& operator=(data_directory&& other) noexcept;

  const std::string& path() const noexcept { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  /// Path of DIR/<name>, mode 0600: 32 random bytes in hex, made and synced to disk at the first call, kept for ever.
  result<std::string> secret_file(const std::string& name) const;

 private:
  data_directory(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}
  std::string path_;
  int lock_ = -1;
};

}  // namespace tern::app
