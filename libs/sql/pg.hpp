// The control-plane connection to PostgreSQL (libpqxx inside pg.cpp only).
#pragma once

#include "libs/sql/connection.hpp"

namespace tern::sql {

/// Connects at once. TCP keepalives and user timeout are set, so a dead host is noticed within about ten seconds.
result<std::unique_ptr<connection>> open_pg(const std::string& dsn, const connect_options& options);

/// `dsn` with what it does not say itself: connect_timeout, keepalives, tcp_user_timeout, application_name, and, of
/// several hosts, that the one is meant that takes writes. Works for key=value strings and URIs.
std::string complete_pg_dsn(const std::string& dsn, const connect_options& options);

/// errc of a SQLSTATE that came as an ordinary error (the transaction was rolled back).
errc map_sqlstate(std::string_view sqlstate);

}  // namespace tern::sql
