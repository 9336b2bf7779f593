#include "libs/crypto/random.hpp"

#include <sys/random.h>

#include <cerrno>
#include <cstdlib>

namespace tern::crypto {

void random_bytes(void* out, size_t size) {
  auto* at = static_cast<unsigned char*>(out);
  while (size > 0) {
    const ssize_t got = getrandom(at, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) std::abort();
    at += got;
    size -= static_cast<size_t>(got);
  }
}

uint64_t random_u64() {
  uint64_t value = 0;
  random_bytes(&value, sizeof value);
  return value;
}

}  // namespace tern::crypto
