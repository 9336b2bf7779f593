// The text of every statement of the _sqlite implementation, for its tables see migrations/sqlite. SQLite numbers
// parameters by their first use: $1, $2, … must appear in that order.
#pragma once

namespace tern::storage::sqlite_text {

inline constexpr const char* get_fence = "select epoch, session from fence where id = 1";
inline constexpr const char* set_fence = "update fence set epoch = $1, session = $2 where id = 1";

// The head is what the row says or the newest message, whichever is later: whoever deletes messages writes the row
// first.
#define TERN_HEAD                                                                                     \
  "max(c.head, coalesce((select h.mid from message h where h.slot = c.slot and h.conv_hi = c.conv_hi" \
  " and h.conv_lo = c.conv_lo order by h.mid desc limit 1), 0))"
inline constexpr const char* load_conversation = "select c.a, c.b, " TERN_HEAD
                                                 ", c.a_bits, c.b_bits, c.relation_version from conversation c"
                                                 " where c.slot = $1 and c.conv_hi = $2 and c.conv_lo = $3";
inline constexpr const char* find_key =
    "select mid, timestamp_ns from message"
    " where slot = $1 and conv_hi = $2 and conv_lo = $3 and sender = $4 and send_key = $5";
inline constexpr const char* scan_outbox =
    "select o.entry, o.recipient, o.conv_hi, o.conv_lo, o.kind, o.mid, o.payload, o.accepted_ns,"
    " m.mid, m.sender, m.timestamp_ns, m.body, m.flags, m.target from outbox o left join message m on o.kind = 1"
    " and m.slot = o.slot and m.conv_hi = o.conv_hi and m.conv_lo = o.conv_lo and m.mid = o.mid"
    " where o.entry > $1 order by o.entry limit $2";

inline constexpr const char* release_key =
    "update message set send_key = null"
    " where slot = $1 and conv_hi = $2 and conv_lo = $3 and sender = $4 and send_key = $5";
inline constexpr const char* put_message =
    "insert into message (slot, conv_hi, conv_lo, mid, sender, send_key, timestamp_ns, body, flags, target)"
    " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
inline constexpr const char* put_conversation =
    "insert into conversation (slot, conv_hi, conv_lo, a, b, head, a_bits, b_bits, relation_version)"
    " values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do update set head = excluded.head,"
    " a_bits = excluded.a_bits, b_bits = excluded.b_bits, relation_version = excluded.relation_version";
inline constexpr const char* put_outbox =
    "insert into outbox (entry, slot, conv_hi, conv_lo, recipient, kind, mid, payload, accepted_ns)"
    " values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
inline constexpr const char* drop_outbox = "delete from outbox where entry = $1";
inline constexpr const char* put_roster =
    "insert into roster (slot, account, other, version, mine, theirs) values ($1, $2, $3, $4, $5, $6)"
    " on conflict do update set version = excluded.version, mine = excluded.mine, theirs = excluded.theirs"
    " where excluded.version > version";

// A cursor's parameters: slot, account, conv_hi, conv_lo, other, delivered; mark: the stamp too.
inline constexpr const char* mark_cursor =
    "insert into cursor (slot, account, conv_hi, conv_lo, other, delivered, dirty_since)"
    " values ($1, $2, $3, $4, $5, $6, $7) on conflict do update set"
    " delivered = case when dirty_since is null then excluded.delivered else min(delivered, excluded.delivered) end,"
    " dirty_since = coalesce(dirty_since, excluded.dirty_since)";
inline constexpr const char* advance_cursor =
    "insert into cursor (slot, account, conv_hi, conv_lo, other, delivered) values ($1, $2, $3, $4, $5, $6)"
    " on conflict do update set delivered = max(delivered, excluded.delivered)";
inline constexpr const char* clear_cursor =
    "insert into cursor (slot, account, conv_hi, conv_lo, other, delivered) values ($1, $2, $3, $4, $5, $6)"
    " on conflict do update set delivered = max(delivered, excluded.delivered), dirty_since = null";

inline constexpr const char* put_notice =
    "insert into notice (slot, account, id, body) values ($1, $2, $3, $4) on conflict do nothing";
inline constexpr const char* drop_notice = "delete from notice where slot = $1 and account = $2 and id = $3";
inline constexpr const char* put_account =
    "insert into account (slot, id, name_key, domain, password_hash, created_ns) values ($1, $2, $3, $4, $5, $6)"
    " on conflict do nothing returning 1";
inline constexpr const char* put_token =
    "insert into token (slot, account, hash, expires_ns) values ($1, $2, $3, $4) on conflict do nothing";
inline constexpr const char* take_token =
    "delete from token where slot = $1 and account = $2 and hash = $3 returning expires_ns";

inline constexpr const char* get_account =
    "select name_key, domain, password_hash, created_ns from account where slot = $1 and id = $2";
inline constexpr const char* get_roster =
    "select other, version, mine, theirs from roster where slot = $1 and account = $2 order by other";
inline constexpr const char* get_dirty =
    "select conv_hi, conv_lo, other, delivered from cursor"
    " where slot = $1 and account = $2 and dirty_since is not null order by dirty_since limit $3";
// Ids are unsigned: those stored as negative come last.
inline constexpr const char* get_notices =
    "select id, body from notice where slot = $1 and account = $2 order by id < 0, id limit $3";

// Parameters of both pages: slot, conv_hi, conv_lo, from mid, sender to skip, flags to leave out, (newest
// first: not after,) limit.
inline constexpr const char* page_forward =
    "select c.a, c.b, " TERN_HEAD
    ", c.a_bits, c.b_bits, c.relation_version, m.mid, m.sender, m.timestamp_ns, m.body, m.flags, m.target"
    " from conversation c left join (select mid, sender, timestamp_ns, body, flags, target from message"
    " where slot = $1 and conv_hi = $2 and conv_lo = $3 and mid > $4 and ($5 = 0 or sender <> $5)"
    " and flags & $6 = 0 order by mid limit $7) m"
    " where c.slot = $1 and c.conv_hi = $2 and c.conv_lo = $3 order by m.mid";
inline constexpr const char* page_backward =
    "select c.a, c.b, " TERN_HEAD
    ", c.a_bits, c.b_bits, c.relation_version, m.mid, m.sender, m.timestamp_ns, m.body, m.flags, m.target"
    " from conversation c left join (select mid, sender, timestamp_ns, body, flags, target from message"
    " where slot = $1 and conv_hi = $2 and conv_lo = $3 and mid <= $4 and ($5 = 0 or sender <> $5)"
    " and flags & $6 = 0 and timestamp_ns <= $7 order by mid desc limit $8) m"
    " where c.slot = $1 and c.conv_hi = $2 and c.conv_lo = $3 order by m.mid desc";

#undef TERN_HEAD

}  // namespace tern::storage::sqlite_text
