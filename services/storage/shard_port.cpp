#include "services/storage/shard_port.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "services/storage/convert.hpp"

namespace tern::storage {

answer refuse(const v1::StorageRequest& message, const std::shared_ptr<reply_sink>& from, errc code,
              clock::time_point arrived) {
  return {from, reply_to(message, code), message.op_case(), arrived};
}

shard_port::shard_port(std::string shard, port_options how, const clock& time, read_function read)
    : shard_(std::move(shard)), how_(how), time_(time), read_(std::move(read)) {}

void shard_port::admit(std::vector<v1::StorageRequest>&& items, const std::shared_ptr<reply_sink>& from,
                       std::vector<answer>& refused) {
  const auto now = time_.now();
  admitted in;
  {
    const std::lock_guard guard(mutex_);
    for (auto& message : items) take({std::move(message), from, now}, in, refused);
    hand_on(in);
  }
  finish(in);
}

void shard_port::take(parked&& one, admitted& in, std::vector<answer>& refused) {
  const auto& message = one.message;
  if (message.epoch() <= ended_ || message.epoch() < epoch_) {
    refused.push_back(refuse(message, one.from, errc::wrong_owner, one.arrived));
  } else if (message.epoch() > epoch_ || suspended_) {
    if (parked_.size() >= how_.parked_most) {
      refused.push_back(refuse(message, one.from, errc::overload, one.arrived));
    } else {
      parked_.push_back(std::move(one));
    }
  } else if (broken_) {
    // Requests before this one were lost: it must not overtake them.
    in.cut.push_back(std::move(one.from));
  } else if (!is_write(message)) {
    in.reads.push_back(std::move(one));
  } else if (waiting_ >= how_.writes_most) {
    refused.push_back(refuse(message, one.from, errc::overload, one.arrived));
  } else {
    ++waiting_;
    auto& item = in.writes.emplace_back();
    item.message = std::move(one.message);
    item.from = std::move(one.from);
    item.arrived = one.arrived;
    item.deadline = one.arrived + how_.request_timeout;
  }
}

/// Under the lock: two calls must not swap on the way to the writer. It only queues.
void shard_port::hand_on(admitted& in) {
  if (!in.writes.empty()) write_(std::move(in.writes));
}

void shard_port::finish(admitted& in) {
  for (auto& stream : in.cut) stream->close();
  for (auto& one : in.reads) read_(std::move(one.message), one.from, one.arrived);
}

bool shard_port::admit_own(write_request item) {
  const std::lock_guard guard(mutex_);
  if (item.message.epoch() != epoch_ || epoch_ <= ended_ || suspended_ || broken_ || waiting_ >= how_.writes_most)
    return false;
  ++waiting_;
  std::vector<write_request> one;
  one.push_back(std::move(item));
  write_(std::move(one));
  return true;
}

void shard_port::open(uint64_t epoch, write_function write, std::vector<answer>& refused) {
  admitted in;
  {
    const std::lock_guard guard(mutex_);
    if (epoch <= ended_ || epoch < epoch_) return;
    epoch_ = epoch;
    write_ = std::move(write);
    waiting_ = 0;
    broken_ = false;
    publish();
    unpark(in, refused);
  }
  finish(in);
}

void shard_port::close(uint64_t epoch, std::vector<answer>& refused) {
  admitted in;
  {
    const std::lock_guard guard(mutex_);
    if (epoch <= ended_) return;
    ended_ = epoch;
    if (epoch_ <= ended_) {
      write_ = nullptr;
      waiting_ = 0;
    }
    publish();
    unpark(in, refused);
  }
  finish(in);
}

void shard_port::interrupt(uint64_t epoch) {
  const std::lock_guard guard(mutex_);
  if (epoch != epoch_ || epoch_ <= ended_) return;
  broken_ = true;
  write_ = nullptr;
  waiting_ = 0;
}

bool shard_port::may_open(uint64_t epoch) const {
  const std::lock_guard guard(mutex_);
  return epoch > ended_ && epoch >= epoch_;
}

void shard_port::suspend(bool suspended, std::vector<answer>& refused) {
  admitted in;
  {
    const std::lock_guard guard(mutex_);
    if (suspended_ == suspended) return;
    suspended_ = suspended;
    publish();
    unpark(in, refused);
  }
  finish(in);
}

void shard_port::unpark(admitted& in, std::vector<answer>& refused) {
  std::deque<parked> again;
  again.swap(parked_);
  for (auto& one : again) take(std::move(one), in, refused);
  hand_on(in);
}

void shard_port::expire(std::vector<answer>& refused) {
  const std::lock_guard guard(mutex_);
  const auto oldest = time_.now() - how_.request_timeout;
  std::set<const reply_sink*> late;
  for (const auto& one : parked_) {
    if (one.arrived > oldest) break;
    late.insert(one.from.get());
  }
  if (late.empty()) return;
  std::erase_if(parked_, [&](const parked& one) {
    if (!late.contains(one.from.get())) return false;
    refused.push_back(refuse(one.message, one.from, errc::unavailable, one.arrived));
    return true;
  });
}

void shard_port::forget(const std::shared_ptr<reply_sink>& from) {
  const std::lock_guard guard(mutex_);
  std::erase_if(parked_, [&](const parked& one) { return one.from == from; });
}

void shard_port::answered(uint64_t epoch, size_t count) {
  const std::lock_guard guard(mutex_);
  if (epoch == epoch_ && epoch_ > ended_) waiting_ -= std::min<size_t>(waiting_, count);
}

void shard_port::publish() { serving_ = suspended_ || epoch_ <= ended_ ? 0 : epoch_; }

}  // namespace tern::storage
