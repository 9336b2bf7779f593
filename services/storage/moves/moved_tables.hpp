// The tables whose rows go with their slot, in one form for PostgreSQL and SQLite.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "libs/sql/connection.hpp"

namespace tern::storage {

/// `columns`: the key first. keys: slot and up to three numbers, or slot, one number and bytes.
struct moved_table {
  int16_t tab;  // in move_log; never changes
  const char* name;
  int keys;
  bool bytes_last;  // the key's last column is bytes
  std::vector<const char*> columns;
};

/// All but the outbox, which is copied when the range is sealed.
std::span<const moved_table> moved_tables();
const moved_table* find_moved_table(int64_t tab);

/// A row's key: as many values as `keys`.
using row_key = sql::row;
row_key key_of(const moved_table& table, const sql::row& row);
size_t bytes_of(const sql::row& row);

/// "1,-5,7" with bytes in hex; "" for no key.
std::string write_place(const row_key& key);
row_key read_place(const moved_table& table, const std::string& text);

/// Columns as "a, b, c", with a prefix before each.
std::string column_list(const moved_table& table, size_t count, const std::string& prefix = {});
/// "$1, $2" of so many parameters from `first` on.
std::string parameters(size_t first, size_t count);

/// Statements that make, and take away, what logs changed keys of a table.
std::vector<std::string> logging_on(sql::dialect dialect, const moved_table& table);
std::vector<std::string> logging_off(sql::dialect dialect, const moved_table& table);

}  // namespace tern::storage
