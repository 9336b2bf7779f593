#include "services/storage/erasure/erasure_job.hpp"

#include <algorithm>
#include <optional>
#include <sstream>

#include "services/storage/erasure/erased_account.hpp"
#include "services/storage/repositories/message_flags.hpp"
#include "services/storage/repositories/store.hpp"

namespace tern::storage {
namespace {

using sql::as_int;
using sql::as_text;

constexpr const char* through = "done";

std::string to_text(const std::map<std::string, uint64_t>& counts) {
  std::string out;
  for (const auto& [kind, count] : counts) out += (out.empty() ? "" : " ") + kind + "=" + std::to_string(count);
  return out;
}

std::map<std::string, uint64_t> to_counts(const std::string& text) {
  std::map<std::string, uint64_t> out;
  std::istringstream in(text);
  for (std::string word; in >> word;) {
    const auto at = word.find('=');
    if (at != std::string::npos) out[word.substr(0, at)] = std::strtoull(word.c_str() + at + 1, nullptr, 10);
  }
  return out;
}

int64_t slot_number(uint64_t id) { return slot_of(id); }

}  // namespace

template <class Out, class Work>
result<Out> erasure_job::transaction(Work work) {
  if (auto begun = database_.begin(); !begun) return begun.error();
  const auto run = [&]() -> result<Out> {
    // A process that was killed may have left a step that the server has not given up yet: its counts must be seen.
    if (database_.dialect() == sql::dialect::pg) {
      if (auto alone = database_.query("select pg_advisory_xact_lock($1)", {id_}); !alone) return alone.error();
    }
    auto moving = slots_on_the_move(database_);
    if (!moving) return moving.error();
    moving_ = std::move(*moving);
    return work();
  };
  auto done = run();
  if (!done) {
    database_.rollback();
    return done;
  }
  if (auto committed = database_.commit(); !committed) return committed.error();
  return done;
}

result<void> erasure_job::must_stay(int64_t slot) const {
  if (!in_ranges(moving_, slot)) return {};
  return error{errc::unavailable, "slot " + std::to_string(slot) + " is on the move between shards"};
}

result<erasure_record> erasure_job::read() {
  auto rows = database_.query(
      "select state, begun_ns, ended_ns, round, position, destroyed from erasure where account = $1", {id_});
  if (!rows) return rows.error();
  erasure_record out;
  if (rows->empty()) return out;
  const auto& row = rows->front();
  out.state = static_cast<erasure_state>(as_int(row[0]));
  out.begun_ns = as_int(row[1]);
  out.ended_ns = as_int(row[2]);
  out.round = static_cast<uint32_t>(as_int(row[3]));
  out.position = as_text(row[4]);
  out.destroyed = to_counts(as_text(row[5]));
  return out;
}

result<void> erasure_job::write(const erasure_record& record) {
  auto done = database_.query(
      "insert into erasure (account, state, begun_ns, ended_ns, round, position, destroyed)"
      " values ($1, $2, $3, $4, $5, $6, $7) on conflict (account) do update set state = excluded.state,"
      " begun_ns = excluded.begun_ns, ended_ns = excluded.ended_ns, round = excluded.round,"
      " position = excluded.position, destroyed = excluded.destroyed",
      {id_, static_cast<int64_t>(record.state), record.begun_ns, record.ended_ns, static_cast<int64_t>(record.round),
       record.position, to_text(record.destroyed)});
  return done ? result<void>{} : result<void>{done.error()};
}

result<void> erasure_job::count(erasure_record& record, const std::string& kind, const std::string& statement,
                                const std::vector<sql::value>& with, uint64_t& changed) {
  auto done = database_.query(statement, with);
  if (!done) return done.error();
  if (const auto rows = database_.changed(); rows > 0) {
    record.destroyed[kind] += rows;
    changed += rows;
  }
  return {};
}

result<erasure_record> erasure_job::look() { return read(); }

result<std::optional<std::string>> erasure_job::domain() {
  auto rows =
      database_.query("select domain from account where slot = $1 and id = $2", {slot_number(account_.value), id_});
  if (!rows) return rows.error();
  if (rows->empty()) return std::optional<std::string>{};
  return std::optional(as_text(rows->front()[0]));
}

result<erasure_record> erasure_job::begin(bool home) {
  return transaction<erasure_record>([&]() -> result<erasure_record> {
    if (home) {
      auto found = domain();
      if (!found) return found.error();
      if (!*found) return error{errc::no_such_object, "there is no such account"};
    }
    auto record = read();
    if (!record) return record;
    if (record->state == erasure_state::none) {
      record->state = erasure_state::erasing;
      record->begun_ns = now_;
    }
    uint64_t changed = 0;
    if (auto done = account_row(*record, changed); !done) return done.error();
    if (auto done = write(*record); !done) return done.error();
    return record;
  });
}

/// The row stays, so that its id is never given again.
result<void> erasure_job::account_row(erasure_record& record, uint64_t& changed) {
  const int64_t slot = slot_number(account_.value);
  auto here = domain();
  if (!here) return here.error();
  if (*here) {
    if (auto stays = must_stay(slot); !stays) return stays;
  }
  if (auto done = count(record, "tokens", "delete from token where slot = $1 and account = $2", {slot, id_}, changed);
      !done) {
    return done;
  }
  return count(record, "accounts",
               "update account set password_hash = '', name_key = $1, profile = $2"
               " where slot = $3 and id = $4 and (password_hash <> '' or length(profile) > 0)",
               {sql::blob{erased_name_key(account_)}, sql::blob{}, slot, id_}, changed);
}

result<std::vector<erasure_pair>> erasure_job::relations(size_t limit) {
  auto rows = database_.query(
      "select conv_hi, conv_lo, a, b from conversation where (a = $1 and a <> 0 or b = $1 and b <> 0)"
      " and (a_bits <> 0 or b_bits <> 0) limit " +
          std::to_string(limit),
      {id_});
  if (!rows) return rows.error();
  std::vector<erasure_pair> out;
  for (const auto& row : *rows) {
    const auto other = as_int(row[2]) == id_ ? as_int(row[3]) : as_int(row[2]);
    out.push_back({{static_cast<uint64_t>(as_int(row[0])), static_cast<uint64_t>(as_int(row[1]))},
                   {static_cast<uint64_t>(other)}});
  }
  return out;
}

result<std::vector<erasure_room>> erasure_job::rooms() {
  auto rows = database_.query("select room, bits from account_room where slot = $1 and account = $2",
                              {slot_number(account_.value), id_});
  if (!rows) return rows.error();
  std::vector<erasure_room> out;
  for (const auto& row : *rows) {
    out.push_back({{static_cast<uint64_t>(as_int(row[0]))}, static_cast<uint32_t>(as_int(row[1]))});
  }
  return out;
}

result<void> erasure_job::own_rows(erasure_record& record, uint64_t& changed) {
  if (auto done = account_row(record, changed); !done) return done;
  const int64_t slot = slot_number(account_.value);
  const struct {
    const char* kind;
    const char* statement;
    bool by_slot;
  } all[] = {
      {"notices", "delete from notice where slot = $1 and account = $2", true},
      {"relations", "delete from roster where slot = $1 and account = $2", true},
      {"positions", "delete from cursor where slot = $1 and account = $2", true},
      {"relations_of_others", "delete from roster where other = $1", false},
      {"outbox", "delete from outbox where recipient = $1", false},
  };
  for (const auto& one : all) {
    const auto with = one.by_slot ? std::vector<sql::value>{slot, id_} : std::vector<sql::value>{id_};
    if (auto done = count(record, one.kind, one.statement, with, changed); !done) return done;
  }
  return {};
}

/// Conversations of the account in the order of their keys, from `after` on: pairs by index, rooms as told.
result<std::vector<erasure_job::place>> erasure_job::talks(const place& after, const std::vector<room_id>& rooms,
                                                           size_t limit) {
  auto rows = database_.query(
      "select slot, conv_hi, conv_lo from conversation where (a = $1 and a <> 0 or b = $1 and b <> 0)"
      " and (slot, conv_hi, conv_lo) >= ($2, $3, $4) order by slot, conv_hi, conv_lo limit " +
          std::to_string(limit),
      {id_, after.slot, after.hi, after.lo});
  if (!rows) return rows.error();
  std::vector<place> out;
  for (const auto& row : *rows) out.push_back({as_int(row[0]), as_int(row[1]), as_int(row[2])});
  const bool cut = out.size() == limit;
  const place last = cut ? out.back() : place{};
  for (const auto room : rooms) {
    const place at{slot_number(room.value), static_cast<int64_t>(room.value), 0};
    if (at < place{after.slot, after.hi, after.lo}) continue;
    if (!cut || at < last) out.push_back(at);
  }
  std::sort(out.begin(), out.end());
  if (out.size() > limit) out.resize(limit);
  return out;
}

/// Becomes a tombstone, as a recalled one: its place in the order stays, for those who count on it.
result<bool> erasure_job::talk(erasure_progress& out, place& at, size_t limit) {
  auto found = database_.query(
      "select mid, sender, flags from message where slot = $1 and conv_hi = $2 and conv_lo = $3 and mid > $4"
      " order by mid limit " +
          std::to_string(limit),
      {at.slot, at.hi, at.lo, at.mid});
  if (!found) return found.error();
  if (found->empty()) return true;
  if (auto stays = must_stay(at.slot); !stays) return stays.error();
  out.looked += found->size();
  const int64_t before = at.mid;
  at.mid = as_int(found->back()[0]);
  const bool any = std::any_of(found->begin(), found->end(), [&](const auto& row) {
    return as_int(row[1]) == id_ && (as_int(row[2]) & flag_tombstone) == 0;
  });
  if (any) {
    const auto flag = std::to_string(static_cast<int>(flag_tombstone));
    auto done = count(out.record, at.lo == 0 ? "room_messages" : "messages",
                      "update message set body = $1, flags = flags | " + flag +
                          " where slot = $2 and conv_hi = $3 and conv_lo = $4 and mid > $5 and mid <= $6"
                          " and sender = $7 and flags & " +
                          flag + " = 0",
                      {sql::blob{}, at.slot, at.hi, at.lo, before, at.mid, id_}, out.changed);
    if (!done) return done.error();
  }
  return found->size() < limit;
}

/// The account is in the room's row no more, and of a room it founded, which is cancelled, the texts go.
result<void> erasure_job::founded(erasure_record& record, room_id room, uint64_t& changed) {
  const auto id = static_cast<int64_t>(room.value);
  const int64_t slot = slot_number(room.value);
  if (auto done =
          count(record, "places_in_rooms", "delete from member where slot = $1 and room = $2 and account = $3",
                {slot, id, id_}, changed);
      !done) {
    return done;
  }
  return count(record, "rooms",
               "update room set bean = $1 where slot = $2 and id = $3 and founder = $4 and cancelled = 1"
               " and length(bean) > 0",
               {sql::blob{}, slot, id, id_}, changed);
}

result<void> erasure_job::messages(erasure_progress& out, const std::vector<room_id>& rooms, size_t limit) {
  place at;
  std::istringstream text(out.record.position);
  if (!(text >> at.slot >> at.hi >> at.lo >> at.mid)) at = {};
  const auto position = [&at] {
    return std::to_string(at.slot) + " " + std::to_string(at.hi) + " " + std::to_string(at.lo) + " " +
           std::to_string(at.mid);
  };
  constexpr size_t talks_most = 64;
  auto found = talks(at, rooms, talks_most);
  if (!found) return found.error();
  for (const auto& next : *found) {
    if (next.slot != at.slot || next.hi != at.hi || next.lo != at.lo) at = next;
    for (;;) {
      if (out.looked >= limit) {
        out.record.position = position();
        return {};
      }
      auto over = talk(out, at, limit - out.looked);
      if (!over) return over.error();
      if (*over) break;
    }
    if (at.lo == 0) {
      if (auto done = founded(out.record, {static_cast<uint64_t>(at.hi)}, out.changed); !done) return done;
    }
  }
  if (found->size() == talks_most) {
    out.record.position = position();
    return {};
  }
  out.record.position = through;
  return {};
}

result<erasure_progress> erasure_job::destroy(uint32_t round, std::vector<room_id> rooms, size_t limit) {
  return transaction<erasure_progress>([&]() -> result<erasure_progress> {
    erasure_progress out;
    auto record = read();
    if (!record) return record.error();
    if (record->state == erasure_state::none) return error{errc::no_such_object, "it has not begun in this shard"};
    out.record = std::move(*record);
    if (out.record.round < round) {
      out.record.round = round;
      out.record.position.clear();
    }
    if (out.record.position.empty()) {
      if (auto done = own_rows(out.record, out.changed); !done) return done.error();
    }
    if (out.record.position != through) {
      if (auto done = messages(out, rooms, limit); !done) return done.error();
      if (auto done = write(out.record); !done) return done.error();
    }
    out.done = out.record.position == through;
    auto rows = database_.query(
        "select count(*) from conversation c join outbox o on o.conv_hi = c.conv_hi and o.conv_lo = c.conv_lo"
        " where c.a = $1 and c.a <> 0 or c.b = $1 and c.b <> 0",
        {id_});
    if (!rows) return rows.error();
    out.waiting = static_cast<uint64_t>(as_int(rows->front()[0]));
    return out;
  });
}

result<erasure_record> erasure_job::finish() {
  return transaction<erasure_record>([&]() -> result<erasure_record> {
    auto record = read();
    if (!record || record->state != erasure_state::erasing) return record;
    uint64_t changed = 0;
    if (auto done = own_rows(*record, changed); !done) return done.error();
    if (auto done = count(*record, "rooms_listed", "delete from account_room where slot = $1 and account = $2",
                          {slot_number(account_.value), id_}, changed);
        !done) {
      return done.error();
    }
    record->state = erasure_state::erased;
    record->ended_ns = now_;
    record->position.clear();
    if (auto done = write(*record); !done) return done.error();
    return record;
  });
}

}  // namespace tern::storage
