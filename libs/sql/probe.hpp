// Is a database there, and does it take writes? For people who look for what is broken.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "libs/base/result.hpp"

namespace tern::sql {

struct database_report {
  int64_t schema = -1;         // newest migration applied; -1: none yet
  std::string directory = {};  // where its files are, when that is a directory of this machine that can be seen
};

/// Connects anew, reads, and on PostgreSQL writes a temporary file, so that a full disk, a read-only standby or a
/// wrong password is told as such. Each step takes `limit` at most. The error's detail is the server's own text.
/// Blocks.
result<database_report> probe(const std::string& dsn, std::chrono::milliseconds limit);

/// Where the database is, without secrets: "postgresql 10.0.0.7:5432/tern as tern", "sqlite /var/lib/tern/shard.db".
std::string shown(const std::string& dsn);

/// May it be kept and shown as it is? bad_parameter: it holds a password, or is neither "sqlite:PATH" nor what libpq
/// takes.
result<void> without_secrets(const std::string& dsn);

}  // namespace tern::sql
