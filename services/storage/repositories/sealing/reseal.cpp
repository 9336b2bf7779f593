#include "services/storage/repositories/sealing/reseal.hpp"

#include <algorithm>
#include <sstream>

#include "libs/base/clock.hpp"

namespace tern::storage {
namespace {

using sql::as_int;

/// A table with a sealed column. Its key comes first, then what the value is bound to besides, then the value.
struct sealed_table {
  const char* name;
  std::vector<const char*> key;
  std::vector<const char*> bound;
  const char* value;
  const char* slot;
};

const std::vector<sealed_table>& tables() {
  static const std::vector<sealed_table> all{
      {"message", {"slot", "conv_hi", "conv_lo", "mid"}, {"sender", "timestamp_ns"}, "body", "slot"},
      {"account", {"slot", "id"}, {}, "profile", "slot"},
      {"room", {"slot", "id"}, {"domain"}, "bean", "slot"},
      {"notice", {"slot", "account", "id"}, {}, "body", "slot"},
      {"outbox", {"entry"}, {"recipient", "conv_hi", "conv_lo", "kind", "mid", "accepted_ns"}, "payload", "slot"},
  };
  return all;
}

std::string list(const std::vector<const char*>& names) {
  std::string text;
  for (const auto* name : names) text += (text.empty() ? "" : ", ") + std::string(name);
  return text;
}

std::string parameters(size_t count, size_t first) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text += (i == 0 ? "$" : ", $") + std::to_string(first + i);
  return text;
}

/// Key, what it is bound to, slot, value: NULL where there is nothing to do. $1: how a value begins that is sealed
/// with the current key.
std::string select_page(const sealed_table& of, bool from_start, size_t rows) {
  std::string text = "select " + list(of.key);
  for (const auto* name : of.bound) text += std::string(", ") + name;
  const std::string value = of.value;
  text += std::string(", ") + of.slot + ", case when length(" + value + ") = 0 or substr(" + value +
          ", 1, 9) = $1 then null else " + value + " end from " + of.name;
  if (!from_start) text += " where (" + list(of.key) + ") > (" + parameters(of.key.size(), 2) + ")";
  return text + " order by " + list(of.key) + " limit " + std::to_string(rows);
}

std::string replace_value(const sealed_table& of) {
  std::string text = std::string("update ") + of.name + " set " + of.value + " = $1 where " + of.value + " = $2";
  for (size_t i = 0; i < of.key.size(); ++i) {
    text += std::string(" and ") + of.key[i] + " = $" + std::to_string(i + 3);
  }
  return text;
}

uint64_t id(const sql::value& of) { return static_cast<uint64_t>(as_int(of)); }

/// The stored value of the row, sealed with the current key; empty: it does not open.
std::string sealed_anew(row_cipher& cipher, size_t table, const sql::row& of) {
  const auto again = [&](auto row) { return cipher.open(row) ? std::string(cipher.seal(row)) : std::string(); };
  const std::string& value = sql::as_text(of.back());
  switch (table) {
    case 0: {
      message_row row;
      row.conversation = {id(of[1]), id(of[2])};
      row.mid = id(of[3]);
      row.sender = {id(of[4])};
      row.timestamp_ns = as_int(of[5]);
      row.body = value;
      return again(std::move(row));
    }
    case 1: return again(profile_row{{id(of[1])}, {}, 0, value});
    case 2: {
      room_row row;
      row.id = {id(of[1])};
      row.domain = sql::as_text(of[2]);
      row.bean = value;
      return again(std::move(row));
    }
    case 3: return again(notice_row{{id(of[1])}, id(of[2]), value});
    default: {
      const auto kind = static_cast<outbox_kind>(as_int(of[4]));
      return again(outbox_row{id(of[0]), {id(of[1])}, {id(of[2]), id(of[3])}, kind, id(of[5]), value, as_int(of[6])});
    }
  }
}

}  // namespace

std::string reseal_job::names_of_keys() const {
  std::string names = key_label(ring_->current()->id);
  for (const auto one : ring_->ids()) names += "," + key_label(one);
  return names;
}

