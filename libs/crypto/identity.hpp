// Keyed ids of accounts and pairs. The identity key is a secret of the cluster; login names are stored nowhere.
#pragma once

#include <string>
#include <string_view>

#include "libs/base/ids.hpp"

namespace tern::crypto {

/// How many ids a name may get when another name already has the first ones.
inline constexpr unsigned account_probes = 4;

/// HMAC-SHA-256(identity key, domain 0x00 name): 32 bytes.
std::string name_key(std::string_view identity_key, std::string_view domain, std::string_view name);

/// The first 8 bytes of the name key, big-endian; probe 1, 2, … the first 8 bytes of SHA-256(name key, probe byte).
/// Never 0.
account_id account_of(std::string_view name_key, unsigned probe = 0);

/// The first 16 bytes of HMAC-SHA-256(identity key, "pair", smaller id, larger id; big-endian). `hi` is never 0.
conversation_id pair_conversation(std::string_view identity_key, account_id one, account_id other);

/// A login name: 1 to 64 bytes of UTF-8 (RFC 3629) without control characters. Case-sensitive, nothing is trimmed.
bool valid_name(std::string_view name);

/// A domain: like a name, but it may be empty.
bool valid_domain(std::string_view domain);

}  // namespace tern::crypto
