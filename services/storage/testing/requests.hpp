// Builders of storage requests and a sink that keeps what it gets, for tests.
#pragma once

#include <tern/storage/v1/storage.pb.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "services/storage/convert.hpp"
#include "services/storage/logic/write_request.hpp"

namespace tern::storage::testing {

inline constexpr account_id ann{0x1111111111111111U};
inline constexpr account_id ben{0xEEEEEEEEEEEEEEEEU};
inline constexpr account_id cat{0x5555555555555555U};

/// Any id will do, as long as a pair has always the same.
inline conversation_id talk_of(account_id one, account_id other) {
  return {(std::min(one, other).value ^ (std::max(one, other).value << 7U)) | 1U, std::max(one, other).value};
}

inline v1::StorageRequest request(uint64_t call, uint64_t epoch = 1, const std::string& shard = "s0") {
  v1::StorageRequest out;
  out.set_call(call);
  out.set_shard(shard);
  out.set_epoch(epoch);
  return out;
}

inline v1::StorageRequest append(uint64_t call, account_id from, account_id to, const std::string& key,
                                 const std::string& body = "body", bool open = true) {
  auto out = request(call);
  auto& ask = *out.mutable_append();
  to_proto(talk_of(from, to), *ask.mutable_conversation());
  ask.set_sender(from.value);
  ask.set_recipient(to.value);
  ask.set_key(key);
  ask.set_body(body);
  ask.set_open(open);
  ask.set_accepted_ns(1);
  return out;
}

inline v1::StorageRequest relate(uint64_t call, account_id actor, account_id other, v1::Relate::Change change,
                                 const std::string& text = {}) {
  auto out = request(call);
  auto& ask = *out.mutable_relate();
  to_proto(talk_of(actor, other), *ask.mutable_conversation());
  ask.set_actor(actor.value);
  ask.set_other(other.value);
  ask.set_change(change);
  ask.set_text(text);
  return out;
}

inline v1::StorageRequest read_all(uint64_t call, account_id reader, account_id other, uint32_t limit = 1000) {
  auto out = request(call);
  auto& ask = *out.mutable_read();
  to_proto(talk_of(reader, other), *ask.mutable_conversation());
  ask.set_reader(reader.value);
  ask.set_limit(limit);
  return out;
}

inline constexpr room_id harbour{0x7777777777777777U};

inline v1::StorageRequest recall(uint64_t call, const conversation_id& in, account_id actor, uint64_t mid,
                                 bool burn = false) {
  auto out = request(call);
  auto& ask = *out.mutable_recall();
  to_proto(in, *ask.mutable_conversation());
  ask.set_actor(actor.value);
  ask.set_mid(mid);
  ask.set_burn(burn);
  ask.set_body("recall of " + std::to_string(mid));
  ask.set_accepted_ns(1);
  return out;
}

inline v1::StorageRequest room_create(uint64_t call, account_id founder, v1::RoomKind kind = v1::ROOM_OPEN,
                                      room_id room = harbour, const std::string& key = "create") {
  auto out = request(call);
  auto& ask = *out.mutable_room_create();
  ask.set_room(room.value);
  ask.set_founder(founder.value);
  ask.set_domain("d");
  ask.set_kind(kind);
  ask.set_name("harbour");
  ask.set_key(key);
  return out;
}

inline v1::StorageRequest room_append(uint64_t call, account_id from, const std::string& key,
                                      const std::string& body = "body", room_id room = harbour) {
  auto out = request(call);
  auto& ask = *out.mutable_room_append();
  ask.set_room(room.value);
  ask.set_sender(from.value);
  ask.set_key(key);
  ask.set_body(body);
  ask.set_accepted_ns(1);
  return out;
}

inline v1::StorageRequest room_change(uint64_t call, account_id actor, v1::RoomChange::Change change,
                                      account_id target = {}, const std::string& text = {}, room_id room = harbour) {
  auto out = request(call);
  auto& ask = *out.mutable_room_change();
  ask.set_room(room.value);
  ask.set_actor(actor.value);
  ask.set_domain("d");
  ask.set_change(change);
  ask.set_target(target.value);
  ask.set_text(text);
  return out;
}

inline v1::StorageRequest read_room(uint64_t call, account_id reader, room_id room = harbour) {
  auto out = request(call);
  auto& ask = *out.mutable_read();
  ask.mutable_conversation()->set_hi(room.value);
  ask.set_reader(reader.value);
  ask.set_limit(1000);
  return out;
}

/// Thread-safe.
class recording_sink final : public reply_sink {
 public:
  bool send(v1::StorageReply reply) override {
    std::vector<v1::StorageReply> one;
    one.push_back(std::move(reply));
    return send_all(one);
  }
  bool send_all(std::vector<v1::StorageReply>& items) override {
    const std::lock_guard guard(mutex_);
    if (closed_) return false;
    for (auto& item : items) replies_.push_back(std::move(item));
    items.clear();
    wake_.notify_all();
    return true;
  }
  void close() override {
    const std::lock_guard guard(mutex_);
    closed_ = true;
  }
  std::vector<v1::StorageReply> replies() {
    const std::lock_guard guard(mutex_);
    return replies_;
  }
  std::vector<v1::StorageReply> take() {
    const std::lock_guard guard(mutex_);
    return std::exchange(replies_, {});
  }
  /// Until so many have come; false after 20 s.
  bool wait_for(size_t count) {
    std::unique_lock guard(mutex_);
    return wake_.wait_for(guard, std::chrono::seconds{20}, [&] { return replies_.size() >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<v1::StorageReply> replies_;
  bool closed_ = false;
};

}  // namespace tern::storage::testing
