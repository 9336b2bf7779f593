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
constexpr auto rest = 30s;  // between looks at a shard with nothing to do
constexpr auto after_failure = 5s;
constexpr auto tick = 50ms;

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
    for (const auto& slot : shards_()) look_after(*slot);
    guard.lock();
    wake_.wait_for(guard, tick, [this] { return stopping_; });
  }
}

bool upkeep::key_is_old(const data_key& key) const {
  // A time that is still to come would make a new key again and again.
  if (how_.rotate_before_ns <= time_.wall_ns() && key.created_ns < how_.rotate_before_ns) return true;
  const auto life = std::chrono::nanoseconds(how_.key_life).count();
  return life > 0 && time_.wall_ns() - key.created_ns > life;
}

void upkeep::look_after(shard_slot& slot) {
  auto& work = work_[slot.name()];
  if (!slot.port->serving()) {
    work = {};
    return;
  }
  if (steady::now() < work.next) return;
  auto ring = slot.store->keys();
  const auto key = ring ? ring->current() : nullptr;
  work.next = steady::now() + rest;
  if (!key) return;
  if (key_is_old(*key)) {
    auto made = ring->renew();
    if (made) {
      logger.info("new data key", {{"shard", slot.name()}, {"key", key_label(ring->current()->id)}});
    } else {
      logger.warn("no new data key", {{"shard", slot.name()}, {"why", made.error().detail}});
    }
  }
  if (work.ring != ring) {
    work.ring = ring;
    work.job = std::make_unique<reseal_job>(ring);
  }
  reseal(slot, work);
}

void upkeep::reseal(shard_slot& slot, shard_work& work) {
  const uint64_t rows = std::clamp<uint64_t>(how_.rows_per_second / 4, 1, page_rows);
  const auto done = work.job->step(rows);
  if (!done) {
    if (!work.failing) {
      logger.warn("rows are not sealed again now", {{"shard", slot.name()}, {"why", done.error().detail}});
    }
    work.failing = true;
    work.next = steady::now() + after_failure;
    return;
  }
  work.failing = false;
  slot.metrics->reseal_progress.set(done->ratio);
  slot.metrics->resealed.add(static_cast<double>(done->sealed));
  if (done->done) {
    if (!work.told) logger.info("all rows are sealed with the shard's data key", {{"shard", slot.name()}});
    work.told = true;
    return;
  }
  work.told = false;
  work.next =
      steady::now() + std::chrono::microseconds(1'000'000 * rows / std::max<uint64_t>(1, how_.rows_per_second));
}

}  // namespace tern::storage
