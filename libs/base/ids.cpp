#include "libs/base/ids.hpp"

#include <array>
#include <vector>

#include "libs/base/big_endian.hpp"

namespace tern {
namespace {

constexpr std::string_view alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
constexpr size_t max_base58_length = 64;

constexpr std::array<int8_t, 256> make_digits() {
  std::array<int8_t, 256> digits{};
  for (auto& digit : digits) digit = -1;
  for (size_t i = 0; i < alphabet.size(); ++i) digits[static_cast<uint8_t>(alphabet[i])] = static_cast<int8_t>(i);
  return digits;
}
constexpr auto digits = make_digits();

/// One byte that depends on every bit of kind and id (64-bit finaliser of MurmurHash3, public domain).
uint8_t mixed(uint64_t kind, uint64_t id) {
  uint64_t x = id ^ (kind << 56U) ^ 0x5445524EULL;
  x ^= x >> 33U;
  x *= 0xFF51AFD7ED558CCDULL;
  x ^= x >> 33U;
  x *= 0xC4CEB9FE1A85EC53ULL;
  x ^= x >> 33U;
  return static_cast<uint8_t>(x);
}

/// Of the three kinds of one id no two have the same: a node reads as one kind only.
uint8_t check_byte(node_kind kind, uint64_t id) {
  const uint8_t account = mixed(static_cast<uint64_t>(node_kind::account), id);
  if (kind == node_kind::account) return account;
  uint8_t room = mixed(static_cast<uint64_t>(node_kind::room), id);
  if (room == account) ++room;
  if (kind == node_kind::room) return room;
  uint8_t other = mixed(static_cast<uint64_t>(kind), id);
  while (other == account || other == room) ++other;
  return other;
}

}  // namespace

std::string base58_encode(std::string_view bytes) {
  size_t zeros = 0;
  while (zeros < bytes.size() && bytes[zeros] == 0) ++zeros;
  std::vector<uint8_t> out;  // base-58 digits, least significant first
  for (size_t i = zeros; i < bytes.size(); ++i) {
    uint32_t carry = static_cast<uint8_t>(bytes[i]);
    for (auto& digit : out) {
      carry += static_cast<uint32_t>(digit) << 8U;
      digit = static_cast<uint8_t>(carry % 58);
      carry /= 58;
    }
    for (; carry != 0; carry /= 58) out.push_back(static_cast<uint8_t>(carry % 58));
  }
  std::string text(zeros, alphabet[0]);
  for (auto it = out.rbegin(); it != out.rend(); ++it) text += alphabet[*it];
  return text;
}

std::optional<std::string> base58_decode(std::string_view text) {
  if (text.size() > max_base58_length) return std::nullopt;
  size_t zeros = 0;
  while (zeros < text.size() && text[zeros] == alphabet[0]) ++zeros;
  std::vector<uint8_t> out;  // bytes, least significant first
  for (size_t i = zeros; i < text.size(); ++i) {
    const auto digit = digits[static_cast<uint8_t>(text[i])];
    if (digit < 0) return std::nullopt;
    auto carry = static_cast<uint32_t>(digit);
    for (auto& byte : out) {
      carry += static_cast<uint32_t>(byte) * 58;
      byte = static_cast<uint8_t>(carry);
      carry >>= 8U;
    }
    for (; carry != 0; carry >>= 8U) out.push_back(static_cast<uint8_t>(carry));
  }
  std::string bytes(zeros, '\0');
  bytes.append(out.rbegin(), out.rend());
  return bytes;
}

std::string to_node(node_kind kind, uint64_t id) {
  std::array<char, 9> raw{};
  put_u64(raw.data(), id);
  raw[8] = static_cast<char>(check_byte(kind, id));
  return base58_encode({raw.data(), raw.size()});
}

std::optional<uint64_t> from_node(node_kind kind, std::string_view node) {
  if (node.size() > 13) return std::nullopt;
  const auto raw = base58_decode(node);
  if (!raw || raw->size() != 9) return std::nullopt;
  const uint64_t id = read_u64(raw->data());
  if (static_cast<uint8_t>((*raw)[8]) != check_byte(kind, id)) return std::nullopt;
  return id;
}

std::string to_string(conversation_id id) {
  constexpr std::string_view hex = "0123456789abcdef";
  std::string text(32, '0');
  for (size_t i = 0; i < 16; ++i) {
    text[15 - i] = hex[(id.hi >> (4 * i)) & 15U];
    text[31 - i] = hex[(id.lo >> (4 * i)) & 15U];
  }
  return text;
}

}  // namespace tern
