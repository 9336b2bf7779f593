#include "libs/rpc/pacer.hpp"

#include <sys/prctl.h>

#include <utility>

namespace tern::rpc::detail {
namespace {

// Mean lateness of a thread that sleeps to a point in time: some 40 µs with an idle core, 200 µs and more when all
// cores have somebody waiting.
constexpr double usual_late_us = 60;
constexpr double most_late_us = 1000;  // one long wait is no rule
constexpr double stretch = 8;
constexpr double samples = 32;

}  // namespace

void pace_control::woke(microseconds late) {
  late_ += (std::clamp(static_cast<double>(late.count()), 0.0, most_late_us) - late_) / samples;
  const auto added = microseconds(static_cast<int64_t>(stretch * std::max(0.0, late_ - usual_late_us)));
  now_.store(std::min(least_ + added, most_), std::memory_order_relaxed);
}

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

void interval_pacer::sleep_to_end() {
  using std::chrono::duration_cast;
  const auto began = std::chrono::steady_clock::now();
  const auto interval = control_.interval();
  const auto end = began + (interval - began.time_since_epoch() % interval);
  std::this_thread::sleep_until(end);
  control_.woke(duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - end));
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
      sleep_to_end();
      lock.lock();
      const auto due = std::exchange(waiting_, {});
      lock.unlock();
      for (const auto& each : due) {
        if (const auto still = each.lock()) still->go();
      }
      lock.lock();
      if (!waiting_.empty() || stopped_) continue;
      lock.unlock();
      sleep_to_end();
      lock.lock();
    }
  }
}

}  // namespace tern::rpc::detail
