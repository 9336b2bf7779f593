#include "services/storage/moves/moved_tables.hpp"

#include <charconv>

namespace tern::storage {
namespace {

const std::vector<moved_table>& tables() {
  static const std::vector<moved_table> all{
      {1, "account", 2, false, {"slot", "id", "name_key", "domain", "password_hash", "created_ns", "profile"}},
      {2,
       "conversation",
       3,
       false,
       {"slot", "conv_hi", "conv_lo", "a", "b", "head", "relation_version", "a_bits", "b_bits"}},
      {3,
       "message",
       4,
       false,
       {"slot", "conv_hi", "conv_lo", "mid", "sender", "timestamp_ns", "send_key", "body", "flags", "target"}},
      {4,
       "room",
       2,
       false,
       {"slot", "id", "founder", "created_ns", "version", "members", "kind", "cancelled", "domain", "managers",
        "create_key", "bean"}},
      {5, "member", 3, false, {"slot", "room", "account", "bits"}},
      {6, "account_room", 3, false, {"slot", "account", "room", "version", "since", "bits"}},
      {7, "roster", 3, false, {"slot", "account", "other", "version", "mine", "theirs"}},
      {8, "cursor", 4, false, {"slot", "account", "conv_hi", "conv_lo", "other", "delivered", "dirty_since"}},
      {9, "notice", 3, false, {"slot", "account", "id", "body"}},
      {10, "token", 3, true, {"slot", "account", "hash", "expires_ns"}},
      {11, "audit", 2, false, {"slot", "entry", "at_ns", "actor", "action", "detail", "chain"}},
  };
  return all;
}

/// The key columns of `row` as slot, k1, k2, k3, kb.
std::string log_values(const moved_table& table, const std::string& row) {
  std::string out = row + ".slot, " + std::to_string(table.tab);
  const int numbers = table.keys - 1 - (table.bytes_last ? 1 : 0);
  for (int i = 0; i < 3; ++i) {
    out += ", " + (i < numbers ? row + "." + table.columns[static_cast<size_t>(i) + 1] : std::string("0"));
  }
  const auto last = static_cast<size_t>(table.keys) - 1;
  return out + ", " + (table.bytes_last ? row + "." + table.columns[last] : std::string("''"));
}

constexpr const char* log_columns = "insert into move_log (slot, tab, k1, k2, k3, kb) ";
constexpr const char* events[] = {"insert", "update", "delete"};

std::string trigger_name(const moved_table& table, const char* event) {
  return std::string("move_") + table.name + "_" + event;
}

std::string pg_trigger(const moved_table& table, const char* event) {
  const bool gone = std::string(event) == "delete";
  return "create or replace trigger " + trigger_name(table, event) + " after " + event + " on " + table.name +
         " referencing " + (gone ? "old" : "new") +
         " table as changed for each statement execute function move_note_" + table.name + "()";
}

std::string sqlite_trigger(const moved_table& table, const char* event) {
  const std::string row = std::string(event) == "delete" ? "old" : "new";
  auto values = log_values(table, row);
  if (!table.bytes_last) values.replace(values.size() - 2, 2, "x''");
  return "create trigger if not exists " + trigger_name(table, event) + " after " + event + " on " + table.name +
         " when exists (select 1 from slot_owner where state in (1, 2, 5) and " + row +
         ".slot between first and last) begin " + log_columns + "values (" + values + "); end";
}

void append_hex(std::string& to, const std::string& bytes) {
  constexpr const char* digits = "0123456789abcdef";
  for (const char c : bytes) {
    to += digits[static_cast<uint8_t>(c) >> 4U];
    to += digits[static_cast<uint8_t>(c) & 15U];
  }
}

std::string from_hex(const std::string& text) {
  std::string out;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    out += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  }
  return out;
}

}  // namespace

std::span<const moved_table> moved_tables() { return tables(); }

const moved_table* find_moved_table(int64_t tab) {
  for (const auto& table : tables()) {
    if (table.tab == tab) return &table;
  }
  return nullptr;
}

row_key key_of(const moved_table& table, const sql::row& row) { return {row.begin(), row.begin() + table.keys}; }

size_t bytes_of(const sql::row& row) {
  size_t sum = 0;
  for (const auto& value : row) sum += std::holds_alternative<int64_t>(value) ? 8 : sql::as_text(value).size() + 4;
  return sum;
}

std::string write_place(const row_key& key) {
  std::string out;
  for (const auto& value : key) {
    if (!out.empty()) out += ',';
    if (std::holds_alternative<int64_t>(value)) {
      out += std::to_string(std::get<int64_t>(value));
    } else {
      append_hex(out, sql::as_text(value));
    }
  }
  return out;
}

row_key read_place(const moved_table& table, const std::string& text) {
  row_key key;
  size_t at = 0;
  while (!text.empty() && at <= text.size()) {
    const size_t end = std::min(text.find(',', at), text.size());
    const auto part = text.substr(at, end - at);
    if (table.bytes_last && static_cast<int>(key.size()) == table.keys - 1) {
      key.emplace_back(sql::blob{from_hex(part)});
    } else {
      key.emplace_back(int64_t{std::stoll(part)});
    }
    at = end + 1;
  }
  if (key.size() != static_cast<size_t>(table.keys)) key.clear();
  return key;
}

std::string column_list(const moved_table& table, size_t count, const std::string& prefix) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += (i == 0 ? "" : ", ") + prefix + table.columns[i];
  return out;
}

std::string parameters(size_t first, size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += (i == 0 ? "$" : ", $") + std::to_string(first + i);
  return out;
}

std::vector<std::string> logging_on(sql::dialect dialect, const moved_table& table) {
  std::vector<std::string> out;
  if (dialect == sql::dialect::pg) {
    // Once for a statement, however many rows: also the statement of a batch runs it once for each table.
    out.push_back(
        "create or replace function move_note_" + std::string(table.name) +
        "() returns trigger language plpgsql as $$ begin " + log_columns + "select " + log_values(table, "c") +
        " from changed c where exists (select 1 from slot_owner where state in (1, 2, 5) and c.slot between "
        "first and last); return null; end $$");
  }
  for (const auto* event : events) {
    out.push_back(dialect == sql::dialect::pg ? pg_trigger(table, event) : sqlite_trigger(table, event));
  }
  return out;
}

std::vector<std::string> logging_off(sql::dialect dialect, const moved_table& table) {
  std::vector<std::string> out;
  for (const auto* event : events) {
    auto text = "drop trigger if exists " + trigger_name(table, event);
    if (dialect == sql::dialect::pg) text += std::string(" on ") + table.name;
    out.push_back(std::move(text));
  }
  return out;
}

}  // namespace tern::storage
