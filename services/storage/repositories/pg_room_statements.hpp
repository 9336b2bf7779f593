// The statements of rooms, recalls and profiles; see pg_statements.hpp.
#pragma once

#include "libs/sql/pg_link.hpp"

namespace tern::storage::pg_text {

using sql::pg_statement;

// Writes.
inline constexpr pg_statement recall_messages{
    "recall_messages",
    "update message m set body = '', flags = m.flags | 2::smallint"
    " from unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[]) as u (slot, hi, lo, mid)"
    " where m.slot = u.slot and m.conv_hi = u.hi and m.conv_lo = u.lo and m.mid = u.mid"};
inline constexpr pg_statement put_rooms{
    "put_rooms",
    "insert into room (slot, id, domain, founder, managers, kind, cancelled, version, members, created_ns, bean,"
    " create_key) select * from unnest($1::int[], $2::bigint[], $3::text[], $4::bigint[], $5::bytea[],"
    " $6::smallint[], $7::smallint[], $8::bigint[], $9::int[], $10::bigint[], $11::bytea[], $12::bytea[])"
    " on conflict (slot, id) do update set domain = excluded.domain, founder = excluded.founder,"
    " managers = excluded.managers, kind = excluded.kind, cancelled = excluded.cancelled,"
    " version = excluded.version, members = excluded.members, created_ns = excluded.created_ns,"
    " bean = excluded.bean, create_key = excluded.create_key"};
inline constexpr pg_statement put_members{"put_members",
                                          "insert into member (slot, room, account, bits)"
                                          " select * from unnest($1::int[], $2::bigint[], $3::bigint[], $4::int[])"
                                          " on conflict (slot, room, account) do update set bits = excluded.bits"};
inline constexpr pg_statement drop_members{
    "drop_members",
    "delete from member m using unnest($1::int[], $2::bigint[], $3::bigint[]) as u (slot, room, account)"
    " where m.slot = u.slot and m.room = u.room and m.account = u.account"};
inline constexpr pg_statement put_account_rooms{
    "put_account_rooms",
    "insert into account_room (slot, account, room, version, bits, since)"
    " select * from unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[], $5::int[], $6::bigint[])"
    " on conflict (slot, account, room) do update set version = excluded.version, bits = excluded.bits,"
    " since = greatest(account_room.since, excluded.since) where excluded.version > account_room.version"};
inline constexpr pg_statement put_profiles{
    "put_profiles",
    "update account a set profile = u.bean from unnest($1::int[], $2::bigint[], $3::bytea[]) as u (slot, id, bean)"
    " where a.slot = u.slot and a.id = u.id"};
inline constexpr pg_statement put_passwords{
    "put_passwords",
    "with u as (select * from unnest($1::int[], $2::bigint[], $3::text[]) as u (slot, id, hash)),"
    " t as (delete from token t using u where t.slot = u.slot and t.account = u.id)"
    " update account a set password_hash = u.hash from u where a.slot = u.slot and a.id = u.id"};

// The writer's reads: $1 … are columns of the asked keys.
#define TERN_ROOM_COLUMNS                                                                                    \
  "r.id, r.domain, r.founder, r.managers, r.kind, r.cancelled, r.version, r.members, r.created_ns, r.bean, " \
  "r.create_key"

inline constexpr pg_statement load_rooms{"load_rooms", "select " TERN_ROOM_COLUMNS
                                                       " from unnest($1::int[], $2::bigint[]) as u (slot, id)"
                                                       " join room r on r.slot = u.slot and r.id = u.id"};
inline constexpr pg_statement load_members{
    "load_members",
    "select m.room, m.account, m.bits from unnest($1::int[], $2::bigint[], $3::bigint[]) as u (slot, room, account)"
    " join member m on m.slot = u.slot and m.room = u.room and m.account = u.account"};
inline constexpr pg_statement load_messages{
    "load_messages",
    "select m.conv_hi, m.conv_lo, m.mid, m.sender, m.send_key, m.timestamp_ns, m.body, m.flags, m.target"
    " from unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[]) as u (slot, hi, lo, mid)"
    " join message m on m.slot = u.slot and m.conv_hi = u.hi and m.conv_lo = u.lo and m.mid = u.mid"};
inline constexpr pg_statement load_profiles{
    "load_profiles",
    "select a.id, a.domain, a.created_ns, a.profile from unnest($1::int[], $2::bigint[]) as u (slot, id)"
    " join account a on a.slot = u.slot and a.id = u.id"};

// The readers' reads.
inline constexpr pg_statement get_account_rooms{
    "get_account_rooms",
    "select r.room, r.version, r.bits, r.since, greatest(r.since, c.delivered) from account_room r"
    " left join cursor c on c.slot = r.slot and c.account = r.account and c.conv_hi = r.room and c.conv_lo = 0"
    " where r.slot = $1::bigint::int and r.account = $2::bigint and r.bits & 33 <> 0 order by r.room < 0, r.room"};
inline constexpr pg_statement get_room{
    "get_room", "select " TERN_ROOM_COLUMNS
                ", greatest(c.head, (select h.mid from message h where h.slot = r.slot and h.conv_hi = r.id"
                " and h.conv_lo = 0 order by h.mid desc limit 1)) from room r"
                " left join conversation c on c.slot = r.slot and c.conv_hi = r.id and c.conv_lo = 0"
                " where r.slot = $1::bigint::int and r.id = $2::bigint"};
inline constexpr pg_statement get_member{
    "get_member",
    "select bits from member where slot = $1::bigint::int and room = $2::bigint and account = $3::bigint"};
// Ids are unsigned: those stored as negative come last. Two ranges of the key, no sort. $3: bits, $4: limit.
inline constexpr pg_statement get_members{
    "get_members",
    "select * from ((select account, bits from member where slot = $1::bigint::int and room = $2::bigint"
    " and account >= 0 and bits::bigint & $3::bigint <> 0 order by account limit $4::bigint)"
    " union all (select account, bits from member where slot = $1::bigint::int and room = $2::bigint"
    " and account < 0 and bits::bigint & $3::bigint <> 0 order by account limit $4::bigint)) m limit $4::bigint"};

#undef TERN_ROOM_COLUMNS

}  // namespace tern::storage::pg_text
