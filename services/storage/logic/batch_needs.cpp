// batch_builder: what must be read before a batch can be planned, and what the database said.
#include <utility>

#include "services/storage/convert.hpp"
#include "services/storage/logic/batch_builder.hpp"
#include "services/storage/logic/beans.hpp"
#include "services/storage/logic/room_keys.hpp"

namespace tern::storage {

void batch_builder::need(const write_request& item) {
  const auto& message = item.message;
  switch (message.op_case()) {
    case v1::StorageRequest::kAppend: {
      const auto& ask = message.append();
      const auto id = from_proto(ask.conversation());
      want_conversation(id);
      key_needs_.push_back({id, account_id{ask.sender()}, ask.key()});
      break;
    }
    case v1::StorageRequest::kRelate: want_conversation(from_proto(message.relate().conversation())); break;
    case v1::StorageRequest::kRecall: need_recall(message.recall()); break;
    case v1::StorageRequest::kRoomCreate: {
      const room_id room{message.room_create().room()};
      want_conversation(room_conversation(room));
      want_room(room, account_id{message.room_create().founder()});
      break;
    }
    case v1::StorageRequest::kRoomAppend: {
      const auto& ask = message.room_append();
      const room_id room{ask.room()};
      want_conversation(room_conversation(room));
      want_room(room, account_id{ask.sender()});
      key_needs_.push_back({room_conversation(room), account_id{ask.sender()}, ask.key()});
      break;
    }
    case v1::StorageRequest::kRoomChange: need_change(message.room_change()); break;
    case v1::StorageRequest::kProfilePut: {
      const account_id account{message.profile_put().account()};
      bool wanted = false;
      for (const auto other : profiles_wanted_) wanted = wanted || other == account;
      if (!wanted) profiles_wanted_.push_back(account);
      break;
    }
    default: break;
  }
}

void batch_builder::need_recall(const v1::Recall& ask) {
  const auto id = from_proto(ask.conversation());
  const account_id actor{ask.actor()};
  want_conversation(id);
  if (id.lo == 0) want_room(room_id{id.hi}, actor);
  const message_place place{id, ask.mid()};
  bool wanted = false;
  for (const auto& other : messages_wanted_) wanted = wanted || other == place;
  if (!wanted) messages_wanted_.push_back(place);
  key_needs_.push_back({id, actor, recall_key(ask.mid())});
  must_know_keys_ = true;  // what is recalled already tells nothing of who did it
}

void batch_builder::need_change(const v1::RoomChange& ask) {
  const room_id room{ask.room()};
  want_conversation(room_conversation(room));
  want_room(room, account_id{ask.actor()});
  if (ask.target() != 0) want_member(room, account_id{ask.target()});
  if (ask.change() != v1::RoomChange::PROFILE) return;
  const auto managers = given_managers(ask.bean());
  if (!managers || !*managers) return;
  rooms_of_managers_.insert(room);
  for (const auto manager : **managers) want_member(room, manager);
}

void batch_builder::want_conversation(const conversation_id& id) {
  const auto [at, inserted] = known_.try_emplace(id);
  if (!inserted) return;
  if (const auto* cached = cache_.conversations.find(id)) {
    at->second = *cached;
  } else {
    conversations_wanted_.push_back(id);
  }
}

void batch_builder::want_room(room_id id, account_id member) {
  const auto [at, inserted] = known_rooms_.try_emplace(id);
  if (inserted) {
    if (const auto* cached = cache_.rooms.find(id)) {
      at->second = *cached;
    } else {
      rooms_wanted_.push_back(id);
    }
  }
  want_member(id, member);
}

void batch_builder::want_member(room_id room, account_id account) {
  const member_key key{room, account};
  const auto [at, inserted] = known_members_.try_emplace(key, uint32_t{room_none});
  if (!inserted) return;
  if (const auto* cached = cache_.members.find(key)) {
    at->second = *cached;
  } else {
    members_wanted_.push_back(key);
  }
}

void batch_builder::learn_conversations(std::vector<conversation_row> rows) {
  for (auto& row : rows) {
    cache_.conversations.put(row.id, row);
    known_[row.id] = std::move(row);
  }
}

void batch_builder::learn_rooms(std::vector<room_row> rows) {
  for (auto& row : rows) {
    const auto id = row.id;
    auto kept = std::make_shared<const room_row>(std::move(row));
    cache_.rooms.put(id, kept);
    known_rooms_[id] = std::move(kept);
  }
}

const std::vector<member_key>& batch_builder::members_wanted() {
  for (const auto id : rooms_of_managers_) {
    const auto known = room(id);
    if (known == nullptr) continue;
    for (const auto manager : known->managers) want_member(id, manager);
  }
  return members_wanted_;
}

void batch_builder::learn_members(std::span<const member_row> rows) {
  for (const auto& row : rows) {
    const member_key key{row.room, row.account};
    cache_.members.put(key, row.bits);
    known_members_[key] = row.bits;
  }
}

void batch_builder::learn_messages(std::vector<message_row> rows) {
  for (auto& row : rows) {
    const message_place place{row.conversation, row.mid};
    known_messages_[place] = std::move(row);
  }
}

void batch_builder::learn_profiles(std::vector<profile_row> rows) {
  for (auto& row : rows) known_profiles_[row.account] = std::move(row.bean);
}

const std::vector<message_key>& batch_builder::keys_wanted() {
  for (auto& need : key_needs_) {
    const auto known = known_.find(need.conversation);
    if (known == known_.end() || !known->second || known->second->head == 0) continue;
    if (!need.sender || need.key.empty() || need.key.size() > key_bytes_most) continue;
    auto name = key_name(need.conversation, need.sender, need.key);
    if (known_keys_.contains(name)) continue;
    if (const auto* cached = cache_.keys.find(name)) {
      known_keys_.emplace(std::move(name), *cached);
      continue;
    }
    keys_wanted_.push_back({need.conversation, need.sender, std::move(need.key)});
    key_names_.push_back(std::move(name));
  }
  return keys_wanted_;
}

void batch_builder::learn_keys(std::span<const found_key> found) {
  for (const auto& one : found) {
    if (one.index < key_names_.size()) known_keys_[key_names_[one.index]] = {one.mid, one.timestamp_ns};
  }
}

}  // namespace tern::storage
