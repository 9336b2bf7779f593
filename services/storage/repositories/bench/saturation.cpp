// Durable appends of one shard beside raw rows, by turns on one server, so that whatever else the machine does
// befalls both.
#include <chrono>
#include <cstdio>
#include <thread>
#include <vector>

#include "libs/sql/pg_link.hpp"
#include "services/storage/repositories/bench/engine_load.hpp"
#include "services/storage/repositories/bench/meter.hpp"
#include "services/storage/repositories/bench/scenarios.hpp"

namespace tern::storage::bench {
namespace {

using steady = std::chrono::steady_clock;

constexpr size_t body_bytes = 200;
constexpr size_t conversations = 2000;

/// The rows of `message`, with its key and its index, and nothing else: no outbox, no fence, no look for keys.
constexpr sql::pg_statement raw_insert{
    "raw_insert",
    "insert into raw_message (slot, conv_hi, conv_lo, mid, sender, send_key, timestamp_ns, body, flags)"
    " select slot, hi, lo, mid, sender, send_key, at, body, 0 from unnest($1::int[], $2::bigint[], $3::bigint[],"
    " $4::bigint[], $5::bigint[], $6::bytea[], $7::bigint[], $8::bytea[])"
    " as u (slot, hi, lo, mid, sender, send_key, at, body)"};
constexpr const char* raw_tables =
    "create table raw_message (conv_hi bigint not null, conv_lo bigint not null, mid bigint not null,"
    " sender bigint not null, timestamp_ns bigint not null, slot int not null, send_key bytea, body bytea not null,"
    " flags smallint not null default 0, target bigint, primary key (slot, conv_hi, conv_lo, mid));"
    "create unique index raw_send_key on raw_message (slot, conv_hi, conv_lo, sender, send_key)"
    " where send_key is not null;"
    "alter table raw_message alter column send_key set storage plain";

struct raw_row {
  conversation_id id;
  uint64_t mid = 0, sender = 0;
  std::string key;
};

class raw_load {
 public:
  raw_load(const std::string& dsn, size_t rows) : link_(dsn, {}), rows_(rows), mids_(conversations) {}
  result<size_t> commit() {
    std::vector<raw_row> rows(rows_);
    for (auto& row : rows) {
      const uint64_t pair = ++count_ * 7919 % conversations;
      const uint64_t spread = (pair + 1) * 0x9E3779B97F4A7C15U;
      row = {{spread, ~spread}, ++mids_[pair], spread ^ 1U, std::string(9, 'i')};
      for (size_t b = 0; b < 8; ++b) row.key[b + 1] = static_cast<char>(count_ >> (8 * b));
    }
    params_.clear();
    params_.int4s(rows, [](const raw_row& row) { return slot_of(row.id); })
        .int8s(rows, [](const raw_row& row) { return row.id.hi; })
        .int8s(rows, [](const raw_row& row) { return row.id.lo; })
        .int8s(rows, [](const raw_row& row) { return row.mid; })
        .int8s(rows, [](const raw_row& row) { return row.sender; })
        .byteas(rows, [](const raw_row& row) -> const std::string& { return row.key; })
        .int8s(rows, [](const raw_row& row) { return row.mid; })
        .byteas(rows, [this](const raw_row&) -> const std::string& { return body_; });
    const sql::pg_link::call call{&raw_insert, &params_};
    if (auto done = link_.run({&call, 1}); !done) return done.error();
    return rows_;
  }

