// The data keys of one shard, as its table data_key has them, unwrapped.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "libs/base/result.hpp"
#include "libs/sql/connection.hpp"
#include "services/storage/repositories/sealing/master_keys.hpp"

namespace tern::storage {

/// How a shard's rows are sealed.
struct sealing {
  std::shared_ptr<const master_keys> keys;
  bool aware = false;    // without it nothing is sealed, and what is sealed is not known as such: tests and tools
  bool seal_new = true;  // false: rows are written as they are, sealed ones can be read
  bool refuse_plain = false;  // rows that are not sealed are refused like changed ones
  /// Told of each row that was refused, e.g. "message f000000000000001 … 17". From any thread.
  std::function<void(const std::string& place)> refused;
};

struct data_key {
  uint64_t id = 0;
  int64_t created_ns = 0;
  std::string key;  // 32 bytes
};

/// Thread-safe. Loads with connections of its own, which block.
class key_ring {
 public:
  using open_function = std::function<result<std::unique_ptr<sql::connection>>()>;
  key_ring(open_function open, sealing how) : open_(std::move(open)), how_(std::move(how)) {}
  key_ring(const std::string& dsn, sealing how);

  /// Reads the table; makes the first key if there is none and rows are to be sealed; wraps anew what is under
  /// another key-encryption key than the current one. errc::config: a key cannot be unwrapped, or rows are sealed and
  /// there are no key-encryption keys.
  result<void> load();
  /// What seals new rows; null: nothing does. A new one comes with a new generation().
  std::shared_ptr<const data_key> current() const;
  uint64_t generation() const noexcept { return generation_.load(std::memory_order_acquire); }
  /// Looks into the table again when the key is not known yet; for each such key once a second at most.
  std::shared_ptr<const data_key> find(uint64_t id);
  std::vector<uint64_t> ids() const;

  /// Makes a new data key and seals with it from now on.
  result<void> renew();
  /// Wraps anew all that is under an older key-encryption key; says how many that were.
  result<size_t> rewrap();

  const sealing& how() const noexcept { return how_; }
  /// A connection of its own to the shard's database.
  result<std::unique_ptr<sql::connection>> connect() const { return open_(); }

 private:
  result<void> forget_reseal();
  bool rewrap_due() const;
  result<void> load_from(sql::connection& database);
  result<void> add_key(sql::connection& database);
  /// In one transaction that excludes all others of this kind.
  result<void> locked(const std::function<result<void>(sql::connection&)>& work);

  const open_function open_;
  const sealing how_;
  mutable std::mutex mutex_;  // of what follows
  std::map<uint64_t, std::shared_ptr<const data_key>> keys_;
  std::shared_ptr<const data_key> current_;
  bool rewrap_due_ = false;
  std::map<uint64_t, std::chrono::steady_clock::time_point> missing_;  // looked for in vain; bounded
  std::atomic<uint64_t> generation_{0};
};

/// Whether the shard's data keys can be unwrapped, without changing anything. ok also when its database does not
/// answer or is empty.
result<void> check_keys(const std::string& dsn, const sealing& how);

}  // namespace tern::storage
