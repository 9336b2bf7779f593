#include "services/storage/repositories/pg_watch.hpp"

#include <utility>

#include "libs/log/log.hpp"
#include "libs/sql/probe.hpp"

namespace tern::storage {
namespace {

using namespace std::chrono_literals;

const log::logger logger{"storage"};
constexpr auto look_every = 1s;
constexpr auto patience_of_a_look = 900ms;

}  // namespace

pg_watch::pg_watch(std::string dsn, const sync_rule& rule) : dsn_(std::move(dsn)), rule_(rule) {}

pg_watch::~pg_watch() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void pg_watch::start() {
  const std::lock_guard guard(mutex_);
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
}

store_health pg_watch::health() const {
  const std::lock_guard guard(mutex_);
  return health_;
}

sql::patience pg_watch::patient() const noexcept {
  switch (standing_) {
    case standing::refused: return sql::patience::give_up;
    case standing::degraded: return sql::patience::local;
    default: return sql::patience::wait;
  }
}

result<void> pg_watch::may_write() const {
  if (standing_ != standing::refused) return {};
  const std::lock_guard guard(mutex_);
  return error{errc::unavailable, health_.problem};
}

void pg_watch::saw(const sql::pg_server& primary) {
  const std::lock_guard guard(mutex_);
  take(primary);
}

/// With mutex_.
void pg_watch::take(const sql::pg_server& primary) {
  health_.term = primary.term;
  health_.copies = primary.copies;
  health_.problem.clear();
  auto now = standing::good;
  // A commit waits for all that the server is set to wait for, be it more than we ask for.
  if (rule_.least_copies > 0 && (primary.copies < rule_.least_copies || primary.copies < primary.copies_asked)) {
    now = rule_.degrade ? standing::degraded : standing::refused;
    health_.problem = std::to_string(primary.copies) + " synchronous standbys confirm commits, " +
                      std::to_string(rule_.least_copies) + " must" +
                      (primary.copies_asked == 0 ? " (synchronous_standby_names of the server is empty)" : "");
  }
  health_.degraded = now == standing::degraded;
  if (standing_.exchange(now) == now) return;
  const auto where = sql::shown(dsn_);
  switch (now) {
    case standing::good:
      logger.info("synchronous standbys confirm commits again", {{"shard_database", where}});
      break;
    case standing::refused:
      logger.error("writes are refused", {{"shard_database", where}, {"why", health_.problem}});
      break;
    case standing::degraded:
      logger.error("writes go on without synchronous standby: what is answered now can be lost with the primary",
                   {{"shard_database", where}, {"why", health_.problem}});
      break;
  }
}

void pg_watch::look(sql::pg_hosts& hosts) {
  const auto servers = hosts.look(patience_of_a_look, patience_of_a_look);
  const auto at = sql::choose_primary(servers, terms_->newest(), false);
  const std::lock_guard guard(mutex_);
  if (!at) {
    health_.copies = 0;
    health_.problem = at.error().detail;
    return;
  }
  // From here nobody goes on with a connection to an older primary.
  terms_->saw(servers[*at].system, servers[*at].term);
  take(servers[*at]);
}

void pg_watch::run() {
  sql::pg_hosts hosts(dsn_);
  std::unique_lock guard(mutex_);
  while (!stopping_) {
    guard.unlock();
    look(hosts);
    guard.lock();
    wake_.wait_for(guard, look_every, [&] { return stopping_; });
  }
}

}  // namespace tern::storage
