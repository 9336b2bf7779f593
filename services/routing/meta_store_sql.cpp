#include "services/routing/meta_store_sql.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "libs/sql/connection.hpp"
#include "migrations/routing_migrations.hpp"

namespace tern::routing {
namespace {

using placement::range;
using placement::range_map;

constexpr size_t rows_per_insert = 100;
enum kind : int64_t { sessions = 1, groups = 2, storage = 3 };

sql::value number(uint64_t value) { return static_cast<int64_t>(value); }
uint64_t as_number(const sql::value& value) { return static_cast<uint64_t>(sql::as_int(value)); }
slot_type as_slot(const sql::value& value) { return static_cast<slot_type>(sql::as_int(value)); }

template <class Row>
void sort_by_name(std::vector<Row>& rows) {
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.name < b.name; });
}

/// One transaction; the first error of any step stays and ends it.
class transaction {
 public:
  explicit transaction(sql::connection& database) : database_(database) {
    if (auto begun = database_.begin(); !begun) failed_ = begun.error();
  }
  void run(const std::string& statement, const std::vector<sql::value>& params) {
    if (failed_.code != errc::ok) return;
    // Whatever happens inside a transaction, nothing of it is there before COMMIT.
    if (auto done = database_.query(statement, params); !done) {
      failed_ = {done.code() == errc::deadline ? errc::unavailable : done.code(), done.error().detail};
    }
  }
  void fail(errc code) {
    if (failed_.code == errc::ok) failed_ = {code, {}};
  }
  uint64_t changed() const { return database_.changed(); }
  result<void> commit() {
    if (failed_.code == errc::ok) return database_.commit();
    database_.rollback();
    return failed_;
  }

 private:
  sql::connection& database_;
  error failed_{errc::ok, {}};
};

/// INSERT of many rows, some at a time.
class inserter {
 public:
  inserter(transaction& in, std::string into, size_t columns) : in_(in), into_(std::move(into)), columns_(columns) {}
  void add(std::vector<sql::value> row) {
    params_.insert(params_.end(), std::make_move_iterator(row.begin()), std::make_move_iterator(row.end()));
    if (params_.size() >= rows_per_insert * columns_) flush();
  }
  void flush() {
    if (params_.empty()) return;
    std::string statement = "INSERT INTO " + into_ + " VALUES ";
    for (size_t i = 0; i < params_.size(); ++i) {
      statement += i % columns_ == 0 ? (i == 0 ? "(" : ", (") : ", ";
      statement += "$" + std::to_string(i + 1);
      if (i % columns_ == columns_ - 1) statement += ")";
    }
    in_.run(statement, params_);
    params_.clear();
  }

 private:
  transaction& in_;
  const std::string into_;
  const size_t columns_;
  std::vector<sql::value> params_;
};

void write_map(transaction& in, kind which, const range_map& now, const range_map& next) {
  const auto& before = now.ranges();
  const auto& after = next.ranges();
  const auto by_first = [](const range& a, const range& b) { return a.first < b.first; };
  const auto holds = [&](const std::vector<range>& all, const range& wanted) {
    const auto at = std::lower_bound(all.begin(), all.end(), wanted, by_first);
    return at != all.end() && *at == wanted;
  };
  for (const auto& each : before) {
    if (holds(after, each)) continue;
    in.run("DELETE FROM placement WHERE kind = $1 AND first_slot = $2",
           {static_cast<int64_t>(which), number(each.first)});
  }
  inserter rows(in, "placement (kind, first_slot, last_slot, owner, epoch)", 5);
  for (const auto& each : after) {
    if (holds(before, each)) continue;
    rows.add({static_cast<int64_t>(which), number(each.first), number(each.last), each.owner, number(each.epoch)});
  }
  rows.flush();
}

template <class Row>
std::vector<Row> only_in(const std::vector<Row>& these, const std::vector<Row>& not_those) {
  std::vector<Row> out;
  for (const auto& each : these) {
    if (std::find(not_those.begin(), not_those.end(), each) == not_those.end()) out.push_back(each);
  }
  return out;
}

void write_lists(transaction& in, const meta_state& now, const meta_state& next) {
  for (const auto& each : only_in(now.shards, next.shards)) in.run("DELETE FROM shard WHERE name = $1", {each.name});
  inserter shards(in, "shard (name, owner, epoch)", 3);
  for (const auto& each : only_in(next.shards, now.shards)) shards.add({each.name, each.owner, number(each.epoch)});
  shards.flush();
  for (const auto& each : only_in(now.nodes, next.nodes)) in.run("DELETE FROM node WHERE name = $1", {each.name});
  inserter nodes(in, "node (name, service, address, incarnation, alive)", 5);
  for (const auto& each : only_in(next.nodes, now.nodes)) {
    nodes.add({each.name, each.service, each.address, number(each.incarnation), number(each.alive ? 1 : 0)});
  }
  nodes.flush();
}

