#include <algorithm>
#include <string_view>

#include "libs/sql/pg.hpp"
#include "libs/sql/pg_hosts.hpp"

namespace tern::sql {
namespace {

bool names(std::string_view dsn, std::string_view key) {
  for (size_t at = dsn.find(key); at != std::string_view::npos; at = dsn.find(key, at + 1)) {
    const bool starts = at == 0 || dsn[at - 1] == ' ' || dsn[at - 1] == '?' || dsn[at - 1] == '&';
    const size_t end = at + key.size();
    if (starts && end < dsn.size() && (dsn[end] == '=' || dsn[end] == ' ')) return true;
  }
  return false;
}

}  // namespace

std::string complete_pg_dsn(const std::string& dsn, const connect_options& options) {
  const bool uri = dsn.starts_with("postgres://") || dsn.starts_with("postgresql://");
  const auto seconds = std::max<int64_t>(2, (options.connect_timeout.count() + 999) / 1000);  // libpq's least is 2
  std::string full = dsn;
  bool first = uri && dsn.find('?') == std::string::npos;
  const auto add = [&](std::string_view key, const std::string& setting) {
    if (names(dsn, key)) return;
    full += uri ? (first ? '?' : '&') : ' ';
    full.append(key).append(1, '=').append(setting);
    first = false;
  };
  add("connect_timeout", std::to_string(seconds));
  add("keepalives_idle", "5");
  add("keepalives_interval", "2");
  add("keepalives_count", "3");
  add("tcp_user_timeout", "10000");
  add("application_name", "tern");
  if (hosts_of(dsn).size() > 1) add("target_session_attrs", "read-write");
  return full;
}

errc map_sqlstate(std::string_view sqlstate) {
  if (sqlstate == "TN001") return errc::stale_epoch;  // raised by fence_check() of the storage schema
  const auto kind = sqlstate.substr(0, 2);
  if (kind == "23") return errc::database;
  if (kind == "40" || kind == "53" || kind == "55" || kind == "57" || kind == "58" || kind == "08" || kind == "25") {
    return errc::unavailable;  // retry, resources, locks, operator, system, connection, read-only
  }
  return errc::internal;
}

}  // namespace tern::sql