result<reseal_progress> reseal_job::step(size_t rows) {
  if (!ring_->current()) return reseal_progress{0, 0, 1, true};
  if (!database_) {
    auto opened = ring_->connect();
    if (!opened) return opened.error();
    database_ = std::move(*opened);
  }
  if (auto begun = database_->begin(); !begun) {
    database_.reset();
    return begun.error();
  }
  auto done = work(*database_, rows);
  if (done) {
    if (auto committed = database_->commit(); !committed) done = committed.error();
  } else {
    database_->rollback();
  }
  if (!done) database_.reset();
  return done;
}

result<reseal_progress> reseal_job::work(sql::connection& database, size_t rows) {
  reseal_progress out;
  place at;
  at.keys = names_of_keys();
  if (auto found = find_place(database, at); !found) return found.error();
  if (at.table < tables().size()) {
    auto moving = slots_on_the_move(database);
    if (!moving) return moving.error();
    moving_ = std::move(*moving);
    if (auto done = page(database, at, rows, out); !done) return done.error();
    if (auto kept = keep_place(database, at, out.sealed); !kept) return kept.error();
  }
  out.done = at.table == tables().size();
  const double within = at.after.empty() ? 0 : static_cast<double>(at.after.front()) / (1 << 20);
  out.ratio = out.done ? 1
                       : (static_cast<double>(at.table) + std::clamp(within, 0.0, 1.0)) /
                             static_cast<double>(tables().size());
  return out;
}

result<void> reseal_job::find_place(sql::connection& database, place& at) {
  auto rows = database.query("select position from chore where name = 'reseal'");
  if (!rows) return rows.error();
  if (rows->empty()) return {};
  std::istringstream text(sql::as_text(rows->front()[0]));
  std::string keys;
  text >> keys;
  if (keys != at.keys) return {};
  text >> at.table;
  for (int64_t part = 0; text >> part;) at.after.push_back(part);
  return {};
}

result<void> reseal_job::keep_place(sql::connection& database, const place& at, uint64_t sealed) {
  std::string text = at.keys + " " + std::to_string(at.table);
  for (const auto part : at.after) text += " " + std::to_string(part);
  auto kept = database.query(
      "insert into chore (name, position, done, updated_ns) values ('reseal', $1, $2, $3)"
      " on conflict (name) do update set position = excluded.position, done = chore.done + excluded.done,"
      " updated_ns = excluded.updated_ns",
      {text, static_cast<int64_t>(sealed), system_clock().wall_ns()});
  return kept ? result<void>{} : result<void>{kept.error()};
}

result<void> reseal_job::page(sql::connection& database, place& at, size_t rows, reseal_progress& out) {
  const auto& of = tables()[at.table];
  std::vector<sql::value> with{sql::blob{cipher_.current_header()}};
  for (const auto part : at.after) with.emplace_back(part);
  auto found = database.query(select_page(of, at.after.empty(), rows), with);
  if (!found) return found.error();
  for (const auto& row : *found) {
    ++out.looked;
    const auto slot = as_int(row[row.size() - 2]);
    if (std::holds_alternative<std::monostate>(row.back()) || in_ranges(moving_, slot)) continue;
    auto sealed = seal_again(database, at.table, row);
    if (!sealed) return sealed.error();
    out.sealed += *sealed ? 1 : 0;
  }
  at.after.clear();
  if (found->size() < rows) {
    ++at.table;
    return {};
  }
  for (size_t i = 0; i < of.key.size(); ++i) at.after.push_back(as_int(found->back()[i]));
  return {};
}

result<bool> reseal_job::seal_again(sql::connection& database, size_t table, const sql::row& row) {
  auto value = sealed_anew(cipher_, table, row);
  if (value.empty()) return false;
  const auto& of = tables()[table];
  std::vector<sql::value> with{sql::blob{std::move(value)}, row.back()};
  for (size_t i = 0; i < of.key.size(); ++i) with.push_back(row[i]);
  auto done = database.query(replace_value(of), with);
  if (!done) return done.error();
  return database.changed() > 0;
}

}  // namespace tern::storage
