// Moves what a SQLite database has in its write-ahead log into the file, beside the writer instead of inside one of
// its commits. https://sqlite.org/wal.html#checkpointing
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

struct sqlite3;

namespace tern::sql {

/// One thread with a connection of its own. Nothing of what a commit promises depends on it: a commit is durable by
/// the log's fsync, and SQLite's locks keep checkpoints, readers and writers apart, in other processes too.
///
/// A pass copies most of the log beside the writer. While commits go on there is always something behind it, and a
/// log with a rest is never begun anew but grows; so a second, short one copies the rest with the writer kept out.
class sqlite_checkpointer {
 public:
  /// `pages`: the log is copied when it has so many.
  sqlite_checkpointer(std::string path, int pages) : path_(std::move(path)), pages_(pages) {}
  ~sqlite_checkpointer();
  sqlite_checkpointer(const sqlite_checkpointer&) = delete;
  sqlite_checkpointer& operator=(const sqlite_checkpointer&) = delete;

  /// The writer has committed and the log has so many pages now. Thread-safe, never blocks on a checkpoint. False:
  /// the thread does not keep up and the log is far too long, so that the writer should copy it itself, after
  /// `wait_for_pass`.
  bool committed(int pages);
  /// Blocks while a pass is wanted or goes on, a second at most: only one at a time can checkpoint, and a writer that
  /// goes on beside a thread that gets no processor would make the log longer without end. Not between begin and
  /// commit. Thread-safe.
  void wait_for_pass();
  /// Passes that have ended, with or without success.
  uint64_t passes() const;

 private:
  void run();
  void checkpoint();
  bool open();
  void close();
  static int wait_for_lock(void* self, int attempts);

  const std::string path_;
  const int pages_;
  sqlite3* handle_ = nullptr;  // the thread's
  std::chrono::steady_clock::time_point waiting_until_;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  bool wanted_ = false;
  int tried_at_ = 0;  // pages of the log when it was last asked for
  bool stopped_ = false;
  uint64_t passes_ = 0;
  std::thread thread_;  // made with the first pass
};

}  // namespace tern::sql
