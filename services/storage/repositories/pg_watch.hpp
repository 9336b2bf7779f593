// Looks after the servers of one PostgreSQL shard: which is the primary, and how many standbys confirm its commits.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>

#include "libs/sql/pg_hosts.hpp"
#include "libs/sql/pg_link.hpp"
#include "services/storage/repositories/store.hpp"

namespace tern::storage {

/// Asks all servers each second, on a thread of its own, once it is started. Thread-safe.
class pg_watch {
 public:
  pg_watch(std::string dsn, const sync_rule& rule);
  ~pg_watch();
  pg_watch(const pg_watch&) = delete;
  pg_watch& operator=(const pg_watch&) = delete;

  /// The first call starts the thread.
  void start();
  const std::shared_ptr<sql::pg_terms>& terms() const noexcept { return terms_; }
  store_health health() const;
  /// A writer has just connected to this primary.
  void saw(const sql::pg_server& primary);

  /// What a commit under way may do, and one that has not begun.
  sql::patience patient() const noexcept;
  /// Why nothing may be written now.
  result<void> may_write() const;

 private:
  enum class standing : uint8_t { good, refused, degraded };

  void run();
  void look(sql::pg_hosts& hosts);
  void take(const sql::pg_server& primary);

  const std::string dsn_;
  const sync_rule rule_;
  const std::shared_ptr<sql::pg_terms> terms_ = std::make_shared<sql::pg_terms>();
  std::atomic<standing> standing_{standing::good};
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  store_health health_;
  std::thread thread_;
};

}  // namespace tern::storage
