#include "libs/config/secret_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace tern::config {
namespace {

constexpr size_t most_bytes = 65536;

/// Closes on leaving the scope.
struct descriptor {
  int fd;
  ~descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

error refusal(const std::string& path, const std::string& why) { return {errc::config, "file " + path + ": " + why}; }

std::string octal(mode_t mode) {
  std::string text = "0000";
  for (size_t i = 4; i-- > 0; mode >>= 3U) text[i] = static_cast<char>('0' + (mode & 7U));
  return text;
}

}  // namespace

result<std::string> read_secret_file(const std::string& path) {
  const descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};  // a FIFO must not hang the start
  if (file.fd < 0) return refusal(path, std::strerror(errno));
  struct stat about {};
  if (::fstat(file.fd, &about) != 0) return refusal(path, std::strerror(errno));
  if (!S_ISREG(about.st_mode)) return refusal(path, "not a regular file");
  if ((about.st_mode & 0077U) != 0) {
    return refusal(path, "mode " + octal(about.st_mode & 07777U) + " lets others read it, must be 0600 or stricter");
  }
  std::string content(most_bytes + 1, '\0');
  size_t size = 0;
  while (size < content.size()) {
    const auto got = ::read(file.fd, content.data() + size, content.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return refusal(path, std::strerror(errno));
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  if (size > most_bytes) return refusal(path, "longer than 64 KiB");
  content.resize(size);
  while (!content.empty() && (content.back() == '\n' || content.back() == '\r')) content.pop_back();
  if (content.empty()) return refusal(path, "empty");
  return content;
}

}  // namespace tern::config
