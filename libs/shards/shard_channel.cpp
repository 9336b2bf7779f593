#include "libs/shards/shard_channel.hpp"

#include <algorithm>
#include <utility>

#include "libs/shards/doubt.hpp"

namespace tern::shards {
namespace {

constexpr size_t batch_items = 256;

struct ended_request {
  storage_callback then;
  storage_answer answer;
};

void tell(std::vector<ended_request>& all) {
  for (ended_request& one : all) one.then(one.answer);
}

}  // namespace

void shard_channel::ask(storage::v1::StorageRequest request, patience how, storage_callback then) {
  if (enqueue(0, request, how, then)) {
    send();
    return;
  }
  storage_answer refused{errc::overload, std::move(request), {}};
  then(refused);
}

shard_channel::entry& shard_channel::append(entry fresh) {
  fresh.call = next_call_++;
  fresh.request.set_call(fresh.call);
  fresh.request.set_shard(shard_);
  return entries_.emplace_back(std::move(fresh));
}

bool shard_channel::enqueue(slot_type slot, storage::v1::StorageRequest& request, patience how,
                            storage_callback& then) {
  const lock held(mutex_);
  if (how != patience::until_answered && entries_.size() >= limits_.waiting) return false;
  entry fresh;
  fresh.slot = slot;
  fresh.request = std::move(request);
  fresh.then = std::move(then);
  if (how == patience::deadline) fresh.deadline = time_.now() + limits_.deadline;
  append(std::move(fresh));
  return true;
}

void shard_channel::send() {
  lock held(mutex_);
  flush(held);
}

shard_channel::requests shard_channel::release(const std::function<bool(slot_type)>& stays) {
  requests out;
  const lock held(mutex_);
  for (entry& one : entries_) {
    if (one.ended || stays(one.slot)) continue;
    entry& moved = out.entries_.emplace_back();
    moved.slot = one.slot;
    moved.doubt = one.doubt || one.sent;
    moved.deadline = one.deadline;
    storage_answer kept;
    moved.then = end(one, kept);
    moved.request = std::move(kept.request);
  }
  pop_ended();
  return out;
}

void shard_channel::adopt(requests all) {
  const lock held(mutex_);
  for (entry& one : all.entries_) append(std::move(one));
}

shard_channel::requests shard_channel::requests::take(const std::function<bool(slot_type)>& wanted) {
  requests out;
  std::deque<entry> rest;
  for (entry& one : entries_) (wanted(one.slot) ? out.entries_ : rest).push_back(std::move(one));
  entries_ = std::move(rest);
  return out;
}

void shard_channel::set_target(std::shared_ptr<storage_sink> out, uint64_t epoch) {
  lock held(mutex_);
  if (out_ == out && epoch_ == epoch) return;
  out_ = std::move(out);
  epoch_ = epoch;
  ++round_;
  proven_ = false;
  not_before_ = {};
  for (size_t i = 0; i < next_; ++i) entries_[i].doubt = entries_[i].doubt || entries_[i].sent;
  rewind(0);
  flush(held);
}

void shard_channel::rewind(size_t index) {
  for (size_t i = index; i < next_; ++i) {
    if (!entries_[i].sent || entries_[i].ended) continue;
    entries_[i].sent = false;
    --open_count_;
  }
  next_ = std::min(next_, index);
}

std::vector<storage::v1::StorageRequest> shard_channel::collect() {
  std::vector<storage::v1::StorageRequest> batch;
  const size_t most = proven_ ? batch_items : 1;
  while (next_ < entries_.size() && batch.size() < most && (proven_ || open_count_ == 0)) {
    entry& one = entries_[next_++];
    if (one.ended) continue;
    one.sent = true;
    ++open_count_;
    one.request.set_epoch(epoch_);
    batch.push_back(one.request);
  }
  return batch;
}

void shard_channel::flush(lock& held) {
  if (flushing_) return;  // whoever flushes sees what we added
  flushing_ = true;
  while (out_ && time_.now() >= not_before_) {
    auto batch = collect();
    if (batch.empty()) break;
    const uint64_t first = batch.front().call();
    const uint64_t round = round_;
    auto out = out_;
    held.unlock();
    const bool sent = out->send_all(batch);
    held.lock();
    if (!sent && round == round_) {
      rewind(find(first));
      not_before_ = time_.now() + limits_.retry;
    }
  }
  flushing_ = false;
}

size_t shard_channel::find(uint64_t call) const {
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), call,
                                   [](const entry& one, uint64_t wanted) { return one.call < wanted; });
  return static_cast<size_t>(at - entries_.begin());
}

storage_callback shard_channel::end(entry& one, storage_answer& into) {
  if (one.sent) --open_count_;
  one.ended = true;
  into.request = std::move(one.request);
  return std::exchange(one.then, nullptr);
}

void shard_channel::pop_ended() {
  while (!entries_.empty() && entries_.front().ended) {
    entries_.pop_front();
    if (next_ > 0) --next_;
  }
}

void shard_channel::on_reply(storage::v1::StorageReply& reply) {
  std::vector<ended_request> ended;
  {
    lock held(mutex_);
    const size_t index = find(reply.call());
    if (index >= entries_.size() || entries_[index].call != reply.call()) return;
    entry& one = entries_[index];
    if (one.ended) return;
    const auto code = static_cast<errc>(reply.code());
    if (code == errc::wrong_owner || code == errc::stale_epoch) {
      if (!one.sent || reply.epoch() != epoch_) return;  // it goes again anyway
      proven_ = false;
      rewind(index);
      not_before_ = time_.now() + limits_.retry;
      return;
    }
    if (reply.epoch() == epoch_) proven_ = true;  // an answer to an earlier sending proves nothing
    ended_request& done = ended.emplace_back();
    done.answer.code = one.doubt && is_keyless_change(one.request) ? in_doubt(code) : code;
    done.answer.reply = std::move(reply);
    done.then = end(one, done.answer);
    pop_ended();
    flush(held);
  }
  tell(ended);
}

void shard_channel::sweep() {
  std::vector<ended_request> late;
  {
    lock held(mutex_);
    const time_point now = time_.now();
    for (entry& one : entries_) {
      if (one.ended || !one.deadline || *one.deadline > now) continue;
      ended_request& done = late.emplace_back();
      done.answer.code = errc::deadline;
      done.then = end(one, done.answer);
    }
    pop_ended();
    flush(held);
  }
  tell(late);
}

void shard_channel::fail_all(errc code) {
  std::vector<ended_request> failed;
  {
    lock held(mutex_);
    for (entry& one : entries_) {
      if (one.ended) continue;
      ended_request& done = failed.emplace_back();
      done.answer.code = code;
      done.then = end(one, done.answer);
    }
    entries_.clear();
    next_ = open_count_ = 0;
  }
  tell(failed);
}

size_t shard_channel::waiting() const {
  lock held(mutex_);
  return entries_.size();
}

}  // namespace tern::shards
