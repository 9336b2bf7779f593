// Random bytes for secrets and ids, from the kernel.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tern::crypto {

/// Fills `size` bytes (getrandom(2)); ends the process if the kernel has none, because nothing may go on without.
void random_bytes(void* out, size_t size);

uint64_t random_u64();

}  // namespace tern::crypto
