#include "libs/rpc/pacer.hpp"

#include <sys/prctl.h>

#include <utility>

namespace tern::rpc::detail {

void interval_pacer::later(std::weak_ptr<paced> who) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return;
  waiting_.push_back(std::move(who));
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  if (idle_) changed_.notify_one();
}

void interval_pacer::stop() {
  std::thread ending;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    waiting_.clear();
    ending.swap(thread_);
    changed_.notify_one();
  }
  if (ending.joinable()) ending.join();
}

void interval_pacer::run() {
  prctl(PR_SET_TIMERSLACK, 1000UL);  // ns; the default is a good part of an interval
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    idle_ = waiting_.empty();
    changed_.wait(lock, [this] { return stopped_ || !waiting_.empty(); });
    // From here on the thread comes back by itself, interval by interval, as long as it finds somebody: under load
    // it costs one wake-up each, and who waits never has to wake it.
    idle_ = false;
    while (!stopped_ && !waiting_.empty()) {
      lock.unlock();
      const auto at = std::chrono::steady_clock::now().time_since_epoch();
      std::this_thread::sleep_for(interval_ - at % interval_);
      lock.lock();
      const auto due = std::exchange(waiting_, {});
      lock.unlock();
      for (const auto& each : due) {
        if (const auto still = each.lock()) still->go();
      }
      lock.lock();
      if (!waiting_.empty() || stopped_) continue;
      lock.unlock();
      const auto now = std::chrono::steady_clock::now().time_since_epoch();
      std::this_thread::sleep_for(interval_ - now % interval_);
      lock.lock();
    }
  }
}

}  // namespace tern::rpc::detail
