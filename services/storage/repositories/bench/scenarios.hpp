// Scenarios on servers of their own. Each prints lines of a table and is over soon after the seconds it is given.
#pragma once

#include <memory>
#include <string>

#include "libs/testing/servers.hpp"

namespace tern::storage::bench {

/// One shard at saturation through the writer's engine, by turns with raw multi-row INSERTs of the same rows.
int saturation(double seconds);
/// Pages of 50 from a conversation of a million messages.
int history(double seconds);
/// Accounts with 5,000 messages waiting: what the first answers and all of them take.
int offline(double seconds);
/// The same work over 1, 2, 4 and 8 shards.
int growth(double seconds);

struct scenario {
  const char* name;
  int (*run)(double);
};
inline constexpr scenario scenarios[] = {
    {"saturation", saturation}, {"history", history}, {"offline", offline}, {"growth", growth}};

/// A PostgreSQL server with the settings that docs/storage.md recommends; null, and a word on stderr, if there is
/// none.
std::unique_ptr<testing::postgres_server> start_server();
int failed(const error& why);

}  // namespace tern::storage::bench
