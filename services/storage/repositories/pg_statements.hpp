// The text of every statement of the _pg implementation, for its tables see migrations/pg. Arrays are columns:
// unnest() turns them into rows.
#pragma once

#include "libs/sql/pg_link.hpp"

namespace tern::storage::pg_text {

using sql::pg_statement;

inline constexpr pg_statement acquire{
    "acquire",
    "update fence set epoch = $1::bigint, session = $2::bigint, term = $3::bigint, system = $4::bigint"
    " where id = 1 and epoch <= $1 returning 1"};
// After a new connection: still ours (one of the sessions we ever asked for)? A new session number also stops what an
// older connection of ours may still have under way.
inline constexpr pg_statement verify{
    "verify",
    "update fence set session = $2::bigint, term = $3::bigint, system = $4::bigint"
    " where id = 1 and epoch = $1::bigint and session = any($5::bigint[]) returning 1"};
inline constexpr pg_statement check_fence{"check_fence", "select fence_check($1::bigint, $2::bigint)"};

// The group commit of messages: messages, changed conversations, outbox entries added and (as runs) done, the fence.
inline constexpr pg_statement chat{
    "chat",
    "with m as (insert into message (slot, conv_hi, conv_lo, mid, sender, send_key, timestamp_ns, body,"
    " flags, target) select slot, hi, lo, mid, sender, send_key, at, body, flags, nullif(target, 0) from "
    "unnest($3::int[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],"
    " $8::bytea[], $9::bigint[], $10::bytea[], $31::smallint[], $32::bigint[])"
    " as u (slot, hi, lo, mid, sender, send_key, at, body, flags, target)),"
    " c as (insert into conversation (slot, conv_hi, conv_lo, a, b, head, a_bits, b_bits, relation_version)"
    " select * from unnest($11::int[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[],"
    " $17::int[], $18::int[], $19::bigint[])"
    " on conflict (slot, conv_hi, conv_lo) do update set head = excluded.head, a_bits = excluded.a_bits,"
    " b_bits = excluded.b_bits, relation_version = excluded.relation_version),"
    " o as (insert into outbox (entry, slot, conv_hi, conv_lo, recipient, kind, mid, payload, accepted_ns)"
    " select * from unnest($20::bigint[], $21::int[], $22::bigint[], $23::bigint[], $24::bigint[], $25::smallint[],"
    " $26::bigint[], $27::bytea[], $28::bigint[])),"
    " d as (delete from outbox o using unnest($29::bigint[], $30::bigint[]) as r (first, last)"
    " where o.entry between r.first and r.last)"
    " select fence_check($1::bigint, $2::bigint)"};

// The message whose key u names. By bounds, and in the order of message_send_key: equality would be planned by the
// primary key just as well, which reads the whole conversation.
#define TERN_KEY_OF_MESSAGE "(m.slot, m.conv_hi, m.conv_lo, m.sender, m.send_key)"
#define TERN_KEY_ASKED "(u.slot, u.hi, u.lo, u.sender, u.send_key)"
#define TERN_MESSAGE_OF_KEY                                                                       \
  "join lateral (select m.* from message m where m.send_key is not null and " TERN_KEY_OF_MESSAGE \
  " >= " TERN_KEY_ASKED " and " TERN_KEY_OF_MESSAGE " <= " TERN_KEY_ASKED                         \
  " order by m.slot, m.conv_hi, m.conv_lo, m.sender, m.send_key limit 1) k on true"

inline constexpr pg_statement release_keys{
    "release_keys",
    "update message m set send_key = null from unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[],"
    " $5::bytea[]) as u (slot, hi, lo, sender, send_key) " TERN_MESSAGE_OF_KEY
    " where m.slot = k.slot and m.conv_hi = k.conv_hi and m.conv_lo = k.conv_lo and m.mid = k.mid"};

inline constexpr pg_statement put_roster{
    "put_roster",
    "insert into roster (slot, account, other, version, mine, theirs)"
    " select * from unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[], $5::int[], $6::int[])"
    " on conflict (slot, account, other) do update set version = excluded.version, mine = excluded.mine,"
    " theirs = excluded.theirs where excluded.version > roster.version"};

// kind: 0 mark, 1 advance, 2 clear. Each row at most once per execution.
inline constexpr pg_statement put_cursors{
    "put_cursors",
    "with u as (select * from unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],"
    " $7::smallint[], $8::bigint[]) as u (slot, account, hi, lo, other, delivered, kind, stamp)),"
    " old as (update cursor c set delivered = case when u.kind > 0 then greatest(c.delivered, u.delivered)"
    " when c.dirty_since is null then u.delivered else least(c.delivered, u.delivered) end,"
    " dirty_since = case u.kind when 0 then coalesce(c.dirty_since, u.stamp) when 1 then c.dirty_since end"
    " from u where c.slot = u.slot and c.account = u.account and c.conv_hi = u.hi and c.conv_lo = u.lo)"
    " insert into cursor (slot, account, conv_hi, conv_lo, other, delivered, dirty_since)"
    " select slot, account, hi, lo, other, delivered, case when kind = 0 then stamp end from u where not exists"
    " (select from cursor c where c.slot = u.slot and c.account = u.account and c.conv_hi = u.hi and c.conv_lo = "
    "u.lo)"};

inline constexpr pg_statement put_notices{
    "put_notices",
    "insert into notice (slot, account, id, body)"
    " select * from unnest($1::int[], $2::bigint[], $3::bigint[], $4::bytea[]) on conflict do nothing"};
inline constexpr pg_statement drop_notices{
    "drop_notices",
    "delete from notice n using unnest($1::int[], $2::bigint[], $3::bigint[]) as u (slot, account, id)"
    " where n.slot = u.slot and n.account = u.account and n.id = u.id"};
inline constexpr pg_statement put_accounts{
    "put_accounts",
    "insert into account (slot, id, name_key, domain, password_hash, created_ns)"
    " select * from unnest($1::int[], $2::bigint[], $3::bytea[], $4::text[], $5::text[], $6::bigint[])"
    " on conflict do nothing returning id"};
inline constexpr pg_statement put_tokens{
    "put_tokens",
    "insert into token (slot, account, hash, expires_ns)"
    " select * from unnest($1::int[], $2::bigint[], $3::bytea[], $4::bigint[]) on conflict do nothing"};
inline constexpr pg_statement take_tokens{
    "take_tokens",
    "delete from token t using unnest($1::int[], $2::bigint[], $3::bytea[]) as u (slot, account, hash)"
    " where t.slot = u.slot and t.account = u.account and t.hash = u.hash returning t.account, t.hash, t.expires_ns"};

// The head is what the row says or the newest message, whichever is later.
#define TERN_HEAD_OF_CONVERSATION                                                                 \
  "greatest(c.head, (select h.mid from message h where h.slot = c.slot and h.conv_hi = c.conv_hi" \
  " and h.conv_lo = c.conv_lo order by h.mid desc limit 1))"

inline constexpr pg_statement load{
    "load", "select u.n, c.a, c.b, " TERN_HEAD_OF_CONVERSATION
            ", c.a_bits, c.b_bits, c.relation_version"
            " from unnest($1::int[], $2::bigint[], $3::bigint[]) with ordinality as u (slot, hi, lo, n)"
            " join conversation c on c.slot = u.slot and c.conv_hi = u.hi and c.conv_lo = u.lo"};
inline constexpr pg_statement find_keys{
    "find_keys",
    "select u.n, k.mid, k.timestamp_ns from unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[])"
    " with ordinality as u (slot, hi, lo, sender, send_key, n) " TERN_MESSAGE_OF_KEY};
inline constexpr pg_statement scan_outbox{
    "scan_outbox",
    "select o.entry, o.recipient, o.conv_hi, o.conv_lo, o.kind, o.mid, o.payload, o.accepted_ns,"
    " m.mid, m.sender, m.timestamp_ns, m.body, m.flags, m.target"
    " from (select * from outbox where entry > $1::bigint order by entry limit $2::bigint) o"
    " left join message m on o.kind = 1 and m.slot = o.slot and m.conv_hi = o.conv_hi and m.conv_lo = o.conv_lo"
    " and m.mid = o.mid order by o.entry"};

inline constexpr pg_statement get_account{"get_account",
                                          "select name_key, domain, password_hash, created_ns from account where "
                                          "slot = $1::bigint::int and id = $2::bigint"};
inline constexpr pg_statement get_roster{
    "get_roster",
    "select other, version, mine, theirs from roster where slot = $1::bigint::int and account = $2::bigint"};
inline constexpr pg_statement get_dirty{
    "get_dirty",
    "select conv_hi, conv_lo, other, delivered from cursor where slot = $1::bigint::int and account = $2::bigint"
    " and dirty_since is not null order by dirty_since limit $3::bigint"};
// Ids are unsigned: those stored as negative come last.
inline constexpr pg_statement get_notices{
    "get_notices",
    "select id, body from notice where slot = $1::bigint::int and account = $2::bigint"
    " order by id < 0, id limit $3::bigint"};

// What a stored body holds at least (sealing/row_cipher.hpp: sealed_overhead).
#define TERN_PLAIN_SIZE "greatest(octet_length(q.body) - 37, 0)"

// Pages: slot, conv_hi, conv_lo, from mid, sender to skip, limit, bytes, flags to leave out; newest first: not after.
// `before`: bytes of
// the earlier rows of the page; the caller cuts at the exact byte.
inline constexpr pg_statement page_forward{
    "page_forward",
    "select c.a, c.b, " TERN_HEAD_OF_CONVERSATION
    ", c.a_bits, c.b_bits, c.relation_version,"
    " p.mid, p.sender, p.timestamp_ns, p.body, p.flags, p.target from conversation c left join lateral (select * "
    "from (select q.*,"
    " sum(" TERN_PLAIN_SIZE ") over (order by q.mid) - " TERN_PLAIN_SIZE
    " as before from (select mid, sender,"
    " timestamp_ns, body, flags, target from message m where m.slot = $1::bigint::int and m.conv_hi = $2::bigint"
    " and m.conv_lo = $3::bigint and m.mid > $4::bigint and ($5::bigint = 0 or m.sender <> $5)"
    " and m.flags::bigint & $8::bigint = 0 order by m.mid limit $6::bigint) q)"
    " r where before < $7::bigint) p on true where c.slot = $1::bigint::int and c.conv_hi = $2::bigint"
    " and c.conv_lo = $3::bigint order by p.mid"};
inline constexpr pg_statement page_backward{
    "page_backward",
    "select c.a, c.b, " TERN_HEAD_OF_CONVERSATION
    ", c.a_bits, c.b_bits, c.relation_version,"
    " p.mid, p.sender, p.timestamp_ns, p.body, p.flags, p.target from conversation c left join lateral (select * "
    "from (select q.*,"
    " sum(" TERN_PLAIN_SIZE ") over (order by q.mid desc) - " TERN_PLAIN_SIZE
    " as before from (select mid, sender,"
    " timestamp_ns, body, flags, target from message m where m.slot = $1::bigint::int and m.conv_hi = $2::bigint"
    " and m.conv_lo = $3::bigint and m.mid <= $4::bigint and ($5::bigint = 0 or m.sender <> $5)"
    " and m.flags::bigint & $8::bigint = 0 and m.timestamp_ns <= $9::bigint"
    " order by m.mid desc limit $6::bigint) q) r where before < $7::bigint) p on true"
    " where c.slot = $1::bigint::int and c.conv_hi = $2::bigint and c.conv_lo = $3::bigint order by p.mid desc"};

#undef TERN_MESSAGE_OF_KEY
#undef TERN_KEY_ASKED
#undef TERN_KEY_OF_MESSAGE
#undef TERN_PLAIN_SIZE
#undef TERN_HEAD_OF_CONVERSATION

}  // namespace tern::storage::pg_text
