#include "services/storage/reader_pool.hpp"

#include <chrono>
#include <utility>

namespace tern::storage {

reader_pool::reader_pool(reader_options how, const clock& time, open_function open,
                         std::function<void(double)> waited)
    : how_(how), time_(time), open_(std::move(open)), waited_(std::move(waited)) {
  for (size_t i = 0; i < how_.threads; ++i) threads_.emplace_back([this] { run(); });
}

reader_pool::~reader_pool() { stop(); }

bool reader_pool::submit(read_job job) {
  {
    const std::lock_guard guard(mutex_);
    if (stopping_ || queue_.size() >= how_.queue_most) return false;
    queue_.push_back(std::move(job));
  }
  wake_.notify_one();
  return true;
}

size_t reader_pool::waiting() const {
  const std::lock_guard guard(mutex_);
  return queue_.size();
}

void reader_pool::stop() {
  std::deque<read_job> left;
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
    left.swap(queue_);
  }
  wake_.notify_all();
  for (auto& job : left) job.give_up(errc::unavailable);
  for (auto& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void reader_pool::run() {
  std::unique_ptr<reader_store> store;
  uint64_t warmed = 0;
  for (;;) {
    read_job job;
    {
      std::unique_lock guard(mutex_);
      wake_.wait(guard, [&] { return stopping_ || !queue_.empty() || warmed != warmings_; });
      if (stopping_) return;
      warmed = warmings_;
      if (queue_.empty()) {
        guard.unlock();
        warm(store);
        continue;
      }
      job = std::move(queue_.front());
      queue_.pop_front();
    }
    const std::chrono::duration<double> stood = time_.now() - job.submitted;
    if (waited_) waited_(stood.count());
    execute(store, job);
  }
}

void reader_pool::warm() {
  {
    const std::lock_guard guard(mutex_);
    ++warmings_;
  }
  wake_.notify_all();
}

void reader_pool::warm(std::unique_ptr<reader_store>& store) {
  if (!store) {
    auto opened = open_();
    if (!opened) return;
    store = std::move(*opened);
    ++open_count_;
  }
  if (store->connect()) return;
  store.reset();
  --open_count_;
}

void reader_pool::execute(std::unique_ptr<reader_store>& store, read_job& job) {
  for (;;) {
    if (job.deadline <= time_.now()) {
      job.give_up(errc::unavailable);
      return;
    }
    if (!store) {
      if (auto opened = open_()) {
        store = std::move(*opened);
        ++open_count_;
      }
    }
    if (store) {
      const uint64_t before = store->statements();
      ++busy_;
      const errc code = job.run(*store);
      --busy_;
      statements_ += store->statements() - before;
      if (code != errc::unavailable && code != errc::deadline) return;
      store.reset();
      --open_count_;
    }
    ++retries_;
    if (!pause()) {
      job.give_up(errc::unavailable);
      return;
    }
  }
}

bool reader_pool::pause() {
  std::unique_lock guard(mutex_);
  wake_.wait_for(guard, std::chrono::milliseconds{50}, [&] { return stopping_; });
  return !stopping_;
}

}  // namespace tern::storage
