// The writer of a SQLite shard: rooms, recalls, profiles.
#include "services/storage/repositories/sqlite_room_statements.hpp"
#include "services/storage/repositories/sqlite_rows.hpp"
#include "services/storage/repositories/sqlite_writer.hpp"

namespace tern::storage {

using sql::sqlite_statement;

result<std::vector<profile_row>> profiles_of(sql::sqlite_connection& database, std::span<const account_id> ids) {
  std::vector<profile_row> rows;
  auto done = one_of_each(database, sqlite_text::load_profile, ids, bind_account, [&](auto& s, account_id id) {
    rows.push_back({id, std::string(s.bytes(0)), s.integer(1), std::string(s.bytes(2))});
  });
  if (!done) return done.error();
  return rows;
}

result<std::vector<room_row>> sqlite_writer::load_rooms(std::span<const room_id> ids) {
  std::vector<room_row> rows;
  auto done = one_of_each(*database_, sqlite_text::load_room, ids, bind_room,
                          [&](auto& s, room_id) { rows.push_back(room_at(s)); });
  if (!done) return done.error();
  for (auto& row : rows) {
    if (!cipher_.open(row)) return unreadable();
  }
  return rows;
}

result<std::vector<member_row>> sqlite_writer::load_members(std::span<const member_key> keys) {
  std::vector<member_row> rows;
  auto done = one_of_each(
      *database_, sqlite_text::load_member, keys,
      [](auto& s, const member_key& key) { bind_room(s, key.room).bind(3, key.account.value); },
      [&](auto& s, const member_key& key) {
        rows.push_back({key.room, key.account, static_cast<uint32_t>(s.number(0))});
      });
  if (!done) return done.error();
  return rows;
}

result<std::vector<message_row>> sqlite_writer::load_messages(std::span<const message_place> places) {
  std::vector<message_row> rows;
  auto done = one_of_each(
      *database_, sqlite_text::load_message, places,
      [](auto& s, const message_place& place) { bind_conversation(s, 1, place.conversation).bind(4, place.mid); },
      [&](auto& s, const message_place& place) {
        auto& row = rows.emplace_back();
        row.conversation = place.conversation;
        row.mid = place.mid;
        row.sender = {s.number(0)};
        row.key = std::string(s.bytes(1));
        row.timestamp_ns = s.integer(2);
        row.body = std::string(s.bytes(3));
        set_flags(row, s.integer(4), s.number(5));
        static_cast<void>(cipher_.open(row));  // one that was changed can be recalled, too
      });
  if (!done) return done.error();
  return rows;
}

result<std::vector<profile_row>> sqlite_writer::load_profiles(std::span<const account_id> ids) {
  auto rows = profiles_of(*database_, ids);
  if (!rows) return rows;
  for (auto& row : *rows) {
    if (!cipher_.open(row)) return unreadable();
  }
  return rows;
}

result<void> sqlite_writer::write_rooms(const write_batch& batch) {
  auto done = each(batch.recalled, sqlite_text::recall_message, [](sqlite_statement& s, const message_place& place) {
    bind_conversation(s, 1, place.conversation).bind(4, place.mid);
  });
  if (!done) return done;
  std::string managers;  // bound bytes must outlive the statement's run
  done = each(batch.rooms, sqlite_text::put_room, [&](sqlite_statement& s, const room_row& row) {
    managers = pack_ids(row.managers);
    bind_room(s, row.id).bind_text(3, row.domain).bind(4, row.founder.value).bind_bytes(5, managers);
    s.bind(6, static_cast<int64_t>(row.kind)).bind(7, int64_t{row.cancelled}).bind(8, row.version);
    s.bind(9, row.members).bind(10, row.created_ns).bind_bytes(11, cipher_.seal(row)).bind_bytes(12, row.create_key);
  });
  if (!done) return done;
  std::vector<member_row> kept, dropped;
  for (const auto& row : batch.members) (row.bits == room_none ? dropped : kept).push_back(row);
  done = each(kept, sqlite_text::put_member, [](sqlite_statement& s, const member_row& row) {
    bind_room(s, row.room).bind(3, row.account.value).bind(4, row.bits);
  });
  if (!done) return done;
  done = each(dropped, sqlite_text::drop_member,
              [](sqlite_statement& s, const member_row& row) { bind_room(s, row.room).bind(3, row.account.value); });
  if (!done) return done;
  return each(batch.account_rooms, sqlite_text::put_account_room,
              [](sqlite_statement& s, const account_room_row& row) {
                bind_account(s, row.account)
                    .bind(3, row.room.value)
                    .bind(4, row.version)
                    .bind(5, row.bits)
                    .bind(6, row.since);
              });
}

result<void> sqlite_writer::write_account_changes(const write_batch& batch) {
  auto done = each(batch.profiles, sqlite_text::put_profile, [this](sqlite_statement& s, const profile_row& row) {
    s.bind_bytes(1, cipher_.seal(row)).bind(2, slot_of(row.account)).bind(3, row.account.value);
  });
  if (!done) return done;
  done = each(batch.passwords, sqlite_text::put_password, [](sqlite_statement& s, const password_row& row) {
    s.bind_text(1, row.password_hash).bind(2, slot_of(row.account)).bind(3, row.account.value);
  });
  if (!done) return done;
  return each(batch.passwords, sqlite_text::drop_tokens,
              [](sqlite_statement& s, const password_row& row) { bind_account(s, row.account); });
}

}  // namespace tern::storage
