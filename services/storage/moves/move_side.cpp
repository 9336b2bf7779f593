#include "services/storage/moves/move_side.hpp"

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>

namespace tern::storage {
namespace {

constexpr const char* outbox_columns = "entry, conv_hi, conv_lo, recipient, mid, accepted_ns, slot, kind, payload";
constexpr size_t outbox_width = 9;
constexpr const char* range_columns =
    "first, last, state, before, move, epoch, mover, seen, phase, tab, place, rows_done, bytes_done, rows_all";

/// Few different statements, so that they stay prepared.
size_t chunk_of(size_t left) {
  for (const size_t size : {256U, 64U, 16U, 4U}) {
    if (left >= size) return size;
  }
  return 1;
}

/// "(a, b) > ($1, $2)" for the whole key of a table.
std::string compare(const moved_table& table, const char* how, size_t first) {
  const auto keys = static_cast<size_t>(table.keys);
  return "(" + column_list(table, keys) + ") " + how + " (" + parameters(first, keys) + ")";
}

/// A parameter of key column `index`, with its type where PostgreSQL cannot know it.
std::string key_parameter(const moved_table& table, size_t index, size_t number, bool pg) {
  const auto text = "$" + std::to_string(number);
  if (!pg) return text;
  if (index == 0) return text + "::int";
  return text + (table.bytes_last && index + 1 == static_cast<size_t>(table.keys) ? "::bytea" : "::bigint");
}

/// "values ($1, $2), ($3, $4)" of so many keys.
std::string key_values(const moved_table& table, size_t count, bool pg) {
  std::string out = "values ";
  size_t number = 1;
  for (size_t i = 0; i < count; ++i) {
    out += i == 0 ? "(" : ", (";
    for (size_t column = 0; column < static_cast<size_t>(table.keys); ++column) {
      out += (column == 0 ? "" : ", ") + key_parameter(table, column, number++, pg);
    }
    out += ')';
  }
  return out;
}

std::string names_of_keys(const moved_table& table) {
  std::string out;
  for (int i = 0; i < table.keys; ++i) out += (i == 0 ? "c" : ", c") + std::to_string(i);
  return out;
}

std::string key_match(const moved_table& table) {
  std::string out;
  for (int i = 0; i < table.keys; ++i) {
    out += std::string(i == 0 ? "" : " and ") + "t." + table.columns[static_cast<size_t>(i)] + " = v.c" +
           std::to_string(i);
  }
  return out;
}

std::vector<sql::value> flat(const std::vector<row_key>& keys, size_t from, size_t count) {
  std::vector<sql::value> params;
  for (size_t i = from; i < from + count; ++i) params.insert(params.end(), keys[i].begin(), keys[i].end());
  return params;
}

row_key key_in_log(const moved_table& table, const sql::row& line) {
  row_key key{line[2]};
  const int numbers = table.keys - 1 - (table.bytes_last ? 1 : 0);
  for (int i = 0; i < numbers; ++i) key.push_back(line[3 + static_cast<size_t>(i)]);
  if (table.bytes_last) key.push_back(line[6]);
  return key;
}

}  // namespace

result<std::unique_ptr<move_side>> move_side::open(const std::string& dsn) {
  auto made = sql::open(dsn);
  if (!made) return made.error();
  return std::make_unique<move_side>(std::move(*made));
}

// ---- statements --------------------------------------------------------------------------------------------------

result<void> move_side::begin(uint64_t epoch) {
  auto begun = database_->begin();
  if (!begun) {
    if (auto again = database_->reopen(); !again) return again;
    begun = database_->begin();
    if (!begun) return begun;
  }
  if (epoch == 0) return {};
  auto fence = database_->query(pg() ? "select epoch from fence where id = 1 for share"
                                     : "select epoch from fence where id = 1");
  if (fence && fence->size() == 1 && static_cast<uint64_t>(sql::as_int(fence->front()[0])) == epoch) return {};
  database_->rollback();
  return fence ? result<void>{error{errc::stale_epoch, "another writer owns the shard"}}
               : result<void>{fence.error()};
}

result<std::vector<sql::row>> move_side::read(const std::string& text, const std::vector<sql::value>& params) {
  return database_->query(text, params);
}

result<void> move_side::run(const std::string& text, const std::vector<sql::value>& params) {
  auto done = database_->query(text, params);
  return done ? result<void>{} : result<void>{done.error()};
}

// ---- rows --------------------------------------------------------------------------------------------------------

result<std::vector<sql::row>> move_side::page(const moved_table& table, slot_range of, const row_key& after,
                                              size_t rows) {
  // Parameters are numbered in the order of their first use: SQLite counts them like that.
  std::vector<sql::value> params{of.last};
  std::string where = "slot <= $1 and ";
  if (after.empty()) {
    where += "slot >= $2";
    params.emplace_back(of.first);
  } else {
    where += compare(table, ">", 2);
    params.insert(params.end(), after.begin(), after.end());
  }
  return read("select " + column_list(table, table.columns.size()) + " from " + table.name + " where " + where +
                  " order by " + column_list(table, static_cast<size_t>(table.keys)) + " limit " +
                  std::to_string(rows),
              params);
}

result<std::vector<sql::row>> move_side::between(const moved_table& table, slot_range of, const row_key& after,
                                                 const row_key& upto) {
  std::vector<sql::value> params{of.first, of.last};
  std::string where = "slot >= $1 and slot <= $2";
  if (!after.empty()) {
    where += " and " + compare(table, ">", params.size() + 1);
    params.insert(params.end(), after.begin(), after.end());
  }
  if (!upto.empty()) {
    where += " and " + compare(table, "<=", params.size() + 1);
    params.insert(params.end(), upto.begin(), upto.end());
  }
  return read("select " + column_list(table, table.columns.size()) + " from " + table.name + " where " + where +
                  " order by " + column_list(table, static_cast<size_t>(table.keys)),
              params);
}

result<std::vector<sql::row>> move_side::rows_of(const moved_table& table, const std::vector<row_key>& keys) {
  std::vector<sql::row> out;
  for (size_t at = 0; at < keys.size();) {
    const size_t count = chunk_of(keys.size() - at);
    auto rows = read("with v(" + names_of_keys(table) + ") as (" + key_values(table, count, pg()) + ") select " +
                         column_list(table, table.columns.size(), "t.") + " from v cross join " + table.name +
                         " t where " + key_match(table),
                     flat(keys, at, count));
    if (!rows) return rows.error();
    out.insert(out.end(), std::make_move_iterator(rows->begin()), std::make_move_iterator(rows->end()));
    at += count;
  }
  return out;
}

result<void> move_side::put_chunk(const moved_table& table, const sql::row* rows, size_t count) {
  const size_t width = table.columns.size();
  std::string text = std::string("insert into ") + table.name + " (" + column_list(table, width) + ") values ";
  std::vector<sql::value> params;
  for (size_t i = 0; i < count; ++i) {
    text += (i == 0 ? "(" : ", (") + parameters(i * width + 1, width) + ")";
    params.insert(params.end(), rows[i].begin(), rows[i].end());
  }
  const auto keys = static_cast<size_t>(table.keys);
  text += " on conflict (" + column_list(table, keys) + ") do update set ";
  for (size_t i = keys; i < width; ++i) {
    text += std::string(i == keys ? "" : ", ") + table.columns[i] + " = excluded." + table.columns[i];
  }
  return run(text, params);
}

/// A send key that a newer message took over may still be with the older one here, whose change is in the log: the
/// older ones of a page's keys lose theirs first.
result<void> move_side::put(const moved_table& table, const std::vector<sql::row>& rows) {
  if (table.tab == 3) {
    constexpr size_t mid = 3, sender = 4, key = 6;
    std::vector<const sql::row*> keyed;
    for (const auto& row : rows) {
      if (!std::holds_alternative<std::monostate>(row[key])) keyed.push_back(&row);
    }
    for (size_t at = 0; at < keyed.size();) {
      const size_t count = chunk_of(keyed.size() - at);
      std::string values;
      std::vector<sql::value> params;
      for (size_t i = at; i < at + count; ++i) {
        const auto& row = *keyed[i];
        const char* types[] = {"::int", "::bigint", "::bigint", "::bigint", "::bytea", "::bigint"};
        const sql::value parts[] = {row[0], row[1], row[2], row[sender], row[key], row[mid]};
        values += i == at ? "(" : ", (";
        for (size_t part = 0; part < 6; ++part) {
          params.push_back(parts[part]);
          values += (part == 0 ? "$" : ", $") + std::to_string(params.size()) + (pg() ? types[part] : "");
        }
        values += ')';
      }
      auto found =
          read("with v(c0, c1, c2, c3, c4, c5) as (values " + values +
                   ") select t.slot, t.conv_hi, t.conv_lo, t.mid from v cross join message t where t.slot = v.c0 "
                   "and t.conv_hi = v.c1 and t.conv_lo = v.c2 and t.sender = v.c3 and t.send_key = v.c4 and "
                   "t.send_key is not null and t.mid <> v.c5",
               params);
      if (!found) return found.error();
      for (const auto& other : *found) {
        auto cleared =
            run("update message set send_key = null where slot = $1 and conv_hi = $2 and conv_lo = $3 and "
                "mid = $4",
                other);
        if (!cleared) return cleared;
      }
      at += count;
    }
  }
  for (size_t at = 0; at < rows.size();) {
    const size_t count = chunk_of(rows.size() - at);
    if (auto done = put_chunk(table, rows.data() + at, count); !done) return done;
    at += count;
  }
  return {};
}

result<void> move_side::erase(const moved_table& table, const std::vector<row_key>& keys) {
  std::string where;
  for (int i = 0; i < table.keys; ++i) {
    where +=
        std::string(i == 0 ? "" : " and ") + table.columns[static_cast<size_t>(i)] + " = $" + std::to_string(i + 1);
  }
  for (const auto& key : keys) {
    if (auto done = run(std::string("delete from ") + table.name + " where " + where, key); !done) return done;
  }
  return {};
}

result<size_t> move_side::erase_some(const moved_table& table, slot_range of, size_t rows) {
  auto first = page(table, of, {}, rows);
  if (!first) return first.error();
  if (first->empty()) return size_t{0};
  const auto upto = key_of(table, first->back());
  std::vector<sql::value> params{of.first};
  params.insert(params.end(), upto.begin(), upto.end());
  auto done =
      run(std::string("delete from ") + table.name + " where slot >= $1 and " + compare(table, "<=", 2), params);
  if (!done) return done.error();
  return first->size();
}

result<int64_t> move_side::count(slot_range of) {
  int64_t sum = 0;
  for (const auto& table : moved_tables()) {
    auto rows = read(std::string("select count(*) from ") + table.name + " where slot >= $1 and slot <= $2",
                     {of.first, of.last});
    if (!rows) return rows.error();
    sum += sql::as_int(rows->front()[0]);
  }
  return sum;
}

// ---- the log -----------------------------------------------------------------------------------------------------

result<log_page> move_side::log(slot_range of, size_t entries) {
  auto rows = read(
      "select entry, tab, slot, k1, k2, k3, kb from move_log where slot >= $1 and slot <= $2 order by entry limit " +
          std::to_string(entries),
      {of.first, of.last});
  if (!rows) return rows.error();
  log_page out;
  std::map<int64_t, std::set<std::string>> seen;
  for (const auto& line : *rows) {
    out.entries.push_back(sql::as_int(line[0]));
    const int64_t tab = sql::as_int(line[1]);
    const auto* table = find_moved_table(tab);
    if (table == nullptr) return error{errc::internal, "unknown table in move_log"};
    auto key = key_in_log(*table, line);
    if (seen[tab].insert(write_place(key)).second) out.keys[tab].push_back(std::move(key));
  }
  return out;
}

result<void> move_side::drop_log(const std::vector<int64_t>& entries) {
  for (size_t at = 0; at < entries.size();) {
    const size_t count = chunk_of(entries.size() - at);
    std::vector<sql::value> params(entries.begin() + static_cast<std::ptrdiff_t>(at),
                                   entries.begin() + static_cast<std::ptrdiff_t>(at + count));
    if (auto done = run("delete from move_log where entry in (" + parameters(1, count) + ")", params); !done)
      return done;
    at += count;
  }
  return {};
}

result<void> move_side::drop_log_of(slot_range of) {
  return run("delete from move_log where slot >= $1 and slot <= $2", {of.first, of.last});
}

result<size_t> move_side::log_length(slot_range of, size_t most) {
  auto rows = read("select count(*) from (select 1 from move_log where slot >= $1 and slot <= $2 limit " +
                       std::to_string(most) + ") counted",
                   {of.first, of.last});
  if (!rows) return rows.error();
  return static_cast<size_t>(sql::as_int(rows->front()[0]));
}

result<bool> move_side::in_log(const moved_table& table, const row_key& key) {
  std::vector<sql::value> params{int64_t{table.tab}};
  params.insert(params.end(), key.begin(), key.end());
  std::string where = "tab = $1 and slot = $2";
  const int numbers = table.keys - 1 - (table.bytes_last ? 1 : 0);
  for (int i = 0; i < numbers; ++i) where += " and k" + std::to_string(i + 1) + " = $" + std::to_string(i + 3);
  if (table.bytes_last) where += " and kb = $" + std::to_string(numbers + 3);
  auto rows = read("select 1 from move_log where " + where + " limit 1", params);
  if (!rows) return rows.error();
  return !rows->empty();
}

// ---- the outbox --------------------------------------------------------------------------------------------------

result<std::vector<sql::row>> move_side::outbox(slot_range of, bool imported) {
  return read(std::string("select ") + outbox_columns + " from " + (imported ? "outbox_import" : "outbox") +
                  " where slot >= $1 and slot <= $2 order by entry",
              {of.first, of.last});
}

result<void> move_side::import_outbox(slot_range of, const std::vector<sql::row>& rows) {
  if (auto done = erase_outbox(of, true); !done) return done;
  for (size_t at = 0; at < rows.size();) {
    const size_t count = chunk_of(rows.size() - at);
    std::string text = std::string("insert into outbox_import (") + outbox_columns + ") values ";
    std::vector<sql::value> params;
    for (size_t i = at; i < at + count; ++i) {
      text += (i == at ? "(" : ", (") + parameters(params.size() + 1, outbox_width) + ")";
      params.insert(params.end(), rows[i].begin(), rows[i].end());
      if (!pg() && std::holds_alternative<std::monostate>(params.back())) params.back() = sql::blob{};
    }
    if (auto done = run(text, params); !done) return done;
    at += count;
  }
  return {};
}

result<size_t> move_side::imported(slot_range of) {
  auto rows = read("select count(*) from outbox_import where slot >= $1 and slot <= $2", {of.first, of.last});
  if (!rows) return rows.error();
  return static_cast<size_t>(sql::as_int(rows->front()[0]));
}

result<void> move_side::open_outbox(slot_range of, uint64_t first) {
  const std::string columns = outbox_columns;
  const auto others = columns.substr(columns.find(',') + 2);
  auto put = run("insert into outbox (" + columns + ") select $1" + (pg() ? "::bigint" : "") +
                     " + row_number() over (order by entry) - 1, " + others +
                     " from outbox_import where slot >= $2 and slot <= $3",
                 {static_cast<int64_t>(first), of.first, of.last});
  return put ? erase_outbox(of, true) : put;
}

result<void> move_side::erase_outbox(slot_range of, bool imported) {
  return run(
      std::string("delete from ") + (imported ? "outbox_import" : "outbox") + " where slot >= $1 and slot <= $2",
      {of.first, of.last});
}

// ---- keys --------------------------------------------------------------------------------------------------------

result<std::vector<sql::row>> move_side::data_keys() {
  return read("select id, kek, created_ns, wrapped from data_key order by id", {});
}

/// Serial 0: nothing new is sealed with them. One that is there stays as it is.
result<void> move_side::put_data_keys(const std::vector<sql::row>& keys) {
  for (const auto& key : keys) {
    auto done =
        run("insert into data_key (id, serial, kek, created_ns, wrapped) values ($1, 0, $2, $3, $4) "
            "on conflict (id) do nothing",
            key);
    if (!done) return done;
  }
  return {};
}

// ---- the range ---------------------------------------------------------------------------------------------------

result<std::vector<range_row>> move_side::ranges() {
  auto rows = read(std::string("select ") + range_columns + " from slot_owner order by first", {});
  if (!rows) return rows.error();
  std::vector<range_row> out;
  for (const auto& row : *rows) {
    const auto number = [&](size_t i) { return sql::as_int(row[i]); };
    out.push_back({{number(0), number(1)},
                   static_cast<slot_state>(number(2)),
                   static_cast<slot_state>(number(3)),
                   number(4),
                   number(5),
                   number(6),
                   number(7) != 0,
                   number(8),
                   number(9),
                   sql::as_text(row[10]),
                   number(11),
                   number(12),
                   number(13)});
  }
  return out;
}

result<std::optional<range_row>> move_side::range_of(int64_t move) {
  auto all = ranges();
  if (!all) return all.error();
  for (auto& one : *all) {
    if (one.move == move) return std::optional(std::move(one));
  }
  return std::optional<range_row>{};
}

result<void> move_side::write(const range_row& row) {
  if (auto gone = remove(row.range); !gone) return gone;
  return run(std::string("insert into slot_owner (") + range_columns + ") values (" + parameters(1, 14) + ")",
             {row.range.first, row.range.last, int64_t(row.state), int64_t(row.before), row.move, row.epoch,
              row.mover, int64_t{row.seen}, row.phase, row.tab, row.place, row.rows, row.bytes, row.rows_all});
}

result<void> move_side::mark_seen(const range_row& row) {
  return run("update slot_owner set seen = 1 where first = $1 and move = $2 and state = 4",
             {row.range.first, row.move});
}

result<void> move_side::remove(slot_range of) { return run("delete from slot_owner where first = $1", {of.first}); }

result<void> move_side::wait_briefly() { return pg() ? run("set local lock_timeout = 100") : result<void>{}; }

result<bool> move_side::logging() {
  auto rows =
      read(pg() ? "select count(*) from pg_trigger t join pg_class c on c.oid = t.tgrelid where t.tgname like "
                  "'move\\_%' and c.relnamespace = current_schema()::regnamespace"
                : "select count(*) from sqlite_master where type = 'trigger' and name like 'move\\_%' escape '\\'",
           {});
  if (!rows) return rows.error();
  return sql::as_int(rows->front()[0]) == static_cast<int64_t>(moved_tables().size() * 3);
}

/// In transactions of its own, which somebody else's lock makes fail.
result<void> move_side::patiently(const std::function<result<void>()>& work) {
  result<void> done;
  for (int attempt = 0; attempt < 60; ++attempt) {
    done = transact(0, [&]() -> result<void> {
      if (pg()) {
        if (auto brief = run("set local lock_timeout = 50"); !brief) return brief;
      }
      return work();
    });
    if (done || done.code() != errc::unavailable) break;
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
  }
  return done;
}

result<void> move_side::start_logging() {
  for (const auto& table : moved_tables()) {
    auto made = patiently([&]() -> result<void> {
      for (const auto& text : logging_on(database_->dialect(), table)) {
        if (auto done = run(text); !done) return done;
      }
      return {};
    });
    if (!made) return made;
  }
  return {};
}

result<void> move_side::wait_for_writers() {
  if (!pg()) return {};
  for (const auto& table : moved_tables()) {
    auto waited =
        patiently([&] { return run(std::string("lock table ") + table.name + " in share row exclusive mode"); });
    if (!waited) return waited;
  }
  return {};
}

/// Inside transact. Nobody begins with a range until the end of the transaction.
result<bool> move_side::may_stop_logging() {
  if (pg()) {
    if (auto locked = run("lock table slot_owner in share mode"); !locked) return locked.error();
  }
  auto all = ranges();
  if (!all) return all.error();
  return std::all_of(all->begin(), all->end(), [](const range_row& one) {
    return one.state == slot_state::moved || one.state == slot_state::aborted;
  });
}

result<void> move_side::stop_logging(uint64_t epoch) {
  for (const auto& table : moved_tables()) {
    bool needed = false;
    auto gone = transact(epoch, [&]() -> result<void> {
      if (pg()) {
        if (auto brief = run("set local lock_timeout = 50"); !brief) return brief;
      }
      auto may = may_stop_logging();
      if (!may) return may.error();
      needed = !*may;
      if (needed) return {};
      for (const auto& text : logging_off(database_->dialect(), table)) {
        if (auto done = run(text); !done) return done;
      }
      return {};
    });
    if (!gone || needed) return gone;
  }
  return {};
}

result<void> move_side::check_mover(slot_range of, int64_t move, int64_t mover) {
  auto rows =
      read(std::string("select 1 from slot_owner where first = $1 and last = $2 and move = $3 and mover = $4 and "
                       "state = 4") +
               (pg() ? " for share" : ""),
           {of.first, of.last, move, mover});
  if (!rows) return rows.error();
  if (rows->empty()) return error{errc::stale_epoch, "another mover has the range"};
  return {};
}

slot_doors doors_of(const std::vector<range_row>& ranges) {
  std::vector<slot_door_range> out;
  for (const auto& one : ranges) {
    const auto door = door_of(one.state);
    if (door == slot_door::open) continue;
    out.push_back({static_cast<slot_type>(one.range.first), static_cast<slot_type>(one.range.last), door});
  }
  return slot_doors(std::move(out));
}

result<slot_doors> doors_in(const std::string& dsn, uint64_t epoch) {
  if (dsn == "memory:") return slot_doors{};
  auto side = move_side::open(dsn);
  if (!side) return side.error();
  slot_doors out;
  const auto done = (*side)->transact(epoch, [&]() -> result<void> {
    auto ranges = (*side)->ranges();
    if (!ranges) return ranges.error();
    out = doors_of(*ranges);
    return {};
  });
  if (!done) return error{errc::unavailable, done.error().detail};
  return out;
}

}  // namespace tern::storage
