// argon2id (RFC 9106) in the PHC string format.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tern::crypto {

/// What one hash costs; the defaults are OWASP's minimum for argon2id (about 26 ms of one core here).
struct password_cost {
  uint32_t memory_kib = 19 * 1024;
  uint32_t passes = 2;
  uint32_t lanes = 1;
};

/// "$argon2id$v=19$m=…,t=…,p=…$salt$hash" with 16 random salt bytes and a 32-byte hash. Blocks for the whole cost:
/// for a bounded pool only. Empty if the memory cannot be had or the cost is out of argon2's bounds.
std::string hash_password(std::string_view password, const password_cost& cost = {});

/// Whether `phc` is an argon2id string of this password; costs what `phc` says. False for anything malformed.
bool verify_password(std::string_view phc, std::string_view password);

}  // namespace tern::crypto
