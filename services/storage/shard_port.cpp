#include "services/storage/shard_port.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "services/storage/convert.hpp"
#include "services/storage/request_slot.hpp"

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

void shard_port::park(parked&& one, std::vector<answer>& refused) {
  if (parked_.size() >= how_.parked_most) {
    refused.push_back(refuse_parked(one, errc::overload));
  } else {
    parked_.push_back(std::move(one));
  }
}

answer shard_port::refuse_parked(parked& one, errc code) const {
  return one.own ? make_answer(*one.own, code) : refuse(one.message, one.from, code, one.arrived);
}

/// Profiles asked for together may have slots that moved since, while the first one's stayed: what is here is what
/// they were. Those that are to come are waited for.
slot_door shard_port::door_at(const v1::StorageRequest& message) const {
  if (doors_.empty()) return slot_door::open;
  const auto slot = slot_asked(message);
  if (!slot) return slot_door::open;
  const auto door = doors_.at(*slot);
  if (door != slot_door::open || !message.has_profile_get()) return door;
  const auto& accounts = message.profile_get().accounts();
  const bool waits = std::any_of(accounts.begin(), accounts.end(), [this](uint64_t account) {
    return doors_.at(tern::slot_of(account)) == slot_door::wait;
  });
  return waits ? slot_door::wait : slot_door::open;
}

void shard_port::take(parked&& one, admitted& in, std::vector<answer>& refused) {
  const auto& message = one.asked();
  if (message.epoch() <= ended_ || message.epoch() < epoch_) {
    refused.push_back(refuse_parked(one, errc::wrong_owner));
  } else if (message.epoch() > epoch_ || suspended_) {
    park(std::move(one), refused);
  } else if (broken_) {
    // Requests before this one were lost: it must not overtake them.
    in.cut.push_back(std::move(one.from));
  } else if (!doors_known_ || door_at(message) != slot_door::open) {
    park(std::move(one), refused);
  } else if (!one.own && !is_write(message)) {
    in.reads.push_back(std::move(one));
  } else if (waiting_ >= how_.writes_most) {
    refused.push_back(refuse_parked(one, errc::overload));
  } else {
    ++waiting_;
    if (one.own) {
      in.writes.push_back(std::move(*one.own));
      return;
    }
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
  if (!doors_known_ || door_at(item.message) != slot_door::open) {
    if (parked_.size() >= how_.parked_most) return false;
    const auto arrived = item.arrived;
    auto from = item.from;
    parked_.push_back({{}, std::move(from), arrived, std::move(item)});
    return true;
  }
  ++waiting_;
  std::vector<write_request> one;
  one.push_back(std::move(item));
  write_(std::move(one));
  return true;
}

void shard_port::admit_again(v1::StorageRequest&& item, const std::shared_ptr<reply_sink>& from,
                             clock::time_point arrived, std::vector<answer>& refused) {
  admitted in;
  {
    const std::lock_guard guard(mutex_);
    take({std::move(item), from, arrived}, in, refused);
    hand_on(in);
  }
  finish(in);
}

void shard_port::open(uint64_t epoch, write_function write, std::vector<answer>& refused, task_function tasks,
                      bool doors_known) {
  admitted in;
  {
    const std::lock_guard guard(mutex_);
    if (epoch <= ended_ || epoch < epoch_) return;
    const bool early = epoch == early_.first;
    if (epoch != epoch_) doors_ = early ? std::move(early_.second) : slot_doors{};
    doors_known_ = doors_known || early || (epoch == epoch_ && doors_known_);
    early_ = {};
    tasks_ = std::move(tasks);
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
      tasks_ = nullptr;
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
  tasks_ = nullptr;
  waiting_ = 0;
}

void shard_port::know_doors(uint64_t epoch, slot_doors doors, std::vector<answer>& refused) {
  admitted in;
  {
    const std::lock_guard guard(mutex_);
    if (epoch > epoch_) early_ = {epoch, std::move(doors)};  // its writer was quicker than open()
    if (epoch != epoch_ || epoch_ <= ended_) return;
    doors_ = std::move(doors);
    doors_known_ = true;
    unpark(in, refused);
  }
  finish(in);
}

bool shard_port::knows_doors(uint64_t epoch) const {
  const std::lock_guard guard(mutex_);
  return epoch == epoch_ && epoch_ > ended_ && doors_known_;
}

bool shard_port::set_door(uint64_t epoch, slot_door_range change, std::vector<answer>& refused) {
  admitted in;
  {
    const std::lock_guard guard(mutex_);
    if (epoch != epoch_ || epoch_ <= ended_ || !doors_known_) return false;
    doors_ = doors_.with(change);
    if (change.door == slot_door::open) unpark(in, refused);
  }
  finish(in);
  return true;
}

slot_doors shard_port::doors() const {
  const std::lock_guard guard(mutex_);
  return doors_;
}

slot_door shard_port::door_of(const v1::StorageRequest& message) const {
  const std::lock_guard guard(mutex_);
  return doors_known_ ? door_at(message) : slot_door::wait;
}

bool shard_port::submit(uint64_t epoch, std::shared_ptr<writer_task> task) {
  const std::lock_guard guard(mutex_);
  if (epoch != epoch_ || epoch_ <= ended_ || broken_ || !tasks_) return false;
  tasks_(std::move(task));
  return true;
}

uint64_t shard_port::open_epoch() const {
  const std::lock_guard guard(mutex_);
  return epoch_ > ended_ && doors_known_ && !suspended_ ? epoch_ : 0;
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
  bool gone = false;
  for (const auto& one : parked_) {
    if (one.arrived <= oldest) late.insert(one.from.get());
    gone = gone || is_gone(one);
  }
  if (late.empty() && !gone) return;
  std::erase_if(parked_, [&](parked& one) {
    if (late.contains(one.from.get())) {
      refused.push_back(refuse_parked(one, errc::unavailable));
      return true;
    }
    if (!is_gone(one) || !std::exchange(one.seen_gone, true)) return false;
    refused.push_back(refuse_parked(one, errc::wrong_owner));
    return true;
  });
}

bool shard_port::is_gone(const parked& one) const {
  return doors_known_ && one.asked().epoch() == epoch_ && door_at(one.asked()) == slot_door::gone;
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
