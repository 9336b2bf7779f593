// Strong ids of accounts, rooms and conversations, their slots and their printable form.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace tern {

/// Number of slots: ids hash evenly over them (design: 2^20). A slot is the top 20 bits of an id.
inline constexpr uint32_t slot_count = 1U << 20U;
using slot_type = uint32_t;

struct account_id {
  uint64_t value = 0;
  auto operator<=>(const account_id&) const = default;
  explicit operator bool() const noexcept { return value != 0; }
};

struct room_id {
  uint64_t value = 0;
  auto operator<=>(const room_id&) const = default;
  explicit operator bool() const noexcept { return value != 0; }
};

/// 128 bits: a keyed hash of the ordered account pair, or {room id, 0} for a room.
struct conversation_id {
  uint64_t hi = 0;
  uint64_t lo = 0;
  auto operator<=>(const conversation_id&) const = default;
  explicit operator bool() const noexcept { return hi != 0 || lo != 0; }
};

constexpr slot_type slot_of(uint64_t id) noexcept { return static_cast<slot_type>(id >> 44U); }
constexpr slot_type slot_of(account_id id) noexcept { return slot_of(id.value); }
constexpr slot_type slot_of(room_id id) noexcept { return slot_of(id.value); }
constexpr slot_type slot_of(conversation_id id) noexcept { return slot_of(id.hi); }

/// What a printable node stands for; it is part of the check byte, so a room's node never reads as an account's.
enum class node_kind : uint8_t { account = 1, room = 2, virtual_room = 3 };

/// base58 (Bitcoin alphabet) of the 8 id bytes, big-endian, and a check byte over kind and id: 12 or 13 characters.
std::string to_node(node_kind kind, uint64_t id);
inline std::string to_node(account_id id) { return to_node(node_kind::account, id.value); }
inline std::string to_node(room_id id) { return to_node(node_kind::room, id.value); }

/// The id behind a printable node; nothing for a wrong length, alphabet, check byte, kind or a non-canonical
/// spelling.
std::optional<uint64_t> from_node(node_kind kind, std::string_view node);
inline std::optional<account_id> account_from_node(std::string_view node) {
  auto id = from_node(node_kind::account, node);
  return id ? std::optional<account_id>{account_id{*id}} : std::nullopt;
}

std::string base58_encode(std::string_view bytes);
/// Nothing for a character outside the alphabet or more than 64 characters.
std::optional<std::string> base58_decode(std::string_view text);

/// Lower-case hexadecimal, 32 digits; for logs.
std::string to_string(conversation_id id);

}  // namespace tern

template <>
struct std::hash<tern::account_id> {
  size_t operator()(tern::account_id id) const noexcept { return id.value * 0x9E3779B97F4A7C15ULL; }
};
template <>
struct std::hash<tern::room_id> {
  size_t operator()(tern::room_id id) const noexcept { return id.value * 0x9E3779B97F4A7C15ULL; }
};
template <>
struct std::hash<tern::conversation_id> {
  size_t operator()(tern::conversation_id id) const noexcept { return id.hi ^ (id.lo * 0x9E3779B97F4A7C15ULL); }
};
