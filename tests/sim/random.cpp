// Defines what libs/crypto/random.hpp declares: the linker then leaves the kernel's version out.
#include "tests/sim/random.hpp"

#include <cstring>

#include "libs/crypto/random.hpp"
#include "tests/sim/dice.hpp"

namespace tern::sim {
namespace {
dice& source() noexcept {
  static dice one(0);
  return one;
}
}  // namespace

void seed_random(uint64_t seed) noexcept { source() = dice(seed ^ 0x7465726EU); }

}  // namespace tern::sim

namespace tern::crypto {

void random_bytes(void* out, size_t size) {
  auto* at = static_cast<unsigned char*>(out);
  for (size_t i = 0; i < size; ++i) at[i] = static_cast<unsigned char>(sim::source().next() >> 32U);
}

uint64_t random_u64() { return sim::source().next(); }

}  // namespace tern::crypto
