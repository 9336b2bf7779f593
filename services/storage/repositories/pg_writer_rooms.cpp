// The writer of a PostgreSQL shard: rooms, recalls, profiles.
#include "services/storage/repositories/pg_columns.hpp"
#include "services/storage/repositories/pg_room_statements.hpp"
#include "services/storage/repositories/pg_writer.hpp"

namespace tern::storage {
namespace {

constexpr auto itself = [](const auto& id) { return id; };

}  // namespace

result<std::vector<room_row>> pg_writer::load_rooms(std::span<const room_id> ids) {
  if (auto there = ready(); !there) return there.error();
  calls_.clear();
  put_ids(add(pg_text::load_rooms), ids, itself);
  auto found = read();
  if (!found) return found.error();
  std::vector<room_row> rows;
  for (size_t i = 0; i < found->size(); ++i) {
    rows.push_back(room_at(*found, i));
    if (!cipher_.open(rows.back())) return unreadable();
  }
  return rows;
}

result<std::vector<member_row>> pg_writer::load_members(std::span<const member_key> keys) {
  if (auto there = ready(); !there) return there.error();
  calls_.clear();
  put_ids(add(pg_text::load_members), keys, [](const member_key& key) {
    return key.room;
  }).int8s(keys, [](const member_key& key) { return key.account.value; });
  auto found = read();
  if (!found) return found.error();
  std::vector<member_row> rows(found->size());
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i] = {{found->number(i, 0)}, {found->number(i, 1)}, found->number32(i, 2)};
  }
  return rows;
}

result<std::vector<message_row>> pg_writer::load_messages(std::span<const message_place> places) {
  if (auto there = ready(); !there) return there.error();
  calls_.clear();
  put_conversations(add(pg_text::load_messages), places, [](const message_place& place) {
    return place.conversation;
  }).int8s(places, [](const message_place& place) { return place.mid; });
  auto found = read();
  if (!found) return found.error();
  std::vector<message_row> rows(found->size());
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i].conversation = {found->number(i, 0), found->number(i, 1)};
    rows[i].mid = found->number(i, 2);
    rows[i].sender = {found->number(i, 3)};
    rows[i].key = std::string(found->bytes(i, 4));
    rows[i].timestamp_ns = found->integer(i, 5);
    rows[i].body = std::string(found->bytes(i, 6));
    set_flags(rows[i], found->integer(i, 7), found->number(i, 8));
    static_cast<void>(cipher_.open(rows[i]));  // one that was changed can be recalled, too
  }
  return rows;
}

result<std::vector<profile_row>> pg_writer::load_profiles(std::span<const account_id> ids) {
  if (auto there = ready(); !there) return there.error();
  calls_.clear();
  put_ids(add(pg_text::load_profiles), ids, itself);
  auto found = read();
  if (!found) return found.error();
  std::vector<profile_row> rows;
  for (size_t i = 0; i < found->size(); ++i) {
    rows.push_back(profile_at(*found, i));
    if (!cipher_.open(rows.back())) return unreadable();
  }
  return rows;
}

void pg_writer::add_recalls(const std::vector<message_place>& places) {
  if (places.empty()) return;
  put_conversations(add(pg_text::recall_messages), places, [](const message_place& place) {
    return place.conversation;
  }).int8s(places, [](const message_place& place) { return place.mid; });
}

void pg_writer::add_rooms(const std::vector<room_row>& rooms) {
  if (rooms.empty()) return;
  std::vector<std::string> managers;
  for (const auto& row : rooms) managers.push_back(pack_ids(row.managers));
  put_ids(add(pg_text::put_rooms), rooms, [](const room_row& row) { return row.id; })
      .texts(rooms, [](const room_row& row) -> const std::string& { return row.domain; })
      .int8s(rooms, [](const room_row& row) { return row.founder.value; })
      .byteas(managers, [](const std::string& ids) -> const std::string& { return ids; })
      .int2s(rooms, [](const room_row& row) { return static_cast<uint8_t>(row.kind); })
      .int2s(rooms, [](const room_row& row) { return row.cancelled ? 1 : 0; })
      .int8s(rooms, [](const room_row& row) { return row.version; })
      .int4s(rooms, [](const room_row& row) { return row.members; })
      .int8s(rooms, [](const room_row& row) { return row.created_ns; })
      .byteas(rooms, [this](const room_row& row) { return cipher_.seal(row); })
      .byteas(rooms, [](const room_row& row) -> const std::string& { return row.create_key; });
}

void pg_writer::add_members(const std::vector<member_row>& members) {
  std::vector<member_row> kept, dropped;
  for (const auto& row : members) (row.bits == room_none ? dropped : kept).push_back(row);
  const auto room = [](const member_row& row) { return row.room; };
  const auto account = [](const member_row& row) { return row.account.value; };
  if (!kept.empty()) {
    put_ids(add(pg_text::put_members), kept, room).int8s(kept, account).int4s(kept, [](const member_row& row) {
      return row.bits;
    });
  }
  if (!dropped.empty()) put_ids(add(pg_text::drop_members), dropped, room).int8s(dropped, account);
}

void pg_writer::add_account_rooms(const std::vector<account_room_row>& all) {
  if (all.empty()) return;
  const auto rows = newest_of_each(all, [](const account_room_row& row) { return std::pair(row.account, row.room); });
  put_accounts_of(add(pg_text::put_account_rooms), rows)
      .int8s(rows, [](const account_room_row& row) { return row.room.value; })
      .int8s(rows, [](const account_room_row& row) { return row.version; })
      .int4s(rows, [](const account_room_row& row) { return row.bits; })
      .int8s(rows, [](const account_room_row& row) { return row.since; });
}

void pg_writer::add_account_changes(const write_batch& batch) {
  if (!batch.profiles.empty()) {
    const auto rows = last_of_each(batch.profiles, [](const profile_row& row) { return row.account; });
    put_accounts_of(add(pg_text::put_profiles), rows).byteas(rows, [this](const profile_row& row) {
      return cipher_.seal(row);
    });
  }
  if (!batch.passwords.empty()) {
    const auto rows = last_of_each(batch.passwords, [](const password_row& row) { return row.account; });
    put_accounts_of(add(pg_text::put_passwords), rows).texts(rows, [](const password_row& row) -> const std::string& {
      return row.password_hash;
    });
  }
}

}  // namespace tern::storage