 private:
  sql::pg_link link_;
  const size_t rows_;
  std::vector<uint64_t> mids_;
  const std::string body_ = std::string(body_bytes, 'x');
  sql::pg_params params_;
  uint64_t count_ = 0;
};

struct tally {
  double seconds = 0, rows = 0, own = 0, server = 0;
};

/// Commits for `seconds`; all at once on their own threads.
template <class Load>
result<void> drive(std::vector<Load*> loads, double seconds, const server_meter& meter, tally& into) {
  std::vector<result<size_t>> results(loads.size(), size_t{0});
  const double own = own_cpu(), server = meter.read();
  const auto begun = steady::now();
  const auto until = begun + std::chrono::duration_cast<steady::duration>(std::chrono::duration<double>(seconds));
  std::vector<std::thread> threads;
  for (size_t i = 0; i < loads.size(); ++i) {
    threads.emplace_back([&, i] {
      while (steady::now() < until) {
        auto done = loads[i]->commit();
        if (!done) {
          results[i] = done.error();
          return;
        }
        results[i] = *results[i] + *done;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  into.seconds += std::chrono::duration<double>(steady::now() - begun).count();
  into.own += own_cpu() - own;
  into.server += meter.read() - server;
  for (const auto& one : results) {
    if (!one) return one.error();
    into.rows += static_cast<double>(*one);
  }
  return {};
}

void print(const char* what, size_t batch, const tally& of, double raw) {
  std::printf("| %s | %zu | %.0f | %.0f %% | %.2f | %.2f | %.0f %% |\n", what, batch, of.rows / of.seconds,
              raw > 0 ? 100 * of.rows / of.seconds / raw : 100, of.own * 1e6 / of.rows, of.server * 1e6 / of.rows,
              100 * of.server / of.seconds);
}

}  // namespace

int saturation(double seconds) {
  const auto server = start_server();
  if (!server) return 1;
  const server_meter meter(server->dsn());
  std::printf(
      "| one shard at saturation, %zu-byte bodies | rows per commit | rows/s | of raw | CPU per row here, µs | of "
      "the "
      "server, µs | server, of one core |\n| --- | --- | --- | --- | --- | --- | --- |\n",
      body_bytes);
  double statements = 0, messages = 0;
  for (const size_t batch : {size_t{200}, size_t{1000}, size_t{4000}}) {
    const auto database = [&](const std::string& what) { return what + std::to_string(batch); };
    for (const char* name : {"ours", "two", "looks", "other", "raw"}) {
      if (auto made = server->create_database(database(name)); !made) return failed(made.error());
    }
    if (auto made = server->query(raw_tables, database("raw")); !made) return failed(made.error());
    raw_load raw(server->dsn(database("raw")), batch);
    auto ours = engine_load::open(server->dsn(database("ours")), batch, conversations, body_bytes);
    if (!ours) return failed(ours.error());
    auto two = engine_load::open(server->dsn(database("two")), batch, conversations, body_bytes, {.two = true});
    if (!two) return failed(two.error());
    auto looks = engine_load::open(server->dsn(database("looks")), batch, conversations, body_bytes, {.look = true});
    if (!looks) return failed(looks.error());
    auto other = engine_load::open(server->dsn(database("other")), batch, conversations, body_bytes);
    if (!other) return failed(other.error());
    tally of_raw, of_ours, of_two, of_looks, of_both, warm;
    const double turn = seconds / 3 / 4 / 5;
    auto done = drive<raw_load>({&raw}, turn / 2, meter, warm);
    if (done) done = drive<engine_load>({ours->get(), two->get(), other->get(), looks->get()}, turn / 2, meter, warm);
    for (int round = 0; done && round < 4; ++round) {
      done = drive<raw_load>({&raw}, turn, meter, of_raw);
      if (done) done = drive<engine_load>({ours->get()}, turn, meter, of_ours);
      if (done) done = drive<engine_load>({two->get()}, turn, meter, of_two);
      if (done) done = drive<engine_load>({looks->get()}, turn, meter, of_looks);
      if (done) done = drive<engine_load>({ours->get(), other->get()}, turn, meter, of_both);
    }
    if (!done) return failed(done.error());
    const double rate = of_raw.rows / of_raw.seconds;
    print("raw INSERT", batch, of_raw, rate);
    print("one shard, one commit at a time", batch, of_ours, rate);
    print("one shard, two commits at a time", batch, of_two, rate);
    print("one at a time, each key looked up first", batch, of_looks, rate);
    print("two shards at once, together", batch, of_both, rate);
    statements += static_cast<double>((*ours)->statements());
    messages += static_cast<double>((*ours)->messages());
  }
  std::printf("\nstatements per message: %.4f\n", statements / messages);
  return 0;
}

}  // namespace tern::storage::bench