void store_shards(transaction& in, const intents& what) {
  in.run("DELETE FROM shard_place", {});
  inserter places(in, "shard_place (name, dsn, term, draining)", 4);
  for (const auto& [name, one] : what.shards) {
    places.add({name, one.dsn, number(one.term), number(one.draining ? 1 : 0)});
  }
  places.flush();
  in.run("DELETE FROM shard_move", {});
  inserter moves(
      in,
      "shard_move (move, first_slot, last_slot, source, target, back_of, bytes_per_second, wish, kept_since,"
      " error)",
      10);
  for (const auto& one : what.shard_moves) {
    moves.add({number(one.move), number(one.first), number(one.last), one.source, one.target, number(one.back_of),
               number(one.bytes_per_second), static_cast<int64_t>(one.what), one.kept_since, one.error});
  }
  moves.flush();
  in.run("UPDATE shard_move_number SET last = $1 WHERE id = 1", {number(what.last_shard_move)});
}

class sql_meta_store final : public meta_store {
 public:
  explicit sql_meta_store(std::string dsn) : dsn_(std::move(dsn)) {}

  result<void> open() override {
    sql::connect_options how;
    how.statement_timeout = std::chrono::milliseconds(5000);
    auto opened = sql::open(dsn_, how);
    if (!opened) return opened.error();
    database_ = *std::move(opened);
    auto ready = sql::migrate(*database_, sql::routing_migrations());
    if (!ready) database_.reset();
    return ready;
  }
  result<meta_state> load() override;
  result<void> commit(const meta_state& now, const meta_state& next, uint64_t term) override;
  result<intents> load_intents() override;
  result<void> store_intents(const intents& what, uint64_t term) override;
  result<leader_row> leader() override;
  result<void> take_over(const leader_row& seen, const leader_row& self) override;
  result<void> renew(uint64_t term) override;
  result<void> resign(uint64_t term) override;

 private:
  /// One statement that changes the leader row, or does not find it as it should be.
  result<void> change_leader(const std::string& statement, const std::vector<sql::value>& params);
  result<void> connected();
  /// After an error the connection is made anew by the next call.
  template <class T>
  result<T> judge(result<T> outcome) {
    if (!outcome && outcome.code() != errc::stale_epoch) database_.reset();
    return outcome;
  }
  result<meta_state> read();

  const std::string dsn_;
  std::unique_ptr<sql::connection> database_;
};

result<void> sql_meta_store::connected() {
  if (database_) return {};
  auto opened = open();
  if (!opened && opened.code() == errc::deadline) return error{errc::unavailable, opened.error().detail};
  return opened;
}

result<meta_state> sql_meta_store::load() {
  if (auto here = connected(); !here) return here.error();
  if (auto begun = database_->begin(); !begun) return judge<meta_state>(begun.error());
  auto state = read();
  database_->rollback();
  return judge(std::move(state));
}

result<meta_state> sql_meta_store::read() {
  meta_state state;
  const auto version = database_->query("SELECT version FROM meta WHERE id = 1");
  const auto ranges = database_->query("SELECT kind, first_slot, last_slot, owner, epoch FROM placement");
  const auto shards = database_->query("SELECT name, owner, epoch FROM shard");
  const auto nodes = database_->query("SELECT name, service, address, incarnation, alive FROM node");
  for (const auto* each : {&version, &ranges, &shards, &nodes}) {
    if (!*each) return error{errc::unavailable, each->error().detail};
  }
  if (version->size() != 1) return error{errc::internal, "the meta table has no version"};
  state.version = as_number((*version)[0][0]);
  std::vector<range> maps[3];
  for (const auto& row : *ranges) {
    const auto which = sql::as_int(row[0]);
    if (which < sessions || which > storage) return error{errc::internal, "a placement row is of no known kind"};
    maps[which - 1].push_back({as_slot(row[1]), as_slot(row[2]), sql::as_text(row[3]), as_number(row[4])});
  }
  try {
    state.sessions = range_map(std::move(maps[0]));
    state.groups = range_map(std::move(maps[1]));
    state.storage = range_map(std::move(maps[2]));
  } catch (const std::invalid_argument& problem) {
    return error{errc::internal, std::string("the placement table: ") + problem.what()};
  }
  for (const auto& row : *shards) {
    state.shards.push_back({sql::as_text(row[0]), sql::as_text(row[1]), as_number(row[2])});
  }
  for (const auto& row : *nodes) {
    state.nodes.push_back({sql::as_text(row[0]), sql::as_text(row[1]), sql::as_text(row[2]), as_number(row[3]),
                           sql::as_int(row[4]) != 0});
  }
  sort_by_name(state.shards);
  sort_by_name(state.nodes);
  return state;
}

result<void> sql_meta_store::commit(const meta_state& now, const meta_state& next, uint64_t term) {
  if (auto here = connected(); !here) return here.error();
  transaction work(*database_);
  // First of all: the row stays locked until the end, so that whoever takes over does so before this or after it.
  work.run("UPDATE leader SET beat = beat + 1 WHERE id = 1 AND term = $1", {number(term)});
  if (work.changed() != 1) work.fail(errc::stale_epoch);
  work.run("UPDATE meta SET version = $1 WHERE id = 1 AND version = $2", {number(next.version), number(now.version)});
  if (work.changed() != 1) work.fail(errc::stale_epoch);
  write_map(work, sessions, now.sessions, next.sessions);
  write_map(work, groups, now.groups, next.groups);
  write_map(work, storage, now.storage, next.storage);
  write_lists(work, now, next);
  return judge(work.commit());
}

