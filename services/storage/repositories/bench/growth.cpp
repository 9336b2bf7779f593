// The same work over more and more shards: what a message costs must not grow.
#include <chrono>
#include <cstdio>
#include <thread>
#include <vector>

#include "services/storage/repositories/bench/engine_load.hpp"
#include "services/storage/repositories/bench/meter.hpp"
#include "services/storage/repositories/bench/scenarios.hpp"

namespace tern::storage::bench {
namespace {

constexpr size_t most_shards = 8;
constexpr size_t batch = 200;

struct cost {
  double cpu_us = 0, own_us = 0, statements = 0, rate = 0;
};

/// Each shard commits on its own thread until all have stored `messages` together, so many a second; 0: as fast as
/// they can.
result<cost> work(std::vector<std::unique_ptr<engine_load>>& shards, size_t messages, double per_second,
                  const server_meter& meter) {
  std::vector<result<void>> results(shards.size());
  std::vector<std::thread> threads;
  uint64_t statements = 0;
  for (const auto& one : shards) statements -= one->statements();
  const double own = own_cpu(), server = meter.read();
  const auto begun = std::chrono::steady_clock::now();
  for (size_t i = 0; i < shards.size(); ++i) {
    threads.emplace_back([&, i] {
      for (size_t stored = 0; stored < messages / shards.size();) {
        if (per_second > 0) {
          const auto before = static_cast<double>(stored * shards.size() + i * batch);  // by turns
          std::this_thread::sleep_until(begun + std::chrono::duration_cast<std::chrono::nanoseconds>(
                                                    std::chrono::duration<double>(before / per_second)));
        }
        auto done = shards[i]->commit();
        if (!done) {
          results[i] = done.error();
          return;
        }
        stored += *done;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& one : results) {
    if (!one) return one.error();
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  for (const auto& one : shards) statements += one->statements();
  const auto count = static_cast<double>(messages);
  const double mine = own_cpu() - own;
  return cost{(mine + meter.read() - server) * 1e6 / count, mine * 1e6 / count,
              static_cast<double>(statements) / count, count / seconds};
}

}  // namespace

int growth(double seconds) {
  const auto server = start_server();
  if (!server) return 1;
  const server_meter meter(server->dsn());
  std::printf(
      "| shards | messages/s | CPU per message, all, µs | of it here, µs | statements per message | CPU against 1 "
      "shard |\n| --- | --- | --- | --- | --- | --- |\n");
  size_t messages = 0;
  double first = 0, per_second = 0;
  for (size_t count = 1; count <= most_shards; count *= 2) {
    std::vector<std::unique_ptr<engine_load>> shards;
    for (size_t i = 0; i < count; ++i) {
      const auto name = "g" + std::to_string(count) + "_" + std::to_string(i);
      if (auto made = server->create_database(name); !made) return failed(made.error());
      // As many conversations in all, whatever the number of shards.
      auto opened = engine_load::open(server->dsn(name), batch, 8000 / count, 200);
      if (!opened) return failed(opened.error());
      shards.push_back(std::move(*opened));
    }
    auto warm = work(shards, 8000, 0, meter);
    if (!warm) return failed(warm.error());
    if (messages == 0) {
      // Half of what one can: else eight would be measured waiting for each other on this machine's cores.
      per_second = warm->rate / 2;
      const auto wanted = static_cast<size_t>(per_second * seconds / 4);
      messages = std::max<size_t>(1, wanted / (batch * most_shards)) * batch * most_shards;
    }
    auto seen = work(shards, messages, per_second, meter);
    if (!seen) return failed(seen.error());
    if (first == 0) first = seen->cpu_us;
    std::printf("| %zu | %.0f | %.1f | %.2f | %.4f | %.2f |\n", count, seen->rate, seen->cpu_us, seen->own_us,
                seen->statements, seen->cpu_us / first);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace tern::storage::bench
