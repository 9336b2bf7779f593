// Login tokens: 128 random bits behind the account they are for; only their hash is ever stored.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "libs/base/ids.hpp"

namespace tern::crypto {

struct parsed_token {
  account_id account;
  std::string hash;  // SHA-256 of the 16 random bytes: the key it is stored under
};

/// A new token's text: base58 of the 8-byte account id and 16 random bytes (at most 33 characters).
std::string make_token(account_id account);

/// Nothing unless the text is a token's canonical spelling; whether it is known is the storage's to say.
std::optional<parsed_token> parse_token(std::string_view text);

}  // namespace tern::crypto
