#include "libs/rpc/mailbox.hpp"

#include <utility>

namespace tern::rpc::detail {

void mailbox::prepare(std::unique_ptr<item_list> empty) {
  const std::lock_guard lock(mutex_);
  queue_ = std::move(empty);
}

void mailbox::open(std::shared_ptr<receiver> handler, std::function<void()> up) {
  std::unique_lock lock(mutex_);
  if (finished_) return;
  handler_ = std::move(handler);
  up_ = std::move(up);
  if (!queue_) queue_ = handler_->make_list();
  opened_ = true;
  deliver(lock);
}

bool mailbox::accepts(size_t count) const { return !shut_ && queue_ && queue_->size() + count <= bound_; }

bool mailbox::push(google::protobuf::MessageLite& item) {
  std::unique_lock lock(mutex_);
  if (!accepts(1)) return false;
  queue_->append(item);
  deliver(lock);
  return true;
}

bool mailbox::push_all(item_list& items) {
  std::unique_lock lock(mutex_);
  if (!accepts(items.size())) return false;
  queue_->append_all(items);
  deliver(lock);
  return true;
}

void mailbox::shut() {
  std::unique_lock lock(mutex_);
  shut_ = true;
  deliver(lock);
}

void mailbox::silence() {
  std::unique_lock lock(mutex_);
  shut_ = true;
  if (queue_) queue_->clear();
  up_ = nullptr;
  if (running_ && runner_ == std::this_thread::get_id()) {
    finished_ = true;
    return;
  }
  idle_.wait(lock, [this] { return !running_; });
  deliver(lock);  // down()
  idle_.wait(lock, [this] { return !running_; });
  finished_ = true;
  handler_.reset();
}

void mailbox::deliver(std::unique_lock<std::mutex>& lock) {
  if (running_ || !opened_) return;
  running_ = true;
  runner_ = std::this_thread::get_id();
  while (!finished_ && deliver_next(lock)) {
  }
  running_ = false;
  std::shared_ptr<receiver> last;
  if (finished_) last.swap(handler_);
  idle_.notify_all();
  if (last) {
    lock.unlock();
    last.reset();  // the handler's destructor may call anything
    lock.lock();
  }
}

bool mailbox::deliver_next(std::unique_lock<std::mutex>& lock) {
  const auto handler = handler_;
  if (up_) {
    const auto up = std::exchange(up_, nullptr);
    lock.unlock();
    up();
    lock.lock();
    return true;
  }
  if (queue_->size() != 0) {
    auto list = std::move(queue_);
    queue_ = spare_ ? std::move(spare_) : handler->make_list();
    lock.unlock();
    handler->items(*list);
    list->clear();
    lock.lock();
    spare_ = std::move(list);
    return true;
  }
  if (!shut_) return false;
  finished_ = true;
  lock.unlock();
  handler->down();
  lock.lock();
  return false;
}

}  // namespace tern::rpc::detail
