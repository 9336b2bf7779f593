// The statements of rooms, recalls and profiles; see sqlite_statements.hpp.
#pragma once

namespace tern::storage::sqlite_text {

inline constexpr const char* recall_message =
    "update message set body = x'', flags = flags | 2"
    " where slot = $1 and conv_hi = $2 and conv_lo = $3 and mid = $4";
inline constexpr const char* put_room =
    "insert into room (slot, id, domain, founder, managers, kind, cancelled, version, members, created_ns, bean,"
    " create_key) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) on conflict do update set"
    " domain = excluded.domain, founder = excluded.founder, managers = excluded.managers, kind = excluded.kind,"
    " cancelled = excluded.cancelled, version = excluded.version, members = excluded.members,"
    " created_ns = excluded.created_ns, bean = excluded.bean, create_key = excluded.create_key";
inline constexpr const char* put_member =
    "insert into member (slot, room, account, bits) values ($1, $2, $3, $4)"
    " on conflict do update set bits = excluded.bits";
inline constexpr const char* drop_member = "delete from member where slot = $1 and room = $2 and account = $3";
inline constexpr const char* put_account_room =
    "insert into account_room (slot, account, room, version, bits, since) values ($1, $2, $3, $4, $5, $6)"
    " on conflict do update set version = excluded.version, bits = excluded.bits, since = max(since, excluded.since)"
    " where excluded.version > version";
inline constexpr const char* put_profile = "update account set profile = $1 where slot = $2 and id = $3";
inline constexpr const char* put_password = "update account set password_hash = $1 where slot = $2 and id = $3";
inline constexpr const char* drop_tokens = "delete from token where slot = $1 and account = $2";

#define TERN_ROOM_COLUMNS                                                                                    \
  "r.id, r.domain, r.founder, r.managers, r.kind, r.cancelled, r.version, r.members, r.created_ns, r.bean, " \
  "r.create_key"
inline constexpr const char* load_room = "select " TERN_ROOM_COLUMNS " from room r where r.slot = $1 and r.id = $2";
inline constexpr const char* load_member = "select bits from member where slot = $1 and room = $2 and account = $3";
inline constexpr const char* load_message =
    "select sender, send_key, timestamp_ns, body, flags, target from message"
    " where slot = $1 and conv_hi = $2 and conv_lo = $3 and mid = $4";
inline constexpr const char* load_profile =
    "select domain, created_ns, profile from account where slot = $1 and id = $2";

inline constexpr const char* get_account_rooms =
    "select r.room, r.version, r.bits, r.since, max(r.since, coalesce(c.delivered, 0)) from account_room r"
    " left join cursor c on c.slot = r.slot and c.account = r.account and c.conv_hi = r.room and c.conv_lo = 0"
    " where r.slot = $1 and r.account = $2 and r.bits & 33 <> 0 order by r.room < 0, r.room";
inline constexpr const char* get_room =
    "select " TERN_ROOM_COLUMNS
    ", max(coalesce(c.head, 0), coalesce((select h.mid from message h where h.slot = r.slot and h.conv_hi = r.id"
    " and h.conv_lo = 0 order by h.mid desc limit 1), 0)) from room r"
    " left join conversation c on c.slot = r.slot and c.conv_hi = r.id and c.conv_lo = 0"
    " where r.slot = $1 and r.id = $2";
// Ids are unsigned: those stored as negative come last. Two ranges of the key, no sort. $3: bits, $4: limit.
inline constexpr const char* get_low_members =
    "select account, bits from member where slot = $1 and room = $2 and account >= 0 and bits & $3 <> 0"
    " order by account limit $4";
inline constexpr const char* get_high_members =
    "select account, bits from member where slot = $1 and room = $2 and account < 0 and bits & $3 <> 0"
    " order by account limit $4";

#undef TERN_ROOM_COLUMNS

}  // namespace tern::storage::sqlite_text
