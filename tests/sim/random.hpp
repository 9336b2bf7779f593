// Random bytes of the code under test come from the seed.
#pragma once

#include <cstdint>

namespace tern::sim {

/// random.cpp takes the place of libs/crypto/random.cpp in programs that are linked with it.
void seed_random(uint64_t seed) noexcept;

}  // namespace tern::sim
