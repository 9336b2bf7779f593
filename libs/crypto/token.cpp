#include "libs/crypto/token.hpp"

#include "libs/base/big_endian.hpp"
#include "libs/crypto/hash.hpp"
#include "libs/crypto/random.hpp"

namespace tern::crypto {
namespace {

constexpr size_t id_bytes = 8;
constexpr size_t secret_bytes = 16;

}  // namespace

std::string make_token(account_id account) {
  std::string raw(id_bytes + secret_bytes, '\0');
  put_u64(raw.data(), account.value);
  random_bytes(raw.data() + id_bytes, secret_bytes);
  return base58_encode(raw);
}

std::optional<parsed_token> parse_token(std::string_view text) {
  const auto raw = base58_decode(text);
  if (!raw || raw->size() != id_bytes + secret_bytes) return std::nullopt;
  parsed_token token;
  token.account.value = read_u64(raw->data());
  if (!token.account) return std::nullopt;
  token.hash = sha256(std::string_view(*raw).substr(id_bytes));
  return token;
}

}  // namespace tern::crypto
