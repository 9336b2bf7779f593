#include "services/storage/upkeep.hpp"

#include <algorithm>
#include <utility>

#include "libs/log/log.hpp"

namespace tern::storage {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

const log::logger logger{"storage"};
constexpr uint64_t page_rows = 200;
constexpr auto rest = 30s;  // between looks at a shard where all is sealed
constexpr auto between_passes = 1h;
constexpr auto after_failure = 5s;
constexpr auto longest_wait = 1s;  // so soon a shard is found that this node begins to serve, or that was opened

/// The most rows of one step, and the time they are worth.
uint64_t page_of(uint64_t rows_per_second) { return std::clamp<uint64_t>(rows_per_second / 4, 1, page_rows); }
std::chrono::microseconds worth(uint64_t rows, uint64_t rows_per_second) {
  return std::chrono::microseconds(1'000'000 * rows / std::max<uint64_t>(1, rows_per_second));
}

}  // namespace

upkeep::upkeep(upkeep_options how, const clock& time, shards_function shards)
    : how_(how), time_(time), shards_(std::move(shards)) {}

upkeep::~upkeep() { stop(); }

void upkeep::start() {
  thread_ = std::thread([this] { run(); });
}

void upkeep::stop() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void upkeep::run() {
  std::unique_lock guard(mutex_);
  while (!stopping_) {
    guard.unlock();
    auto due = steady::now() + longest_wait;
    for (const auto& slot : shards_()) due = std::min(due, look_after(*slot));
    guard.lock();
    wake_.wait_until(guard, due, [this] { return stopping_; });
  }
}

bool upkeep::key_is_old(const data_key& key) const {
  // A time that is still to come would make a new key again and again.
  if (how_.rotate_before_ns <= time_.wall_ns() && key.created_ns < how_.rotate_before_ns) return true;
  const auto life = std::chrono::nanoseconds(how_.key_life).count();
  return life > 0 && time_.wall_ns() - key.created_ns > life;
}

void upkeep::renew_key(shard_slot& slot, key_ring& ring) {
  auto made = ring.renew();
  if (made) {
    logger.info("new data key", {{"shard", slot.name()}, {"key", key_label(ring.current()->id)}});
  } else {
    logger.warn("no new data key", {{"shard", slot.name()}, {"why", made.error().detail}});
  }
}

upkeep::time_point upkeep::look_after(shard_slot& slot) {
  auto& work = work_[slot.name()];
  if (!slot.port->serving()) {
    const auto due = work.prepare_due;
    work = {};
    work.prepare_due = due;
    if (steady::now() >= due) {
      slot.store->prepare();
      work.prepare_due = steady::now() + after_failure;
    }
    return time_point::max();
  }
  auto ring = slot.store->keys();
  if (!ring) return time_point::max();  // not opened yet, or kept in memory
  if (work.ring != ring) {
    if (!ring->load()) return time_point::max();  // its former owner may have made a new key
    work = {};
    work.ring = ring;
    work.reseal = std::make_unique<reseal_job>(ring);
    if (how_.kept.any()) {
      work.retention = std::make_unique<retention_job>(ring, how_.kept, time_);
    } else {
      work.retention_due = time_point::max();
      slot.metrics->retention_progress.set(1);
    }
  }
  if (steady::now() >= work.reseal_due) reseal(slot, work);
  if (steady::now() >= work.retention_due) expire(slot, work);
  return std::min(work.reseal_due, work.retention_due);
}

void upkeep::reseal(shard_slot& slot, shard_work& work) {
  work.reseal_due = steady::now() + rest;
  const auto key = work.ring->current();
  if (!key) return;
  if (key_is_old(*key)) renew_key(slot, *work.ring);
  const uint64_t rows = page_of(how_.rows_per_second);
  const auto done = work.reseal->step(rows);
  if (!done) {
    if (!work.reseal_failing) {
      logger.warn("rows are not sealed again now", {{"shard", slot.name()}, {"why", done.error().detail}});
    }
    work.reseal_failing = true;
    work.reseal_due = steady::now() + after_failure;
    return;
  }
  work.reseal_failing = false;
  slot.metrics->reseal_progress.set(done->ratio);
  slot.metrics->resealed.add(static_cast<double>(done->sealed));
  if (done->done) {
    if (!work.told) logger.info("all rows are sealed with the shard's data key", {{"shard", slot.name()}});
    work.told = true;
    return;
  }
  work.told = false;
  work.reseal_due = steady::now() + worth(rows, how_.rows_per_second);
}

void upkeep::expire(shard_slot& slot, shard_work& work) {
  const auto done = work.retention->step(page_of(how_.expire_per_second));
  if (!done) {
    if (!work.retention_failing) {
      logger.warn("old messages are not deleted now", {{"shard", slot.name()}, {"why", done.error().detail}});
    }
    work.retention_failing = true;
    work.retention_due = steady::now() + after_failure;
    return;
  }
  work.retention_failing = false;
  slot.metrics->retention_progress.set(done->ratio);
  slot.metrics->expired.add(static_cast<double>(done->expired));
  const uint64_t rows = std::max<uint64_t>(1, done->looked + done->expired);
  work.retention_due =
      steady::now() + (done->done ? std::chrono::microseconds(between_passes) : worth(rows, how_.expire_per_second));
}

}  // namespace tern::storage