result<intents> sql_meta_store::load_intents() {
  if (auto here = connected(); !here) return here.error();
  auto rows = database_->query("SELECT kind, first_slot, last_slot, node FROM intent");
  if (!rows) return judge<intents>(error{errc::unavailable, rows.error().detail});
  const auto places = database_->query("SELECT name, dsn, term, draining FROM shard_place");
  const auto moves = database_->query(
      "SELECT move, first_slot, last_slot, source, target, back_of, bytes_per_second, wish, kept_since, error"
      " FROM shard_move ORDER BY move");
  const auto last = database_->query("SELECT last FROM shard_move_number WHERE id = 1");
  for (const auto* each : {&places, &moves, &last}) {
    if (!*each) return judge<intents>(error{errc::unavailable, each->error().detail});
  }
  intents found;
  for (const auto& row : *places) {
    found.shards[sql::as_text(row[0])] = {sql::as_text(row[1]), as_number(row[2]), sql::as_int(row[3]) != 0};
  }
  for (const auto& row : *moves) {
    const auto wish = sql::as_int(row[7]);
    if (wish < 0 || wish > 2) return error{errc::internal, "a row of shard_move is of no known kind"};
    found.shard_moves.push_back({as_number(row[0]), as_slot(row[1]), as_slot(row[2]), sql::as_text(row[3]),
                                 sql::as_text(row[4]), as_number(row[5]), as_number(row[6]),
                                 static_cast<shard_move::wish>(wish), sql::as_int(row[8]), sql::as_text(row[9])});
  }
  if (!last->empty()) found.last_shard_move = as_number((*last)[0][0]);
  for (const auto& row : *rows) {
    const auto which = sql::as_int(row[0]);
    if (which == 0) {
      found.drains.insert(sql::as_text(row[3]));
    } else {
      const auto of = which == sessions ? range_kind::sessions : range_kind::groups;
      add_pin(found, {of, as_slot(row[1]), as_slot(row[2]), sql::as_text(row[3])});
    }
  }
  return found;
}

result<void> sql_meta_store::store_intents(const intents& what, uint64_t term) {
  if (auto here = connected(); !here) return here.error();
  transaction work(*database_);
  work.run("UPDATE leader SET beat = beat + 1 WHERE id = 1 AND term = $1", {number(term)});
  if (work.changed() != 1) work.fail(errc::stale_epoch);
  work.run("DELETE FROM intent", {});
  inserter rows(work, "intent (kind, first_slot, last_slot, node)", 4);
  for (const auto& each : what.drains) rows.add({number(0), number(0), number(0), each});
  for (const auto& each : what.pins) {
    const auto which = each.kind == range_kind::sessions ? sessions : groups;
    rows.add({static_cast<int64_t>(which), number(each.first), number(each.last), each.target});
  }
  rows.flush();
  store_shards(work, what);
  return judge(work.commit());
}

result<leader_row> sql_meta_store::leader() {
  if (auto here = connected(); !here) return here.error();
  auto rows = database_->query("SELECT term, node, incarnation, address, beat FROM leader WHERE id = 1");
  if (!rows) return judge<leader_row>(error{errc::unavailable, rows.error().detail});
  if (rows->size() != 1) return error{errc::internal, "the leader table has no row"};
  const auto& row = (*rows)[0];
  return leader_row{as_number(row[0]), sql::as_text(row[1]), as_number(row[2]), sql::as_text(row[3]),
                    as_number(row[4])};
}

result<void> sql_meta_store::change_leader(const std::string& statement, const std::vector<sql::value>& params) {
  if (auto here = connected(); !here) return here.error();
  transaction work(*database_);
  work.run(statement, params);
  if (work.changed() != 1) work.fail(errc::stale_epoch);
  return judge(work.commit());
}

result<void> sql_meta_store::take_over(const leader_row& seen, const leader_row& self) {
  return change_leader(
      "UPDATE leader SET term = $1, node = $2, incarnation = $3, address = $4, beat = $5"
      " WHERE id = 1 AND term = $6 AND beat = $7",
      {number(seen.term + 1), self.node, number(self.incarnation), self.address, number(seen.beat + 1),
       number(seen.term), number(seen.beat)});
}

result<void> sql_meta_store::renew(uint64_t term) {
  return change_leader("UPDATE leader SET beat = beat + 1 WHERE id = 1 AND term = $1", {number(term)});
}

result<void> sql_meta_store::resign(uint64_t term) {
  return change_leader(
      "UPDATE leader SET node = '', incarnation = 0, address = '', beat = beat + 1 WHERE id = 1 AND term = $1",
      {number(term)});
}

}  // namespace

std::unique_ptr<meta_store> make_sql_meta_store(const std::string& dsn) {
  return std::make_unique<sql_meta_store>(dsn);
}

}  // namespace tern::routing
