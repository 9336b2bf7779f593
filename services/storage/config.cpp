#include "services/storage/config.hpp"

#include <algorithm>
#include <ctime>
#include <set>

#include "libs/config/schema.hpp"
#include "libs/config/secret_file.hpp"
#include "libs/sql/connection.hpp"
#include "services/storage/repositories/sealing/key_ring.hpp"
#include "services/storage/retention/retention_rules.hpp"

namespace tern::storage {

namespace {

void declare_retention(config::schema& options, storage_config& into) {
  options.add(
      "storage.retention.days", into.retention_days,
      "Messages that are older are deleted in the background, delivered or not; 8 at least; 0: they are kept for "
      "ever. The same on every storage node",
      {0, 36'500});
  options.add("storage.retention.domain_days", into.domain_retention,
              "Other times for single domains, as domain=days; 0: for ever");
  options.add("storage.retention.rows_per_second", into.retention_rows,
              "How many conversations of a shard are looked at, and messages deleted, per second", {1, 1'000'000});
}

}  // namespace

void declare(config::schema& options, storage_config& into) {
  options.add("storage.shards", into.shards,
              "Shards this node can serve, as name=dsn; dsn is a PostgreSQL connection string (its password in a "
              "passfile; several hosts: the primary among them is used), sqlite:PATH or memory:");
  options.add("storage.batch.max_requests", into.batch_requests, "Most writes in one commit", {1, 65'536});
  options.add("storage.batch.max_bytes", into.batch_bytes, "Most bytes of message bodies in one commit",
              {1024, int64_t{256} << 20});
  options.add("storage.batch.split_requests", into.batch_split,
              "So many waiting writes go in two commits at the same time, on two connections (PostgreSQL); 0: never",
              {0, 1'000'000});
  options.add("storage.queue.max_requests", into.queue_requests,
              "Unanswered writes per shard; more are refused with 5104 at once", {1, 10'000'000});
  options.add("storage.request.timeout_ms", into.request_timeout,
              "A request that the database did not serve in this time is answered with an error", {50, 60'000});
  options.add("storage.sync.min_copies", into.sync_copies,
              "PostgreSQL: synchronous standbys that have to confirm each commit; 0: what the server is set to",
              {0, 16});
  options.add_choice("storage.sync.when_lost", into.sync_lost, {"refuse", "degrade"},
                     "With fewer of them: writes are refused, or go on without them, with an alert");
  options.add("storage.readers.threads", into.reader_threads, "Reading connections per shard", {1, 64});
  options.add("storage.readers.max_queue", into.reader_queue, "Waiting reads per shard; more are refused with 5104",
              {1, 1'000'000});
  options.add("storage.dispatch.max_entries", into.dispatch_entries,
              "Undelivered outbox entries kept in memory per shard; the rest is read again later", {100, 10'000'000});
  options.add("storage.login.threads", into.login_threads, "Password hashes computed at once; 0: one per core",
              {0, 256});
  options.add("storage.login.max_queue", into.login_queue, "Waiting password hashes; more are refused with 5104",
              {1, 100'000});
  options.add("storage.login.hash_memory_kib", into.hash_memory_kib,
              "argon2id memory of new password hashes; less than the default is for tests and benchmarks only",
              {8, 4 << 20});
  options.add("storage.login.hash_passes", into.hash_passes, "argon2id passes of new password hashes", {1, 100});
  options.add("storage.login.proof_ttl_ms", into.proof_ttl,
              "For so long a password that was right is known without hashing it again; 0: never", {0, 3'600'000});
  options.add("storage.login.max_proofs", into.proof_entries, "Most such passwords remembered", {1, 10'000'000});
  options.add("storage.login.account_failures", into.account_failures,
              "Wrong passwords per account in 5 minutes before attempts are refused for growing pauses",
              {1, 1'000'000});
  options.add("storage.login.address_failures", into.address_failures,
              "Wrong passwords per client address in 5 minutes before attempts are refused for growing pauses",
              {1, 1'000'000'000});
  options.add("storage.login.token_ttl_ms", into.token_ttl, "Life of a login token", {1000, 86'400'000});
  options.add(
      "storage.redis.url", into.redis_url,
      "Redis for login tokens and failure counts, redis://host:port or unix:path; empty: kept by this service");
  options.add_secret("storage.redis.password", into.redis_password, "password of that Redis", false);
  options.add_choice("storage.encryption.mode", into.encryption, {"on", "off", "required"},
                     "Message bodies, profiles, rooms and notices are sealed with AES-256-GCM before they go to the "
                     "database. off: new rows are not; required: rows that are not sealed are refused, too, for when "
                     "all are");
  options.add_secret("storage.encryption.key", into.encryption_key,
                     "key-encryption key of all shards, the same on every storage node: 32 characters at least, best "
                     "64 random hexadecimal digits. Without it what is sealed cannot be read",
                     false);
  options.add("storage.encryption.other_key_files", into.other_encryption_keys,
              "Files of other key-encryption keys, to read what they wrap. Whoever opens a shard wraps its data keys "
              "anew by the key of storage.encryption.key_file: to change that key, first give the new one to all "
              "nodes here, then make it the current one and list the old one here");
  options.add("storage.encryption.data_key_days", into.data_key_days,
              "A shard's data key that is older is followed by a new one, and all rows are sealed again with that in "
              "the background; 0: never",
              {0, 36'500});
  options.add("storage.encryption.rotate_before", into.rotate_before,
              "The same for data keys that were made before this time (UTC, 2026-11-23T12:00:00Z): to have new ones "
              "now",
              [](const std::string& text) -> std::string {
                return text.empty() || utc_time(text) ? "" : "a time like 2026-11-23T12:00:00Z expected";
              });
  options.add("storage.encryption.reseal_rows_per_second", into.reseal_rows,
              "How many rows of a shard are looked at per second to be sealed again", {1, 1'000'000});
  declare_retention(options, into);
}

std::optional<int64_t> utc_time(const std::string& text) {
  tm parts{};
  const char* end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return int64_t{::timegm(&parts)} * 1'000'000'000;
}

result<sealing> sealing_of(const storage_config& options) {
  sealing how;
  how.seal_new = options.encryption != "off";
  how.refuse_plain = options.encryption == "required";
  std::vector<std::string> secrets;
  if (!options.encryption_key.empty()) secrets.push_back(options.encryption_key);
  for (const auto& file : options.other_encryption_keys) {
    auto secret = config::read_secret_file(file);
    if (!secret) return error{errc::config, "storage.encryption.other_key_files: " + secret.error().detail};
    secrets.push_back(std::move(*secret));
  }
  if (how.seal_new && options.encryption_key.empty()) {
    return error{errc::config,
                 "storage.encryption.key_file is missing: rows are sealed by a key of it (openssl rand -hex 32 makes "
                 "one; storage.encryption.mode=off does without)"};
  }
  if (secrets.empty()) return how;
  auto keys = master_keys::make(secrets);
  if (!keys) return error{errc::config, "storage.encryption.key_file: " + keys.error().detail};
  how.keys = std::move(*keys);
  return how;
}

result<retention_rules> retention_of(const storage_config& options) {
  return parse_retention(options.retention_days, options.domain_retention);
}

std::vector<std::string> complaints(const storage_config& options) {
  std::vector<std::string> out;
  std::string problem;
  parse_shards(options.shards, problem);
  if (!problem.empty()) out.push_back(problem);
  if (const auto kept = retention_of(options); !kept) out.push_back(kept.error().detail);
  if (const auto how = sealing_of(options); !how) out.push_back(how.error().detail);
  return out;
}

std::vector<std::string> cluster_complaints(const storage_config& options) {
  auto out = complaints(options);
  std::string problem, files, servers;
  for (const auto& one : parse_shards(options.shards, problem)) {
    (sql::is_sqlite(one.dsn) ? files : servers) += " " + one.name;
  }
  if (!files.empty() && !servers.empty()) {
    out.push_back("storage.shards: a cluster has either SQLite files or PostgreSQL databases, not" + files +
                  " of the one kind and" + servers +
                  " of the other: another node could not serve the files. To bring files into PostgreSQL run ternd "
                  "with both kinds of shards and move the slots (docs/storage.md, From a file to a cluster)");
  }
  return out;
}

std::vector<shard_setting> parse_shards(const std::vector<std::string>& list, std::string& problem) {
  std::vector<shard_setting> out;
  std::set<std::string> names;
  for (const auto& text : list) {
    const auto cut = text.find('=');
    const auto name = text.substr(0, cut);
    const bool named = !name.empty() && name.size() <= 32 && std::all_of(name.begin(), name.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
    if (cut == std::string::npos || cut + 1 == text.size() || !named) {
      problem = "storage.shards: an entry is not name=dsn with a name of a-z, 0-9, _ and -";
      return {};
    }
    if (!names.insert(name).second) {
      problem = "storage.shards: the name " + name + " comes twice";
      return {};
    }
    out.push_back({name, text.substr(cut + 1)});
  }
  if (out.empty()) problem = "storage.shards: at least one shard is needed";
  return out;
}

}  // namespace tern::storage
