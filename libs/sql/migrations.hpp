// Numbered schema changes, embedded in the binary (tern_migrations() in migrations.cmake), applied once and in order.
#pragma once

#include <span>
#include <string_view>

#include "libs/base/result.hpp"
#include "libs/sql/connection.hpp"

namespace tern::sql {

/// One file NNNN_what.sql.
struct migration {
  int version = 0;
  std::string_view name;
  std::string_view text;
};

/// Applies what is missing. Each migration is one transaction under a lock of the database, recorded with its
/// checksum in schema_migration; a run cut short goes on where it stood, concurrent runs wait for each other.
/// errc::config: the database has a migration this binary does not know, or one whose text was changed.
result<void> migrate(connection& database, std::span<const migration> all);

/// Whether all are applied. Changes nothing, waits for nobody. Errors as migrate().
result<bool> is_migrated(connection& database, std::span<const migration> all);

}  // namespace tern::sql
