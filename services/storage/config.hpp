// Options of the storage service.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "libs/base/result.hpp"

namespace tern::config {
class schema;
}

namespace tern::storage {

struct storage_config {
  std::vector<std::string> shards;  // "name=dsn"
  uint64_t batch_requests = 1024;
  uint64_t batch_bytes = 4U << 20U;
  uint64_t batch_split = 512;
  uint64_t queue_requests = 16'384;
  std::chrono::milliseconds request_timeout{1500};
  uint64_t sync_copies = 0;
  std::string sync_lost = "refuse";
  uint64_t reader_threads = 2;
  uint64_t reader_queue = 1024;
  uint64_t dispatch_entries = 50'000;
  uint64_t login_threads = 0;
  uint64_t login_queue = 256;
  uint64_t hash_memory_kib = 19 * 1024;
  uint64_t hash_passes = 2;
  std::chrono::milliseconds proof_ttl{60'000};
  uint64_t proof_entries = 100'000;
  int64_t account_failures = 5;
  int64_t address_failures = 100;
  std::chrono::milliseconds token_ttl{60'000};
  std::string redis_url;
  std::string redis_password;                      // instead of one in the URL
  std::string encryption = "on";                   // on, off, required
  std::string encryption_key;                      // the key-encryption key
  std::vector<std::string> other_encryption_keys;  // files
  uint64_t data_key_days = 90;
  std::string rotate_before;  // UTC, "2026-11-23T12:00:00Z"
  uint64_t reseal_rows = 2'000;
  uint64_t retention_days = 0;                // 0: messages are kept for ever
  std::vector<std::string> domain_retention;  // "domain=days"
  uint64_t retention_rows = 2'000;
};

void declare(config::schema& options, storage_config& into);

struct sealing;
/// How rows are sealed. errc::config: a key is missing, too short or cannot be read.
result<sealing> sealing_of(const storage_config& options);
struct retention_rules;
/// How long messages are kept. errc::config: an option makes no sense.
result<retention_rules> retention_of(const storage_config& options);
/// "2026-11-23T12:00:00Z" as nanoseconds since 1970; nothing when it is no such time.
std::optional<int64_t> utc_time(const std::string& text);
/// What is wrong with the options, one line each.
std::vector<std::string> complaints(const storage_config& options);

/// The same for a node of a cluster, which has more to ask for: shards of one kind.
std::vector<std::string> cluster_complaints(const storage_config& options);

/// A shard of the list.
struct shard_setting {
  std::string name;
  std::string dsn;
};
/// The list taken apart; `problem` is filled, and the result is empty, when an entry is not "name=dsn", a name is not
/// of [a-z0-9_-]{1,32}, or a name comes twice.
std::vector<shard_setting> parse_shards(const std::vector<std::string>& list, std::string& problem);

}  // namespace tern::storage
