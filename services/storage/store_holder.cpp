#include "services/storage/store_holder.hpp"

namespace tern::storage {

result<store*> store_holder::opened() {
  if (store_) return store_.get();
  auto made = open_(dsn_);
  if (!made) return made.error();
  if (auto ready = (*made)->migrate(); !ready) return ready.error();
  store_ = std::move(*made);
  return store_.get();
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

result<uint64_t> store_holder::size_bytes() {
  const std::lock_guard guard(mutex_);
  auto from = opened();
  if (!from) return from.error();
  return (*from)->size_bytes();
}

}  // namespace tern::storage
