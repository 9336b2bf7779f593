#include "services/storage/shard_reports.hpp"

#include <string>

#include "libs/sql/connection.hpp"
#include "libs/sql/probe.hpp"

namespace tern::storage {
namespace {

using namespace std::chrono_literals;
constexpr auto look_every = 500ms;
constexpr auto tell_every = 10s;
constexpr auto patience = 2000ms;

/// Empty: its database could be reached. A file is not made by looking for it.
std::string try_shard(const std::string& dsn) {
  if (dsn == "memory:" || sql::is_sqlite(dsn)) return {};
  const auto found = sql::probe(dsn, patience);
  return found ? std::string() : found.error().detail;
}

}  // namespace

void shard_reports::start() {
  thread_ = std::thread([this] { run(); });
}

void shard_reports::stop() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void shard_reports::run() {
  std::string told;
  auto next = std::chrono::steady_clock::now();
  std::unique_lock guard(mutex_);
  while (!stopping_) {
    guard.unlock();
    const bool due = std::chrono::steady_clock::now() >= next;
    const auto report = look(due);
    // Sizes change all the time; they are not worth a message of their own.
    auto rough = report;
    for (auto& one : *rough.mutable_shards()) one.set_bytes(one.bytes() > 0 ? 1 : 0);
    const auto text = rough.SerializeAsString();
    if (due || text != told) tell_(report);
    if (due) next = std::chrono::steady_clock::now() + tell_every;
    told = text;
    guard.lock();
    wake_.wait_for(guard, look_every, [this] { return stopping_; });
  }
}

routing::v1::ShardsServed shard_reports::look(bool again) {
  routing::v1::ShardsServed out;
  for (const auto& slot : shards_->preferred()) {
    const auto& name = slot->name();
    auto& one = *out.add_shards();
    one.set_name(name);
    one.set_bytes(slot->bytes);
    if (slot->port->serving()) {
      problems_.erase(name);
      const auto health = slot->store->health();
      one.set_term(health.term);
      one.set_copies(health.copies);
      one.set_problem(health.problem);
      continue;
    }
    auto [known, fresh] = problems_.try_emplace(name);
    if (again || fresh) known->second = try_shard(slot->store->dsn());
    one.set_problem(known->second);
  }
  return out;
}

}  // namespace tern::storage
