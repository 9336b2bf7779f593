#include "services/storage/bounded_pool.hpp"

#include <utility>

namespace tern::storage {

bounded_pool::bounded_pool(size_t threads, size_t queue_most) : queue_most_(queue_most) {
  for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

bounded_pool::~bounded_pool() { stop(); }

bool bounded_pool::submit(std::function<void()> work) {
  {
    const std::lock_guard guard(mutex_);
    if (stopping_ || queue_.size() >= queue_most_) return false;
    queue_.push_back(std::move(work));
  }
  wake_.notify_one();
  return true;
}

size_t bounded_pool::waiting() const {
  const std::lock_guard guard(mutex_);
  return queue_.size();
}

void bounded_pool::stop() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
    queue_.clear();
  }
  wake_.notify_all();
  for (auto& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void bounded_pool::run() {
  for (;;) {
    std::function<void()> work;
    {
      std::unique_lock guard(mutex_);
      wake_.wait(guard, [&] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      work = std::move(queue_.front());
      queue_.pop_front();
    }
    work();
  }
}

}  // namespace tern::storage
