#include "libs/rpc/timer.hpp"

#include <utility>

namespace tern::rpc {

void timer::after(std::chrono::milliseconds delay, std::function<void()> call) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return;
  due_.emplace(std::chrono::steady_clock::now() + delay, std::move(call));
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  changed_.notify_one();
}

void timer::stop() {
  std::thread ending;
  std::multimap<time_point, std::function<void()>> dropped;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    dropped.swap(due_);
    if (thread_.joinable() && thread_.get_id() != std::this_thread::get_id()) ending.swap(thread_);
    changed_.notify_one();
  }
  if (ending.joinable()) ending.join();
}

void timer::run() {
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    if (due_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const auto first = due_.begin();
    if (first->first > std::chrono::steady_clock::now()) {
      const auto until = first->first;
      changed_.wait_until(lock, until);
      continue;
    }
    auto call = std::move(first->second);
    due_.erase(first);
    lock.unlock();
    call();
    call = nullptr;  // what it holds may take locks when it goes
    lock.lock();
  }
}

}  // namespace tern::rpc
