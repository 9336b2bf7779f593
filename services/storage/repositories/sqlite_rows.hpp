// Ids as parameters and rows from columns, for the writer and the readers of a SQLite shard.
#pragma once

#include <span>
#include <string>

#include "libs/sql/sqlite.hpp"
#include "services/storage/repositories/backends.hpp"
#include "services/storage/repositories/message_flags.hpp"

namespace tern::storage {

inline sql::sqlite_statement& bind_conversation(sql::sqlite_statement& s, int first, const conversation_id& id) {
  return s.bind(first, slot_of(id)).bind(first + 1, id.hi).bind(first + 2, id.lo);
}

inline sql::sqlite_statement& bind_account(sql::sqlite_statement& s, account_id id) {
  return s.bind(1, slot_of(id)).bind(2, id.value);
}

inline sql::sqlite_statement& bind_room(sql::sqlite_statement& s, room_id id) {
  return s.bind(1, slot_of(id)).bind(2, id.value);
}

/// Steps to the end.
template <class Take>
result<void> all_rows(sql::sqlite_statement& s, Take take) {
  while (true) {
    auto more = s.step();
    if (!more) return more.error();
    if (!*more) return {};
    take(s);
  }
}

/// Runs a statement that has at most one row for each key.
template <class Keys, class Bind, class Take>
result<void> one_of_each(sql::sqlite_connection& database, const char* text, const Keys& keys, Bind bind, Take take) {
  auto statement = database.prepare(text);
  if (!statement) return statement.error();
  auto& s = **statement;
  for (const auto& key : keys) {
    bind(s, key);
    auto found = s.step();
    if (!found) return found.error();
    if (*found) take(s, key);
    s.reset();
  }
  return {};
}

/// From the columns of load_room and get_room.
inline room_row room_at(const sql::sqlite_statement& s) {
  room_row row;
  row.id = {s.number(0)};
  row.domain = std::string(s.bytes(1));
  row.founder = {s.number(2)};
  row.managers = unpack_ids(s.bytes(3));
  row.kind = static_cast<room_kind>(s.integer(4));
  row.cancelled = s.integer(5) != 0;
  row.version = s.number(6);
  row.members = static_cast<uint32_t>(s.number(7));
  row.created_ns = s.integer(8);
  row.bean = std::string(s.bytes(9));
  row.create_key = std::string(s.bytes(10));
  return row;
}

/// The profiles of those of the accounts that exist.
result<std::vector<profile_row>> profiles_of(sql::sqlite_connection& database, std::span<const account_id> ids);

}  // namespace tern::storage
