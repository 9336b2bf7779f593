#include "libs/app/data_directory.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "libs/crypto/random.hpp"

namespace tern::app {
namespace {

error refusal(const std::string& path, const std::string& why) { return {errc::config, path + ": " + why}; }
error refusal(const std::string& path) { return refusal(path, std::strerror(errno)); }

std::string random_hex() {
  unsigned char bytes[32];
  crypto::random_bytes(bytes, sizeof bytes);
  std::string text;
  for (const unsigned byte : bytes) {
    text += "0123456789abcdef"[byte >> 4U];
    text += "0123456789abcdef"[byte & 15U];
  }
  return text;
}

/// A rename survives a power cut once the directory is synced too.
bool sync_directory(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool good = ::fsync(fd) == 0;
  ::close(fd);
  return good;
}

bool write_synced(const std::string& path, const std::string& text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  const bool good = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(fd) == 0;
  return ::close(fd) == 0 && good;
}

}  // namespace

result<data_directory> data_directory::open(const std::string& path) {
  std::error_code failed;
  const bool fresh = std::filesystem::create_directories(path, failed);
  if (failed) return refusal(path, failed.message());
  if (fresh) ::chmod(path.c_str(), 0700);
  const auto lock_path = path + "/lock";
  const int lock = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) return refusal(lock_path);
  data_directory held(path, lock);
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    return refusal(path, errno == EWOULDBLOCK ? "in use by another process" : std::strerror(errno));
  }
  return held;
}

data_directory::~data_directory() {
  if (lock_ >= 0) ::close(lock_);
}

data_directory::data_directory(data_directory&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

data_directory& data_directory::operator=(data_directory&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(lock_, other.lock_);
  return *this;
}

result<std::string> data_directory::secret_file(const std::string& name) const {
  const auto target = file(name);
  if (::access(target.c_str(), F_OK) == 0) return target;
  const auto draft = target + ".new";
  if (!write_synced(draft, random_hex() + "\n")) return refusal(draft);
  if (::rename(draft.c_str(), target.c_str()) != 0 || !sync_directory(path_)) return refusal(target);
  return target;
}

}  // namespace tern::app
