#include "libs/sql/sqlite_checkpointer.hpp"

#include <sqlite3.h>

namespace tern::sql {
namespace {

/// A log so many times longer than it should be is the writer's own affair.
constexpr int far_too_long = 8;
/// The writer (or a reader that needs the old pages) may hold up the second pass so long, and so long at most is the
/// writer kept out for a reader.
constexpr std::chrono::milliseconds patience{50};
/// How often it looks for the gap between two transactions of a writer that never pauses.
constexpr std::chrono::microseconds look_again{50};
/// How long a writer waits for the thread when the log is far too long.
constexpr std::chrono::seconds catching_up{1};

}  // namespace

sqlite_checkpointer::~sqlite_checkpointer() {
  {
    const std::lock_guard held(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

bool sqlite_checkpointer::committed(int pages) {
  const std::lock_guard held(mutex_);
  if (pages < tried_at_) tried_at_ = 0;  // begun anew
  if (pages < pages_) return true;
  // A log that a reader keeps from being begun anew is tried again when it has grown.
  const bool tried = tried_at_ != 0 && pages - tried_at_ < pages_ / 4;
  if (!wanted_ && !tried) {
    wanted_ = true;
    tried_at_ = pages;
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
    changed_.notify_all();
  }
  return pages / far_too_long < pages_;
}

void sqlite_checkpointer::wait_for_pass() {
  std::unique_lock held(mutex_);
  changed_.wait_for(held, catching_up, [this] { return !wanted_ || stopped_; });
}

uint64_t sqlite_checkpointer::passes() const {
  const std::lock_guard held(mutex_);
  return passes_;
}

void sqlite_checkpointer::run() {
  std::unique_lock held(mutex_);
  while (true) {
    changed_.wait(held, [this] { return wanted_ || stopped_; });
    if (stopped_) break;
    held.unlock();
    checkpoint();
    held.lock();
    // Only now: commits meanwhile ask for what was just done. The next one asks again if need be.
    wanted_ = false;
    ++passes_;
    changed_.notify_all();
  }
  held.unlock();
  close();
}

void sqlite_checkpointer::checkpoint() {
  if (handle_ == nullptr && !open()) return;
  int all = 0;
  int done = 0;
  int code = sqlite3_wal_checkpoint_v2(handle_, nullptr, SQLITE_CHECKPOINT_PASSIVE, &all, &done);
  // What a reader still needs was left out, and the second pass would keep the writer waiting for it.
  if (code == SQLITE_OK && all - done < pages_ / 2) {
    code = sqlite3_wal_checkpoint_v2(handle_, nullptr, SQLITE_CHECKPOINT_FULL, nullptr, nullptr);
  }
  if (code != SQLITE_OK && code != SQLITE_BUSY && code != SQLITE_LOCKED) close();  // the next pass begins afresh
}

bool sqlite_checkpointer::open() {
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
  const bool good = sqlite3_open_v2(path_.c_str(), &handle_, flags, nullptr) == SQLITE_OK &&
                    sqlite3_busy_handler(handle_, wait_for_lock, this) == SQLITE_OK &&
                    sqlite3_exec(handle_, "pragma journal_mode = wal; pragma synchronous = full", nullptr, nullptr,
                                 nullptr) == SQLITE_OK;
  if (!good) close();
  return good;
}

int sqlite_checkpointer::wait_for_lock(void* self, int attempts) {
  auto& me = *static_cast<sqlite_checkpointer*>(self);
  const auto now = std::chrono::steady_clock::now();
  if (attempts == 0) me.waiting_until_ = now + patience;
  if (now >= me.waiting_until_) return 0;
  std::this_thread::sleep_for(look_again);
  return 1;
}

void sqlite_checkpointer::close() {
  sqlite3_close_v2(handle_);
  handle_ = nullptr;
}

}  // namespace tern::sql
