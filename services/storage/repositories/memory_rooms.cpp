// The _memory implementation: rooms, recalls, profiles.
#include "services/storage/repositories/backends.hpp"
#include "services/storage/repositories/memory_tables.hpp"

namespace tern::storage {

std::vector<room_row> memory_tables::load_rooms(std::span<const room_id> ids) const {
  std::vector<room_row> rows;
  for (const auto& id : ids) {
    if (const auto found = rooms_.find(id); found != rooms_.end()) rows.push_back(found->second);
  }
  return rows;
}

std::vector<member_row> memory_tables::load_members(std::span<const member_key> keys) const {
  std::vector<member_row> rows;
  for (const auto& key : keys) {
    const auto found = members_.find(key);
    if (found != members_.end()) rows.push_back({key.room, key.account, found->second});
  }
  return rows;
}

std::vector<message_row> memory_tables::load_messages(std::span<const message_place> places) const {
  std::vector<message_row> rows;
  for (const auto& place : places) {
    const auto found = messages_.find({place.conversation, place.mid});
    if (found != messages_.end()) rows.push_back(found->second);
  }
  return rows;
}

std::vector<profile_row> memory_tables::profiles(std::span<const account_id> ids) const {
  std::vector<profile_row> rows;
  for (const auto& id : ids) {
    const auto found = accounts_.find(id);
    if (found == accounts_.end()) continue;
    const auto bean = beans_.find(id);
    rows.push_back({id, found->second.domain, found->second.created_ns, bean == beans_.end() ? "" : bean->second});
  }
  return rows;
}

void memory_tables::write_rooms(const write_batch& batch) {
  for (const auto& place : batch.recalled) {
    const auto found = messages_.find({place.conversation, place.mid});
    if (found == messages_.end()) continue;
    bytes_ -= found->second.body.size();
    found->second.body.clear();
    found->second.tombstone = true;
  }
  for (const auto& row : batch.rooms) rooms_[row.id] = row;
  for (const auto& row : batch.members) {
    if (row.bits == room_none)
      members_.erase({row.room, row.account});
    else
      members_[{row.room, row.account}] = row.bits;
  }
  for (const auto& row : batch.account_rooms) {
    auto [at, inserted] = account_rooms_.try_emplace({row.account, row.room}, row);
    if (inserted || row.version <= at->second.version) continue;
    const uint64_t since = std::max(at->second.since, row.since);
    at->second = row;
    at->second.since = since;
  }
}

void memory_tables::write_account_changes(const write_batch& batch) {
  for (const auto& row : batch.profiles) {
    if (accounts_.contains(row.account)) beans_[row.account] = row.bean;
  }
  for (const auto& row : batch.passwords) {
    if (const auto found = accounts_.find(row.account); found != accounts_.end()) {
      found->second.password_hash = row.password_hash;
    }
    const auto first = tokens_.lower_bound({row.account, {}});
    auto last = first;
    while (last != tokens_.end() && last->first.first == row.account) ++last;
    tokens_.erase(first, last);
  }
}

std::vector<account_room_row> memory_tables::rooms_of(account_id id) const {
  std::vector<account_room_row> rows;
  for (auto at = account_rooms_.lower_bound({id, room_id{}}); at != account_rooms_.end() && at->first.first == id;
       ++at) {
    if ((at->second.bits & (room_member | room_refuses)) == 0) continue;
    auto& row = rows.emplace_back(at->second);
    const auto cursor = cursors_.find({id, conversation_id{row.room.value, 0}});
    row.delivered = cursor == cursors_.end() ? row.since : std::max(row.since, cursor->second.row.delivered);
  }
  return rows;
}

std::optional<std::pair<room_row, uint64_t>> memory_tables::room(room_id id) const {
  const auto found = rooms_.find(id);
  if (found == rooms_.end()) return std::nullopt;
  const auto head = conversations_.find({id.value, 0});
  return std::pair(found->second, head == conversations_.end() ? 0 : head->second.head);
}

std::vector<member_row> memory_tables::members(room_id room, uint32_t bits, uint32_t limit) const {
  std::vector<member_row> rows;
  for (auto at = members_.lower_bound({room, account_id{}});
       at != members_.end() && at->first.room == room && rows.size() < limit; ++at) {
    if ((at->second & bits) != 0) rows.push_back({room, at->first.account, at->second});
  }
  return rows;
}

}  // namespace tern::storage
