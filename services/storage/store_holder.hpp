// A shard's database, opened when it is first needed and kept over all epochs.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "services/storage/repositories/store.hpp"

namespace tern::storage {

/// Thread-safe; calls block for the database.
class store_holder {
 public:
  using open_function = std::function<result<std::unique_ptr<store>>(const std::string& dsn)>;
  explicit store_holder(std::string dsn, open_function open = open_store)
      : dsn_(std::move(dsn)), open_(std::move(open)) {}

  const std::string& dsn() const noexcept { return dsn_; }
  /// A writer that has acquired the shard in `epoch`.
  result<std::unique_ptr<writer_store>> writer(uint64_t epoch);
  result<std::unique_ptr<reader_store>> reader();
  /// Before the shard is this node's: opens its database, so that writer() is one connection and one statement. Does
  /// nothing where migrations are missing: they wait for the shard's owner.
  void prepare();
  result<uint64_t> size_bytes();
  /// Empty before it was first opened.
  store_health health();
  /// No primary of an older timeline may be used, now or when it is opened.
  void require_term(uint64_t least);
  /// What rows are sealed with; null: nothing is, or the database was not opened yet. Does not block for it.
  std::shared_ptr<key_ring> keys();

 private:
  result<store*> opened();

  const std::string dsn_;
  const open_function open_;
  std::mutex mutex_;
  std::unique_ptr<store> store_;
  std::atomic<store*> seen_{nullptr};  // store_ once it is there, for calls that must not wait for a database
  std::atomic<uint64_t> least_term_{0};
};

}  // namespace tern::storage
