// Pages of a long history, and people who come back to many messages.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <thread>
#include <vector>

#include "services/storage/repositories/bench/meter.hpp"
#include "services/storage/repositories/bench/scenarios.hpp"
#include "services/storage/repositories/store.hpp"

namespace tern::storage::bench {
namespace {

using steady = std::chrono::steady_clock;

constexpr conversation_id long_talk{0x1000000000000001U, 2};
constexpr uint64_t long_history = 1'000'000;
constexpr uint32_t page_rows = 50;

double since(steady::time_point begun) { return std::chrono::duration<double>(steady::now() - begun).count(); }

/// Of sorted values.
double quantile(const std::vector<double>& values, double p) {
  if (values.empty()) return 0;
  return values[std::min(values.size() - 1, static_cast<size_t>(p * static_cast<double>(values.size())))];
}

result<std::unique_ptr<store>> shard_in(testing::postgres_server& server) {
  auto opened = open_store(server.dsn());
  if (!opened) return opened.error();
  if (auto ready = (*opened)->migrate(); !ready) return ready.error();
  return opened;
}

std::string signed_text(uint64_t id) { return std::to_string(static_cast<int64_t>(id)); }

/// Pages for `seconds`; from_mid is drawn by `from`.
template <class From>
result<void> read_pages(reader_store& reader, const char* what, double seconds, bool newest_first, From from) {
  std::vector<double> took;
  for (const auto begun = steady::now(); since(begun) < seconds;) {
    history_query query;
    query.conversation = long_talk;
    query.newest_first = newest_first;
    query.from_mid = from();
    query.limit = page_rows;
    const auto asked = steady::now();
    auto page = reader.history(query);
    took.push_back(since(asked) * 1e3);
    if (!page) return page.error();
    if (page->rows.size() != page_rows) return error{errc::internal, "a page is not full"};
  }
  std::sort(took.begin(), took.end());
  std::printf("| %s | %.2f | %.2f | %.2f | %zu |\n", what, quantile(took, 0.5), quantile(took, 0.99), took.back(),
              took.size());
  return {};
}

struct crowd {
  uint64_t users = 0, talks = 100, each = 50;
  static account_id account(uint64_t user) { return {(user + 1) * 0x9E3779B97F4A7C15U}; }
  static conversation_id talk(uint64_t user, uint64_t n) { return {account(user).value + n, n + 1}; }
};

/// 100 conversations of 50 messages wait for each.
result<void> fill(writer_store& writer, const crowd& with) {
  for (uint64_t user = 0; user < with.users; ++user) {
    write_batch batch;
    for (uint64_t n = 0; n < with.talks; ++n) {
      const auto id = crowd::talk(user, n);
      const account_id other{n + 1};
      for (uint64_t mid = 1; mid <= with.each; ++mid) {
        batch.messages.push_back(
            {id, mid, other, std::string(8, 'k') + std::to_string(mid), 1, std::string(200, 'x')});
      }
      batch.conversations.push_back(
          {id, crowd::account(user), other, with.each, relation_friend, relation_friend, 1});
      batch.cursors.push_back({crowd::account(user), id, other, 0, cursor_kind::mark});
    }
    if (auto done = writer.commit(batch); !done) return done.error();
  }
  return {};
}

struct drained {
  std::vector<double> first_ms;
  size_t messages = 0;
};

/// What a session does after AUTH: the list of what waits, then page after page.
result<void> come_back(reader_store& reader, uint64_t user, drained& into) {
  const auto begun = steady::now();
  auto waiting = reader.waiting(crowd::account(user), 1000);
  if (!waiting) return waiting.error();
  bool first = true;
  for (const auto& cursor : waiting->dirty) {
    history_query query;
    query.conversation = cursor.conversation;
    query.newest_first = false;
    query.from_mid = cursor.delivered;
    query.limit = page_rows;
    auto page = reader.history(query);
    if (!page) return page.error();
    if (first) into.first_ms.push_back(since(begun) * 1e3);
    first = false;
    into.messages += page->rows.size();
  }
  return {};
}

}  // namespace

int history(double seconds) {
  const auto server = start_server();
  if (!server) return 1;
  auto shard = shard_in(*server);
  if (!shard) return failed(shard.error());
  const auto place =
      std::to_string(slot_of(long_talk)) + "," + signed_text(long_talk.hi) + "," + signed_text(long_talk.lo);
  auto filled = server->query(
      "insert into conversation (slot, conv_hi, conv_lo, a, b, head, a_bits, b_bits, relation_version) values (" +
      place +
      ",1,2,0,2,2,1); insert into message (slot, conv_hi, conv_lo, mid, sender, send_key, timestamp_ns, body) "
      "select " +
      place + ", n, 1 + n % 2, decode(lpad(to_hex(n), 16, '0'), 'hex'), n, decode(repeat('78', 200), 'hex')" +
      " from generate_series(1, " + std::to_string(long_history) + ") n");
  if (filled) filled = server->query("vacuum analyze message");
  if (!filled) return failed(filled.error());
  auto reader = (*shard)->open_reader();
  if (!reader) return failed(reader.error());
  std::mt19937_64 dice(1);
  std::uniform_int_distribution<uint64_t> anywhere(page_rows + 1, long_history - page_rows);
  std::printf(
      "| page of %u of %llu messages | p50, ms | p99, ms | max, ms | pages |\n| --- | --- | --- | --- | --- |\n",
      page_rows, static_cast<unsigned long long>(long_history));
  auto done = read_pages(**reader, "newest first, from the end", seconds / 3, true, [] { return uint64_t{0}; });
  if (done)
    done = read_pages(**reader, "newest first, from anywhere", seconds / 3, true, [&] { return anywhere(dice); });
  if (done)
    done = read_pages(**reader, "oldest first, from anywhere", seconds / 3, false, [&] { return anywhere(dice); });
  return done ? 0 : failed(done.error());
}

int offline(double seconds) {
  const auto server = start_server();
  if (!server) return 1;
  auto shard = shard_in(*server);
  if (!shard) return failed(shard.error());
  auto writer = (*shard)->open_writer();
  if (!writer) return failed(writer.error());
  if (auto held = (*writer)->acquire(1); !held) return failed(held.error());
  crowd with;
  with.users = std::max<uint64_t>(4, static_cast<uint64_t>(seconds * 2));
  if (auto done = fill(**writer, with); !done) return failed(done.error());
  if (auto done = server->query("checkpoint"); !done) return failed(done.error());
  std::printf(
      "| %llu people with 5,000 messages each in 100 conversations | messages/s | first page p50, ms | max, ms |\n| "
      "--- | "
      "--- | --- | --- |\n",
      static_cast<unsigned long long>(with.users));
  for (const size_t readers : {size_t{1}, size_t{2}, size_t{4}}) {
    std::vector<drained> seen(readers);
    std::vector<result<void>> results(readers);
    std::vector<std::thread> threads;
    const auto begun = steady::now();
    for (size_t i = 0; i < readers; ++i) {
      threads.emplace_back([&, i] {
        auto reader = (*shard)->open_reader();
        results[i] = reader ? result<void>{} : result<void>{reader.error()};
        for (uint64_t user = i; results[i] && user < with.users; user += readers) {
          results[i] = come_back(**reader, user, seen[i]);
        }
      });
    }
    for (auto& thread : threads) thread.join();
    const double took = since(begun);
    std::vector<double> first;
    size_t messages = 0;
    for (size_t i = 0; i < readers; ++i) {
      if (!results[i]) return failed(results[i].error());
      first.insert(first.end(), seen[i].first_ms.begin(), seen[i].first_ms.end());
      messages += seen[i].messages;
    }
    std::sort(first.begin(), first.end());
    const double middle = quantile(first, 0.5);
    std::printf("| %zu readers | %.0f | %.2f | %.2f |\n", readers, static_cast<double>(messages) / took, middle,
                first.back());
  }
  return 0;
}

}  // namespace tern::storage::bench
