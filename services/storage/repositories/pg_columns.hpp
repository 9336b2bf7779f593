// Rows as columns of parameters, and back, for the writer and the readers of a PostgreSQL shard.
#pragma once

#include <string>
#include <utility>

#include "libs/sql/pg_link.hpp"
#include "services/storage/repositories/backends.hpp"
#include "services/storage/repositories/message_flags.hpp"

namespace tern::storage {

/// slot, conv_hi, conv_lo of each row.
template <class Rows, class Get>
sql::pg_params& put_conversations(sql::pg_params& to, const Rows& rows, Get get) {
  return to.int4s(rows, [&](const auto& row) { return slot_of(get(row)); })
      .int8s(rows, [&](const auto& row) { return get(row).hi; })
      .int8s(rows, [&](const auto& row) { return get(row).lo; });
}

/// slot and id of each row.
template <class Rows, class Get>
sql::pg_params& put_ids(sql::pg_params& to, const Rows& rows, Get get) {
  return to.int4s(rows, [&](const auto& row) { return slot_of(get(row)); }).int8s(rows, [&](const auto& row) {
    return get(row).value;
  });
}

/// slot and account of each row.
template <class Rows>
sql::pg_params& put_accounts_of(sql::pg_params& to, const Rows& rows) {
  return put_ids(to, rows, [](const auto& row) { return row.account; });
}

/// From the columns of load_rooms and get_room.
inline room_row room_at(const sql::pg_rows& found, size_t i) {
  room_row row;
  row.id = {found.number(i, 0)};
  row.domain = std::string(found.bytes(i, 1));
  row.founder = {found.number(i, 2)};
  row.managers = unpack_ids(found.bytes(i, 3));
  row.kind = static_cast<room_kind>(found.integer(i, 4));
  row.cancelled = found.integer(i, 5) != 0;
  row.version = found.number(i, 6);
  row.members = found.number32(i, 7);
  row.created_ns = found.integer(i, 8);
  row.bean = std::string(found.bytes(i, 9));
  row.create_key = std::string(found.bytes(i, 10));
  return row;
}

/// From the columns of load_profiles.
inline profile_row profile_at(const sql::pg_rows& found, size_t i) {
  return {{found.number(i, 0)}, std::string(found.bytes(i, 1)), found.integer(i, 2), std::string(found.bytes(i, 3))};
}

}  // namespace tern::storage
