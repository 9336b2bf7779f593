#include "libs/crypto/identity.hpp"

#include <algorithm>

#include "libs/base/big_endian.hpp"
#include "libs/crypto/hash.hpp"

namespace tern::crypto {
namespace {

constexpr size_t max_name_bytes = 64;

struct sequence {
  size_t length = 0;  // 0: not UTF-8
  uint32_t code = 0;
};

/// The UTF-8 sequence at `at`: shortest form only, no surrogates, at most U+10FFFF (RFC 3629).
sequence decode_utf8(std::string_view text, size_t at) {
  const auto first = static_cast<uint8_t>(text[at]);
  if (first < 0x80) return {1, first};
  sequence result;
  uint32_t smallest = 0;
  if (first >= 0xC2 && first <= 0xDF) {
    result = {2, first & 0x1FU};
    smallest = 0x80;
  } else if (first >= 0xE0 && first <= 0xEF) {
    result = {3, first & 0x0FU};
    smallest = 0x800;
  } else if (first >= 0xF0 && first <= 0xF4) {
    result = {4, first & 0x07U};
    smallest = 0x10000;
  } else {
    return {};
  }
  if (at + result.length > text.size()) return {};
  for (size_t i = 1; i < result.length; ++i) {
    const auto next = static_cast<uint8_t>(text[at + i]);
    if ((next & 0xC0U) != 0x80U) return {};
    result.code = result.code << 6U | (next & 0x3FU);
  }
  const bool surrogate = result.code >= 0xD800 && result.code <= 0xDFFF;
  return result.code < smallest || result.code > 0x10FFFF || surrogate ? sequence{} : result;
}

bool is_control(uint32_t code) { return code < 0x20 || (code >= 0x7F && code < 0xA0); }

bool clean_text(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const auto next = decode_utf8(text, at);
    if (next.length == 0 || is_control(next.code)) return false;
    at += next.length;
  }
  return true;
}

}  // namespace

std::string name_key(std::string_view identity_key, std::string_view domain, std::string_view name) {
  std::string text;
  text.reserve(domain.size() + 1 + name.size());
  text.append(domain).append(1, '\0').append(name);
  return hmac_sha256(identity_key, text);
}

account_id account_of(std::string_view name_key, unsigned probe) {
  if (name_key.size() != sha256_size) return {};
  uint64_t id = 0;
  if (probe == 0) {
    id = read_u64(name_key.data());
  } else {
    std::string text(name_key);
    text += static_cast<char>(probe);
    id = read_u64(sha256(text).data());
  }
  return {id == 0 ? 1 : id};  // 0 stands for nobody
}

conversation_id pair_conversation(std::string_view identity_key, account_id one, account_id other) {
  std::string text = "pair";
  append_u64(text, std::min(one, other).value);
  append_u64(text, std::max(one, other).value);
  const auto digest = hmac_sha256(identity_key, text);
  const uint64_t hi = read_u64(digest.data());
  return {hi == 0 ? 1 : hi, read_u64(digest.data() + 8)};
}

bool valid_name(std::string_view name) { return !name.empty() && name.size() <= max_name_bytes && clean_text(name); }

bool valid_domain(std::string_view domain) { return domain.size() <= max_name_bytes && clean_text(domain); }

}  // namespace tern::crypto
