#include "services/storage/store_holder.hpp"

namespace tern::storage {

result<store*> store_holder::opened() {
  if (store_) return store_.get();
  auto made = open_(dsn_);
  if (!made) return made.error();
  (*made)->require_term(least_term_);
  if (auto ready = (*made)->migrate(); !ready) return ready.error();
  store_ = std::move(*made);
  seen_ = store_.get();
  store_->require_term(least_term_);  // it may have grown meanwhile
  return store_.get();
}

void store_holder::prepare() {
  const std::lock_guard guard(mutex_);
  if (store_) return;
  auto made = open_(dsn_);
  if (!made) return;
  (*made)->require_term(least_term_);
  if (auto ready = (*made)->prepare(); !ready || !*ready) return;
  store_ = std::move(*made);
  seen_ = store_.get();
  store_->require_term(least_term_);
}

result<std::unique_ptr<writer_store>> store_holder::writer(uint64_t epoch) {
  std::unique_ptr<writer_store> writer;
  {
    const std::lock_guard guard(mutex_);
    auto from = opened();
    if (!from) return from.error();
    auto made = (*from)->open_writer();
    if (!made) return made.error();
    writer = std::move(*made);
  }
  if (auto acquired = writer->acquire(epoch); !acquired) return acquired.error();
  return writer;
}

result<std::unique_ptr<reader_store>> store_holder::reader() {
  const std::lock_guard guard(mutex_);
  auto from = opened();
  if (!from) return from.error();
  return (*from)->open_reader();
}

std::shared_ptr<key_ring> store_holder::keys() {
  const std::unique_lock guard(mutex_, std::try_to_lock);
  return guard && store_ ? store_->keys() : nullptr;
}

result<uint64_t> store_holder::size_bytes() {
  const std::lock_guard guard(mutex_);
  auto from = opened();
  if (!from) return from.error();
  return (*from)->size_bytes();
}

store_health store_holder::health() {
  const auto* opened = seen_.load();
  return opened == nullptr ? store_health{} : opened->health();
}

void store_holder::require_term(uint64_t least) {
  uint64_t known = least_term_;
  while (known < least && !least_term_.compare_exchange_weak(known, least)) {
  }
  if (auto* opened = seen_.load(); opened != nullptr) opened->require_term(least_term_);
}

}  // namespace tern::storage
