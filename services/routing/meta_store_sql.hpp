// The meta database in SQLite or PostgreSQL (libs/sql speaks both in one dialect).
#pragma once

#include <memory>
#include <string>

#include "services/routing/meta_store.hpp"

namespace tern::routing {

std::unique_ptr<meta_store> make_sql_meta_store(const std::string& dsn);

}  // namespace tern::routing
