// tern-store-bench: what a shard's database does for the storage service.
//   tern-store-bench saturation|history|offline|growth [SECONDS]: on PostgreSQL servers that it starts itself; these
//   print rows of docs/benchmarks.md.
//   tern-store-bench DSN [batches] [rows per batch] [body bytes] [conversations]: group commits of one writer.
// Each batch adds messages with keys and outbox entries and deletes the entries of the batch before the last. Prints
// appends per second, statements per message, and CPU per message here and (for a local server) of all its processes.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "services/storage/repositories/bench/meter.hpp"
#include "services/storage/repositories/bench/scenarios.hpp"
#include "services/storage/repositories/sealing/key_ring.hpp"
#include "services/storage/repositories/store.hpp"

namespace {

using namespace tern;
using namespace tern::storage;
using namespace tern::storage::bench;
using steady = std::chrono::steady_clock;

conversation_id conversation_of(uint64_t n) { return {(n + 1) * 0x9E3779B97F4A7C15U, n}; }

struct load {
  std::vector<uint64_t> heads;
  uint64_t next_entry = 1, next_key = 1;
  size_t next_conversation = 0;
  std::vector<uint64_t> done, before;

  write_batch batch(size_t rows, size_t body) {
    write_batch made;
    for (size_t i = 0; i < rows; ++i) {
      const auto n = next_conversation++ * 7919 % heads.size();
      const auto id = conversation_of(n);
      const account_id sender{n * 2 + 1}, recipient{n * 2 + 2};
      std::string key(9, 'i');
      ++next_key;
      for (size_t b = 0; b < 8; ++b) key[b + 1] = static_cast<char>(next_key >> (8 * b));
      made.messages.push_back({id, ++heads[n], sender, key, static_cast<int64_t>(next_key), std::string(body, 'x')});
      made.outbox.push_back({next_entry, recipient, id, outbox_kind::message, heads[n], {}, 1});
      made.conversations.push_back({id, sender, recipient, heads[n], relation_friend, relation_friend, 2});
      before.push_back(next_entry++);
    }
    made.outbox_done = std::move(done);
    done = std::move(before);
    before.clear();
    return made;
  }
};

int fail(const error& why) {
  std::fprintf(stderr, "%s: %s\n", std::string(to_string(why.code)).c_str(), why.detail.c_str());
  return 1;
}

/// Reads back a history page of each conversation: what an off-line drain costs.
int read_pages(store& shard, size_t conversations, const server_meter& meter) {
  auto reader = shard.open_reader();
  if (!reader) return fail(reader.error());
  size_t rows = 0;
  const double cpu = own_cpu(), server = meter.read();
  const auto start = steady::now();
  size_t pages = 0;
  for (; pages < std::min<size_t>(conversations, 4000); ++pages) {
    history_query query;
    query.conversation = conversation_of(pages);
    query.newest_first = false;
    auto page = (*reader)->history(query);
    if (!page) return fail(page.error());
    rows += page->rows.size();
  }
  const double wall = std::chrono::duration<double>(steady::now() - start).count();
  const auto count = static_cast<double>(rows);
  std::printf("pages of 50    %9.0f rows/s %7.0f pages/s   CPU per row: client %.2f us, server %.2f us\n",
              count / wall, static_cast<double>(pages) / wall, (own_cpu() - cpu) * 1e6 / count,
              (meter.read() - server) * 1e6 / count);
  return 0;
}

/// A room of 10,000 members: written, listed, and all their positions advanced at once.
int large_room(store& shard, writer_store& writer, const server_meter& meter) {
  constexpr uint64_t size = 10'000;
  constexpr int rounds = 20;
  const room_id id{0xABCDE00000000001U};
  write_batch room, positions;
  for (uint64_t i = 1; i <= size; ++i) {
    const account_id account{i * 0x9E3779B97F4A7C15U};
    room.members.push_back({id, account, room_member});
    positions.cursors.push_back({account, {id.value, 0}, {}, i, cursor_kind::advance});
  }
  auto reader = shard.open_reader();
  if (!reader) return fail(reader.error());
  const auto report = [&](const char* what, int times, const auto& work) -> result<void> {
    const double cpu = own_cpu(), server = meter.read();
    const auto start = steady::now();
    for (int i = 0; i < times; ++i) {
      if (auto done = work(); !done) return done;
    }
    const double wall = std::chrono::duration<double>(steady::now() - start).count();
    std::printf("%-26s %8.1f ms each   CPU: client %.1f ms, server %.1f ms\n", what, wall * 1e3 / times,
                (own_cpu() - cpu) * 1e3 / times, (meter.read() - server) * 1e3 / times);
    return {};
  };
  const auto commit = [&](const write_batch& batch) -> result<void> {
    auto done = writer.commit(batch);
    return done ? result<void>{} : result<void>{done.error()};
  };
  auto done = report("10,000 members stored", 1, [&] { return commit(room); });
  if (done) {
    done = report("10,000 members listed", rounds, [&]() -> result<void> {
      auto found = (*reader)->members(id, room_member, size);
      if (!found) return found.error();
      return found->size() == size ? errc::ok : errc::internal;
    });
  }
  if (done) done = report("10,000 positions advanced", rounds, [&] { return commit(positions); });
  return done ? 0 : fail(done.error());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr,
                 "usage: %s saturation|history|offline|growth [seconds=10]\n"
                 "       %s DSN [batches=500] [rows=200] [body=200] [conversations=2000] [sealed]\n",
                 argv[0], argv[0]);
    return 2;
  }
  for (const auto& one : scenarios) {
    if (std::strcmp(argv[1], one.name) == 0) return one.run(argc > 2 ? std::atof(argv[2]) : 10);
  }
  const auto argument = [&](int i, size_t otherwise) {
    return argc > i ? std::strtoul(argv[i], nullptr, 10) : otherwise;
  };
  const size_t batches = argument(2, 500), rows = argument(3, 200), body = argument(4, 200),
               pairs = argument(5, 2000);
  const bool sealed = argc > 6 && std::strcmp(argv[6], "sealed") == 0;
  sealing how;
  if (sealed) how.keys = *master_keys::make({std::string(64, 'k')});
  auto shard = sealed ? open_sealed_store(argv[1], how) : open_store(argv[1]);
  if (!shard) return fail(shard.error());
  auto writer = (*shard)->open_writer();
  if (!writer) return fail(writer.error());
  if (auto owned = (*writer)->acquire(1); !owned) return fail(owned.error());
  const server_meter meter(argv[1]);
  load work;
  work.heads.resize(pairs);
  for (size_t i = 0; i < 20; ++i) {  // plans, caches, first pages
    if (auto done = (*writer)->commit(work.batch(rows, body)); !done) return fail(done.error());
  }
  double making = 0;
  const auto statements = (*writer)->statements();
  const double cpu = own_cpu(), server = meter.read();
  const auto start = steady::now();
  for (size_t i = 0; i < batches; ++i) {
    const auto before = steady::now();
    const auto batch = work.batch(rows, body);
    making += std::chrono::duration<double>(steady::now() - before).count();
    if (auto done = (*writer)->commit(batch); !done) return fail(done.error());
  }
  const double wall = std::chrono::duration<double>(steady::now() - start).count();
  const auto count = static_cast<double>(batches * rows);
  std::printf(
      "%zu x %zu rows %9.0f messages/s %7.0f commits/s  CPU per message: client %.2f us, server %.2f us"
      "  statements per message %.4f  (making batches: %.2f us, not counted in client)\n",
      batches, rows, count / wall, static_cast<double>(batches) / wall, (own_cpu() - cpu - making) * 1e6 / count,
      (meter.read() - server) * 1e6 / count, static_cast<double>((*writer)->statements() - statements) / count,
      making * 1e6 / count);
  if (const int failed = read_pages(**shard, pairs, meter); failed != 0) return failed;
  return large_room(**shard, **writer, meter);
}
